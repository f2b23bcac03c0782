package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collection;
import java.util.List;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Finds out which implementation of an IFUNC a process uses. Calling the resolver could tell, but would
 * execute code in the process; instead the places are read where the dynamic linker, or the start code of a
 * static program, left the resolver's answer:
 * <ol>
 * <li>slots of {@code R_*_IRELATIVE} relocations of the same file, which name the resolver;
 * <li>slots of relocations against the symbol, in any module. Until its first call through a lazy slot this
 * holds an address of the calling module's own procedure linkage table, so it counts only if it leads into
 * the module that defines the symbol, or into the vDSO, where the C library finds {@code time} and
 * {@code gettimeofday}.
 * </ol>
 */
final class IndirectFunctions {
  private final Collection<ModuleFile> files;
  private final LongFunction<@Nullable ModuleFile> fileAt;
  private final MemoryReader memory;

  /** @param fileAt the file mapped at an address, or {@code null} */
  IndirectFunctions(Collection<ModuleFile> files, LongFunction<@Nullable ModuleFile> fileAt,
      MemoryReader memory) {
    this.files = files;
    this.fileAt = fileAt;
    this.memory = memory;
  }

  FunctionRange implementation(ModuleFile file, LoadedModule module, SymbolEntry symbol) {
    for (RelocationSlot slot : file.relocations()) {
      if (slot.kind() == RelocationSlot.Kind.INDIRECT && slot.addend() == symbol.address()) {
        FunctionRange found = target(module.bias() + slot.address(), file, module, symbol);
        if (found != null) {
          return found;
        }
      }
    }
    for (ModuleFile user : files) {
      FunctionRange found = usedBy(user, file, module, symbol);
      if (found != null) {
        return found;
      }
    }
    throw new SymbolException(Reason.IFUNC_UNRESOLVED, "'" + symbol.displayName() + "' in " + module.name()
        + " is an IFUNC, and nothing in the process shows which implementation is in use; probe the "
        + "implementation by its own name");
  }

  private @Nullable FunctionRange usedBy(ModuleFile user, ModuleFile file, LoadedModule module,
      SymbolEntry symbol) {
    List<RelocationSlot> slots;
    List<LoadedModule> instances;
    try {
      slots = user.relocations();
      instances = user.instances();
    } catch (SymbolException e) {
      Reading.check();
      // A damaged module cannot tell, others may.
      return null;
    }
    for (RelocationSlot slot : slots) {
      if (slot.kind() != RelocationSlot.Kind.INDIRECT && means(file, slot, symbol)) {
        for (LoadedModule instance : instances) {
          FunctionRange found = target(instance.bias() + slot.address(), file, module, symbol);
          if (found != null) {
            return found;
          }
        }
      }
    }
    return null;
  }

  /** Whether a relocation asks for the symbol or for an alias of it, which has the same resolver. */
  private static boolean means(ModuleFile file, RelocationSlot slot, SymbolEntry symbol) {
    return file.symbols().named(slot.symbol()).stream()
        .anyMatch(entry -> entry.kind() == SymbolEntry.Kind.INDIRECT && entry.address() == symbol.address()
            && (slot.version() == null ? !entry.isOldVersion() : slot.version().equals(entry.version())));
  }

  /** The function that a slot leads to, or {@code null} if it cannot be an implementation of the symbol. */
  private @Nullable FunctionRange target(long slot, ModuleFile file, LoadedModule module,
      SymbolEntry symbol) {
    var bytes = new byte[8];
    int size = file.image().layout().address;
    if (memory.read(slot, bytes, 0, size) != size) {
      return null;
    }
    long address = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    ModuleFile owner = fileAt.apply(address);
    if (owner == null || !owner.mayHaveCodeAt(address)) {
      return null;
    }
    LoadedModule instance = owner.instanceAt(address);
    if (instance == null || !instance.equals(module) && !owner.path().equals(ModuleFile.VDSO)) {
      return null;
    }
    long fileAddress = address - instance.bias();
    Section section = owner.image().executableSection(fileAddress);
    if (section == null || section.name().startsWith(".plt") || section.name().startsWith(".iplt")
        || owner == file && fileAddress == symbol.address()) {
      return null;
    }
    return function(owner, instance, fileAddress, section, symbol.displayName());
  }

  /**
   * A function that the process calls.
   *
   * @param name what it is called if it has no name of its own
   */
  static FunctionRange function(ModuleFile owner, LoadedModule module, long fileAddress, Section section,
      String name) {
    SymbolTable symbols = owner.symbols();
    SymbolTable.Code known = symbols.functionAt(fileAddress);
    long bias = module.bias();
    if (known != null) {
      return FunctionRange.of(module, known);
    }
    // In a stripped library implementations have no names; this one is called what was asked for.
    SymbolTable.Code next = symbols.functionAfter(fileAddress);
    long end = next != null && Long.compareUnsigned(next.start(), section.end()) < 0
        ? next.start()
        : section.end();
    return new FunctionRange(module, List.of(name), List.of(), bias + fileAddress, bias + end, false,
        false,
        bias + section.address(), bias + section.end());
  }
}
