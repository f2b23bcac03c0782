package io.xolotl.xol.elf;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import net.fornwall.jelf.ElfException;
import org.jspecify.annotations.Nullable;

/**
 * The versions of the symbols of a {@code .dynsym}, which jelf does not read: an index a symbol in
 * {@code .gnu.version}, names in {@code .gnu.version_d} (of what is defined) and {@code .gnu.version_r} (of
 * what is needed).
 *
 * @see <a href="https://refspecs.linuxfoundation.org/lsb.shtml">LSB Core, symbol versioning</a>
 */
final class SymbolVersions {
  private static final int HIDDEN = 0x8000;

  private final @Nullable ByteBuffer indices;
  private final Map<Integer, String> names = new HashMap<>();

  SymbolVersions(ElfImage image, ElfReader reader) {
    Section versym = image.firstOfType(Section.GNU_VERSYM);
    indices = versym == null ? null : image.content(reader, versym);
    Section defined = image.firstOfType(Section.GNU_VERDEF);
    if (defined != null) {
      readDefined(image, reader, defined);
    }
    Section needed = image.firstOfType(Section.GNU_VERNEED);
    if (needed != null) {
      readNeeded(image, reader, needed);
    }
  }

  /** Reads the chain of {@code Elf64_Verdef}, each with its name in a first {@code Elf64_Verdaux}. */
  private void readDefined(ElfImage image, ElfReader reader, Section section) {
    ByteBuffer table = image.content(reader, section);
    StringTable strings = image.strings(reader, section.link());
    int at = 0;
    for (int step = 0; step <= table.limit() / 20; step++) {
      int auxiliary = at + table.getInt(at + 12);
      names.put(table.getShort(at + 4) & ~HIDDEN & 0xffff,
          strings.at(Integer.toUnsignedLong(table.getInt(auxiliary))));
      int next = table.getInt(at + 16);
      if (next == 0) {
        return;
      }
      at += next;
    }
    throw new ElfException("its version definitions form a loop");
  }

  /** Reads the chain of {@code Elf64_Verneed}, each with a chain of {@code Elf64_Vernaux}. */
  private void readNeeded(ElfImage image, ElfReader reader, Section section) {
    ByteBuffer table = image.content(reader, section);
    StringTable strings = image.strings(reader, section.link());
    int steps = table.limit() / 16;
    int at = 0;
    while (true) {
      int auxiliary = at + table.getInt(at + 8);
      for (int i = Short.toUnsignedInt(table.getShort(at + 2)); i > 0; i--) {
        if (steps-- == 0) {
          throw new ElfException("its needed versions form a loop");
        }
        names.put(table.getShort(auxiliary + 6) & ~HIDDEN & 0xffff,
            strings.at(Integer.toUnsignedLong(table.getInt(auxiliary + 8))));
        auxiliary += table.getInt(auxiliary + 12);
      }
      int next = table.getInt(at + 12);
      if (next == 0) {
        return;
      }
      if (steps-- == 0) {
        throw new ElfException("its needed versions form a loop");
      }
      at += next;
    }
  }

  /** The version of a symbol, or {@code null} if it has none. */
  @Nullable
  String of(int symbolIndex) {
    // 0 is local, 1 is global without a version.
    int index = index(symbolIndex) & ~HIDDEN;
    return index <= 1 ? null : names.get(index);
  }

  boolean isDefault(int symbolIndex) {
    return (index(symbolIndex) & HIDDEN) == 0;
  }

  private int index(int symbolIndex) {
    return indices == null ? 0 : Short.toUnsignedInt(indices.getShort(2 * symbolIndex));
  }
}
