package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

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

  /**
   * That of the module at an address, if it is a C library, or a program that one was linked into; else that
   * of the only C library.
   *
   * @param file the module's
   */
  long of(@Nullable ModuleFile file, long address) {
    List<Long> found = new ArrayList<>();
    if (file != null) {
      addAll(file, found, module -> Long.compareUnsigned(address - module.start(),
          module.end() - module.start()) < 0);
    }
    if (found.isEmpty()) {
      files.stream().filter(each -> C_LIBRARY.matcher(each.name()).matches())
          .forEach(each -> addAll(each, found, _ -> true));
    }
    if (found.isEmpty()) {
      // Also in a program that is linked statically, which may have any name.
      files.forEach(each -> addAll(each, found, _ -> true));
    }
    return switch (found.size()) {
      case 0 -> throw new SymbolException(Reason.SYMBOL_NOT_FOUND,
          "no module has a function " + NAME + ", which says where the errno of a C library is");
      case 1 -> found.getFirst();
      default ->
        throw new SymbolException(Reason.SYMBOL_AMBIGUOUS, "there are " + found.size() + " functions "
            + NAME + ", each of another C library, and nothing shows which of them the function belongs to");
    };
  }

  private static void addAll(ModuleFile file, List<Long> found, Predicate<LoadedModule> which) {
    try {
      List<Long> addresses = file.symbols().named(NAME).stream().filter(SymbolEntry::isFunction)
          .map(SymbolEntry::address).distinct().toList();
      if (addresses.size() == 1) {
        file.instances().stream().filter(which)
            .forEach(module -> found.add(module.bias() + addresses.getFirst()));
      }
    } catch (SymbolException e) {
      Reading.check();
      // A module that cannot be read has none; who names it learns what is wrong with it.
    }
  }
}
