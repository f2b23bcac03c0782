package io.xolotl.xol.elf;

import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** A section of a file at its place in a process. Not safe for use by several threads at once. */
public final class LoadedSection {

  private final ModuleFile file;
  private final LoadedModule module;
  private final Section section;
  private @Nullable Map<Long, Long> relativeWords;

  LoadedSection(ModuleFile file, LoadedModule module, Section section) {
    this.file = file;
    this.module = module;
    this.section = section;
  }

  /** The module that it belongs to. */
  public LoadedModule module() {
    return module;
  }

  /** Its first address in the process, as its header says: perhaps nothing is mapped there. */
  public long address() {
    return module.bias() + section.address();
  }

  /** Its size in bytes, as its header says; unsigned. */
  public long size() {
    return section.size();
  }

  /**
   * What relocation makes of a word of it, by the file: for memory that the dynamic linker has not relocated
   * yet.
   *
   * @param address of the word, in the process
   * @return empty if no relocation table tells
   */
  public OptionalLong relocatedWord(long address) {
    Map<Long, Long> words = relativeWords;
    if (words == null) {
      try {
        words = file.relativeWords(section);
      } catch (SymbolException e) {
        Reading.check();
        // A file whose tables are damaged says nothing.
        words = Map.of();
      }
      relativeWords = words;
    }
    Long addend = words.get(address - module.bias());
    return addend == null ? OptionalLong.empty() : OptionalLong.of(module.bias() + addend);
  }
}
