package io.xolotl.xol.elf;

import java.util.List;

/**
 * The code of a function in a process.
 *
 * <p>Of several names at one address, {@link #name} is the one with the strongest binding (global, weak,
 * local), then the one of the default version, then the one with the fewest leading underscores, then the
 * shortest, then the first in alphabetical order.
 *
 * @param module where the code is
 * @param names all names at {@code start}, best first; a version that is not the default is part of the name,
 *     as in {@code memcpy@GLIBC_2.2.5}, so that each of them can be resolved again
 * @param uniqueNames those of them that stand for no other function of the module; none if nobody has asked
 * @param start first address, in the process
 * @param end first address behind the function; for a symbol without a size, the next symbol or the end of
 *     the section
 * @param sized whether the symbol table gives a size
 * @param indirect whether the code is the resolver of an IFUNC, and not the function that callers reach
 * @param sectionStart first address of the section around the function, in the process
 * @param sectionEnd first address behind that section
 */
public record FunctionRange(LoadedModule module, List<String> names, List<String> uniqueNames, long start,
    long end, boolean sized,
    boolean indirect, long sectionStart, long sectionEnd) {

  static FunctionRange of(LoadedModule module, SymbolTable.Code code) {
    return of(module, code, List.of());
  }

  static FunctionRange of(LoadedModule module, SymbolTable.Code code, List<String> uniqueNames) {
    long bias = module.bias();
    return new FunctionRange(module, code.names(), uniqueNames, bias + code.start(), bias + code.end(),
        code.sized(),
        code.isIndirect(), bias + code.section().address(), bias + code.section().end());
  }

  /** The name to show. */
  public String name() {
    return names.getFirst();
  }

  /** Size in bytes. */
  public long size() {
    return end - start;
  }
}
