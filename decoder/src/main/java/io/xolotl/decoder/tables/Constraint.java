package io.xolotl.decoder.tables;

/** Which registers an instruction does not accept, among those that its encoding can name. */
public final class Constraint {

  /** reg and rm must differ. */
  public static final int REG_RM = 1;
  /** reg and vvvv must differ. */
  public static final int REG_V = 2;
  /** rm and vvvv must differ. */
  public static final int RM_V = 4;
  /** reg and the index must differ. */
  public static final int REG_INDEX = 8;
  /** vvvv and the index must differ. */
  public static final int V_INDEX = 16;

  private Constraint() {}

  /**
   * Returns true if the bits that extend registers, and vvvv, are accepted.
   *
   * @param constraints {@link Tables#constraints}
   * @param which number of the constraint
   * @param r extension of reg, 2 bits
   * @param rm extension of rm: B, and X above it
   * @param v vvvv, with V' above it
   */
  static boolean accepts(int[] constraints, int which, int r, int rm, int v) {
    int at = which * Tables.CONSTRAINT_SIZE;
    return (constraints[at] >>> r & constraints[at + 1] >>> rm & constraints[at + 2] >>> v & 1) != 0;
  }

  /** Which registers must differ: bits of the constants. */
  static int distinct(int[] constraints, int which) {
    return constraints[which * Tables.CONSTRAINT_SIZE + 3];
  }

  /** Returns true if registers differ that must, where modrm names a register. */
  static boolean differ(int distinct, int reg, int rm, int v) {
    return ((distinct & REG_RM) == 0 || reg != rm) && ((distinct & REG_V) == 0 || reg != v)
        && ((distinct & RM_V) == 0 || rm != v);
  }

  /** Returns true if registers differ that must, where modrm addresses memory. */
  static boolean differInMemory(int distinct, int reg, int index, int v) {
    return ((distinct & REG_V) == 0 || reg != v) && ((distinct & REG_INDEX) == 0 || reg != index)
        && ((distinct & V_INDEX) == 0 || v != index);
  }
}
