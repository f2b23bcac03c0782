package io.xolotl.decoder.tables;

/**
 * How an operand is found in an instruction, packed in a {@code long}. The lowest three bits say how; what
 * every operand has follows; the rest depends on how.
 */
public final class OperandCode {

  // How.

  /** The two immediates: offset and segment. */
  public static final int FAR_POINTER = 0;
  /** A register that the opcode implies. */
  public static final int FIXED_REGISTER = 1;
  /** A register that a field of the encoding names. */
  public static final int REGISTER = 2;
  /** Memory, by modrm and SIB. */
  public static final int MEMORY = 3;
  /** Memory, by registers that the opcode implies. */
  public static final int FIXED_MEMORY = 4;
  /** Memory, by an address in the instruction. */
  public static final int MOFFS = 5;
  /** A number in the instruction. */
  public static final int IMMEDIATE = 6;
  /** A number that the opcode implies. */
  public static final int CONSTANT = 7;

  // Which field names a register. The order is that of ZydisOperandEncoding.

  /** The reg of modrm. */
  public static final int REG = 1;
  /** The rm of modrm. */
  public static final int RM = 2;
  /** The lowest bits of the opcode. */
  public static final int OPCODE = 3;
  /** The vvvv of XOP, VEX or EVEX. */
  public static final int VVVV = 4;
  /** The upper half of the immediate byte. */
  public static final int IS4 = 5;
  /** The aaa of EVEX. */
  public static final int MASK = 6;

  private OperandCode() {}

  /** What every operand has. */
  public static long common(int visibility, int actions, int width) {
    return (long) visibility << 3 | (long) actions << 5 | (long) width << 9;
  }

  /** Packs a {@link #FIXED_REGISTER}. */
  public static long fixedRegister(int register) {
    return FIXED_REGISTER | (long) register << 25;
  }

  /** Packs a {@link #REGISTER}. */
  public static long register(int field, int registerClass) {
    return REGISTER | (long) field << 25 | (long) registerClass << 28;
  }

  /** Packs a {@link #MEMORY}; the class is that of a vector register as index, or 0. */
  public static long memory(int kind, int indexClass) {
    return MEMORY | (long) kind << 25 | (long) indexClass << 28;
  }

  /**
   * Packs a {@link #FIXED_MEMORY}.
   *
   * @param kind of memory
   * @param base a register, or its number in its class if it is as wide as an address
   * @param addressWide whether it is
   * @param index a register
   * @param scale what the index is multiplied with
   * @param segment number of the segment register
   * @param overridable whether a segment prefix replaces that
   */
  public static long fixedMemory(int kind, int base, boolean addressWide, int index, int scale, int segment,
      boolean overridable) {
    return FIXED_MEMORY | (long) kind << 25 | (long) base << 28 | (addressWide ? 1L << 37 : 0)
        | (long) index << 38 | (long) scale << 47 | (long) segment << 51 | (overridable ? 1L << 54 : 0);
  }

  /** Packs a {@link #MOFFS}. */
  public static long moffs(int kind) {
    return MOFFS | (long) kind << 25;
  }

  /** Packs an {@link #IMMEDIATE}: which of the two, whether only its lower half, whether relative. */
  public static long immediate(int which, boolean lowerHalf, boolean relative) {
    return IMMEDIATE | (long) which << 25 | (lowerHalf ? 1L << 26 : 0) | (relative ? 1L << 27 : 0);
  }

  /** Packs a {@link #CONSTANT} of 16 bits. */
  public static long constant(long value) {
    return CONSTANT | (value & 0xffff) << 25;
  }

  static int how(long code) {
    return (int) code & 7;
  }

  static int visibility(long code) {
    return (int) (code >> 3) & 3;
  }

  static int actions(long code) {
    return (int) (code >> 5) & 15;
  }

  static int width(long code) {
    return (int) (code >> 9) & 0xffff;
  }

  static int fixedRegisterOf(long code) {
    return (int) (code >> 25) & 511;
  }

  static int field(long code) {
    return (int) (code >> 25) & 7;
  }

  /** The class of a register, or of a vector register that is an index. */
  static int registerClass(long code) {
    return (int) (code >> 28) & 15;
  }

  static int memoryKind(long code) {
    return (int) (code >> 25) & 7;
  }

  static int base(long code) {
    return (int) (code >> 28) & 511;
  }

  static boolean addressWide(long code) {
    return (code >> 37 & 1) != 0;
  }

  static int index(long code) {
    return (int) (code >> 38) & 511;
  }

  static int scale(long code) {
    return (int) (code >> 47) & 15;
  }

  static int segment(long code) {
    return (int) (code >> 51) & 7;
  }

  static boolean overridable(long code) {
    return (code >> 54 & 1) != 0;
  }

  static int which(long code) {
    return (int) (code >> 25) & 1;
  }

  static boolean lowerHalf(long code) {
    return (code >> 26 & 1) != 0;
  }

  static boolean relative(long code) {
    return (code >> 27 & 1) != 0;
  }

  static long constantOf(long code) {
    return code >> 25 & 0xffff;
  }

  /** Returns true if the operand is a register that a given field names. */
  static boolean isRegister(long code, int field) {
    return how(code) == REGISTER && field(code) == field;
  }
}
