package io.xolotl.xol.elf;

/**
 * Where a symbol is.
 *
 * @param requested the symbol as it was asked for
 * @param function the code that a call of the symbol executes. For an IFUNC it is the implementation in use,
 *     with its own name and perhaps in another module, as the C library's {@code time} is in the vDSO
 * @param indirect whether the symbol is an IFUNC
 */
public record Resolution(String requested, FunctionRange function, boolean indirect) {

  /** Address of the first instruction, in the process. */
  public long address() {
    return function.start();
  }
}
