package io.xolotl.decoder;

import java.util.List;

/**
 * The sixteen 64-bit general registers, in the order of their numbers in the encoding (Intel SDM, volume 2,
 * 3.1.1.1).
 */
@SuppressWarnings("doclint:missing") // The names say all.
public enum Gpr {
  RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15;

  private static final List<Gpr> BY_INDEX = List.of(values());

  /**
   * {@return the register with a number}
   *
   * @param index 0 for rax to 15 for r15
   * @throws IndexOutOfBoundsException if there is no such register
   */
  public static Gpr of(int index) {
    return BY_INDEX.get(index);
  }

  /** {@return the register's number in the encoding, 0 for rax to 15 for r15} */
  public int index() {
    return ordinal();
  }
}
