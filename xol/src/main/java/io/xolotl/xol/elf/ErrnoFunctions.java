package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.OptionalLong;
import java.util.regex.Pattern;

/**
 * Finds the function by which a C library tells programs where their {@code errno} is: the macro of that name
 * calls it in glibc (bits/errno.h) and in musl (errno.h).
 */
final class ErrnoFunctions {

  private static final String NAME = "__errno_location";
  /** {@code libc.so.6}, {@code libc-2.31.so}, {@code ld-musl-x86_64.so.1}, {@code libc.musl-x86_64.so.1}. */
  private static final Pattern C_LIBRARY = Pattern.compile("libc[.-].*|ld-musl-.*");

  private final Collection<ModuleFile> files;

  ErrnoFunctions(Collection<ModuleFile> files) {
    this.files = files;
  }

  /** That of a module: of a C library, or of a program that one was linked into. */
  static OptionalLong in(ModuleFile file, LoadedModule module) {
    try {
      SymbolEntry entry = file.symbols().find(module, file.name(), NAME);
      return OptionalLong.of(module.bias() + entry.address());
    } catch (SymbolException e) {
      Reading.check();
      return OptionalLong.empty();
    }
  }

  /** That of the only C library of the process. */
  long only() {
    List<Long> found = of(files.stream().filter(file -> C_LIBRARY.matcher(file.name()).matches()).toList());
    if (found.isEmpty()) {
      // Also in a program that is linked statically, which may have any name.
      found = of(files);
    }
    if (found.size() == 1) {
      return found.getFirst();
    }
    throw new SymbolException(found.isEmpty() ? Reason.SYMBOL_NOT_FOUND : Reason.SYMBOL_AMBIGUOUS,
        found.isEmpty()
            ? "no module has a function " + NAME + ", which says where the errno of a C library is"
            : "there are " + found.size() + " functions " + NAME
                + ", each of another C library, and nothing shows which of them the function belongs to");
  }

  private static List<Long> of(Collection<ModuleFile> files) {
    var found = new ArrayList<Long>();
    for (ModuleFile file : files) {
      for (LoadedModule module : instances(file)) {
        in(file, module).ifPresent(found::add);
      }
    }
    return found;
  }

  private static List<LoadedModule> instances(ModuleFile file) {
    try {
      return file.instances();
    } catch (SymbolException e) {
      Reading.check();
      // Who names the module learns what is wrong with it.
      return List.of();
    }
  }
}
