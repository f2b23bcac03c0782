package io.xolotl.decoder.backend;

/**
 * Where the parts of an instruction are among its bytes, and by which entry of the tables it is understood:
 * all that a parse finds out, in one {@code long}. So a parse needs no object, and whoever keeps the bytes
 * and this number can compute everything else.
 *
 * <p>Offsets count from the first byte. A part that is not there has offset 0, where it cannot be; only of
 * the prefix, which can be there, one more than its offset is kept. Negative numbers say why there is no
 * instruction.
 */
public final class Layout {

  /** The CPU would raise an invalid-opcode fault, or nothing is known of such an instruction. */
  public static final long INVALID = -1;
  /** The bytes end within an instruction: with some bytes behind them they would be one. */
  public static final long TRUNCATED = -2;
  /** More than {@link #MAX_LENGTH} bytes. */
  public static final long TOO_LONG = -3;

  /** How many bytes an instruction may have (Intel SDM, volume 3, 2.3.11). */
  public static final int MAX_LENGTH = 15;

  // Where an opcode is looked up: the map within an encoding. The order is that of the tables' roots.

  /** Maps 0, 0f, 0f 38 and 0f 3a. */
  public static final int LEGACY = 0;
  /** 3DNow!, by the suffix behind the operands. */
  public static final int THREE_DNOW = 4;
  /** XOP maps 8 to 10. */
  public static final int XOP = 5;
  /** VEX maps 0 to 3. */
  public static final int VEX = 8;
  /** EVEX maps 0 to 7. */
  public static final int EVEX = 12;
  /** How many there are. */
  public static final int SPACES = 20;

  private static final int LENGTH = 16;
  private static final int OPCODE = 20;
  private static final int MODRM = 24;
  private static final int DISPLACEMENT = 28;
  private static final int DISPLACEMENT_SIZE = 32;
  private static final int IMMEDIATE = 36;
  private static final int PREFIX = 40;
  private static final int SPACE = 44;
  private static final int ADDRESS_SIZE = 49;
  private static final int SEGMENT = 51;
  private static final int NOTRACK = 54;

  private Layout() {}

  /**
   * Packs what a parse found.
   *
   * @param form number in the tables, 1 to 65,535; 0 if it was not found there
   * @param length 1 to 15 bytes
   * @param space where the opcode was looked up
   * @param opcode its offset
   * @param modrm its offset, 0 if there is none
   * @param displacement its offset, 0 if there is none
   * @param displacementSize bytes: 0, 1, 2, 4 or 8
   * @param immediate offset of the first immediate, 0 if there is none
   * @param prefix offset of REX, XOP, VEX or EVEX, -1 if there is none
   * @param addressSize 16, 32 or 64 bits
   * @param segment which segment prefix is in effect: 1 es, 2 cs, 3 ss, 4 ds, 5 fs, 6 gs, 0 none
   * @param notrack prefix 3e is the last that could be one of CET's
   */
  public static long pack(int form, int length, int space, int opcode, int modrm, int displacement,
      int displacementSize, int immediate, int prefix, int addressSize, int segment, boolean notrack) {
    return form | length << LENGTH | opcode << OPCODE | modrm << MODRM | (long) displacement << DISPLACEMENT
        | (long) displacementSize << DISPLACEMENT_SIZE | (long) immediate << IMMEDIATE
        | (long) (prefix + 1) << PREFIX | (long) space << SPACE | (long) (addressSize >> 5) << ADDRESS_SIZE
        | (long) segment << SEGMENT | (notrack ? 1L << NOTRACK : 0);
  }

  /**
   * Returns true if two layouts have the same parts at the same places. The numbers of forms may differ, and
   * what is said of prefixes that may have no effect.
   */
  public static boolean isSame(long layout, long other) {
    return ((layout ^ other) & (1L << SEGMENT) - (1L << LENGTH)) == 0;
  }

  /** Number in the tables; 0 if the instruction was not found there. */
  public static int form(long layout) {
    return (int) layout & 0xffff;
  }

  /** 1 to 15 bytes. */
  public static int length(long layout) {
    return (int) layout >>> LENGTH & 15;
  }

  /** Offset of the opcode, which for 3DNow! is the last byte. */
  public static int opcodeOffset(long layout) {
    return (int) layout >>> OPCODE & 15;
  }

  /** Offset of the modrm byte, 0 if there is none. */
  public static int modrmOffset(long layout) {
    return (int) layout >>> MODRM & 15;
  }

  /** Offset of the displacement, 0 if there is none. */
  public static int displacementOffset(long layout) {
    return (int) (layout >>> DISPLACEMENT) & 15;
  }

  /** Bytes: 0, 1, 2, 4 or 8. */
  public static int displacementSize(long layout) {
    return (int) (layout >>> DISPLACEMENT_SIZE) & 15;
  }

  /** Offset of the first immediate, 0 if there is none. */
  public static int immediateOffset(long layout) {
    return (int) (layout >>> IMMEDIATE) & 15;
  }

  /** Offset of REX, XOP, VEX or EVEX, -1 if there is none. */
  public static int prefixOffset(long layout) {
    return ((int) (layout >>> PREFIX) & 15) - 1;
  }

  /** Where the opcode was looked up. */
  public static int space(long layout) {
    return (int) (layout >>> SPACE) & 31;
  }

  /** 16, 32 or 64 bits. */
  public static int addressSize(long layout) {
    return 16 << ((int) (layout >>> ADDRESS_SIZE) & 3);
  }

  /** Which segment prefix is in effect: 1 es, 2 cs, 3 ss, 4 ds, 5 fs, 6 gs, 0 none. */
  public static int segment(long layout) {
    return (int) (layout >>> SEGMENT) & 7;
  }

  /** Returns true if prefix 3e is the last that could be one of CET's. */
  public static boolean notrack(long layout) {
    return (layout & 1L << NOTRACK) != 0;
  }
}
