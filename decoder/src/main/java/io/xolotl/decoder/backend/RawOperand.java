package io.xolotl.decoder.backend;

/**
 * An operand, in numbers: those of Zydis' constants, and for registers those of {@link Names}. What a kind of
 * operand does not have is 0.
 *
 * @param kind one of the constants here
 * @param visibility 1 explicit, 2 implicit, 3 hidden
 * @param actions bits: 1 read, 2 written, 4 read or 8 written under a condition
 * @param width bits
 * @param register the register
 * @param memoryKind one of the constants here
 * @param segment the segment register of an address
 * @param base its base register
 * @param index its index register
 * @param scale what the index is multiplied with: 1, 2, 4 or 8
 * @param displacement sign-extended
 * @param value the immediate, or the offset of a far pointer
 * @param relative the immediate counts from the end of the instruction
 * @param selector the segment of a far pointer
 */
public record RawOperand(int kind, int visibility, int actions, int width, int register, int memoryKind,
    int segment, int base, int index, int scale, long displacement, long value, boolean relative,
    int selector) {

  /** A register. */
  public static final int REGISTER = 1;
  /** Memory, or its address. */
  public static final int MEMORY = 2;
  /** A far pointer. */
  public static final int POINTER = 3;
  /** A number in the instruction. */
  public static final int IMMEDIATE = 4;

  /** Memory that is accessed. */
  public static final int PLAIN = 1;
  /** The address is computed, and no memory accessed. */
  public static final int ADDRESS_ONLY = 2;
  /** Base and index have meanings of their own: MPX' tables. */
  public static final int MIB = 3;
  /** The index is a vector register. */
  public static final int VSIB = 4;
}
