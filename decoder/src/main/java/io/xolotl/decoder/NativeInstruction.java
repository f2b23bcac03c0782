package io.xolotl.decoder;

import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * Reads a {@code ZydisDecodedInstruction}. Many of its members mean something only if another says so: an
 * offset if the part is there, a prefix if the encoding has it, a displacement if rip is its base.
 *
 * <p>So each method here answers one question about the instruction, and looks at all members that matter for
 * it. It reads from a scratch that its caller owns, and keeps nothing, so that decoding allocates nothing but
 * its result.
 */
final class NativeInstruction {

  /** The offset of a part that the instruction does not have. */
  static final byte NOT_THERE = -1;

  private static final List<Encoding> ENCODINGS = List.of(Encoding.values());

  private NativeInstruction() {}

  static boolean has(Scratch scratch, long attribute) {
    return (scratch.instructionLong(ZydisStructs.ATTRIBUTES) & attribute) != 0;
  }

  private static Encoding encoding(Scratch scratch) {
    return ENCODINGS.get(scratch.instructionInt(ZydisStructs.ENCODING));
  }

  private static boolean hasModrm(Scratch scratch) {
    return has(scratch, Zydis.ZYDIS_ATTRIB_HAS_MODRM());
  }

  private static boolean hasDisplacement(Scratch scratch) {
    return scratch.instructionByte(ZydisStructs.DISPLACEMENT_SIZE) != 0;
  }

  private static boolean hasImmediate(Scratch scratch) {
    return scratch.instructionByte(ZydisStructs.IMMEDIATE_SIZE) != 0;
  }

  static byte modrmOffset(Scratch scratch) {
    return hasModrm(scratch) ? scratch.instructionByte(ZydisStructs.MODRM_OFFSET) : NOT_THERE;
  }

  static byte displacementOffset(Scratch scratch) {
    return hasDisplacement(scratch) ? scratch.instructionByte(ZydisStructs.DISPLACEMENT_OFFSET) : NOT_THERE;
  }

  static byte immediateOffset(Scratch scratch) {
    return hasImmediate(scratch) ? scratch.instructionByte(ZydisStructs.IMMEDIATE_OFFSET) : NOT_THERE;
  }

  /** Where REX, XOP, VEX or EVEX is: they share a union, and the encoding tells which of them is there. */
  static byte prefixOffset(Scratch scratch) {
    return switch (encoding(scratch)) {
      case LEGACY, THREE_DNOW ->
        has(scratch, Zydis.ZYDIS_ATTRIB_HAS_REX())
            ? scratch.instructionByte(ZydisStructs.REX_OFFSET)
            : NOT_THERE;
      case XOP -> scratch.instructionByte(ZydisStructs.XOP_OFFSET);
      case VEX -> scratch.instructionByte(ZydisStructs.VEX_OFFSET);
      case EVEX -> scratch.instructionByte(ZydisStructs.EVEX_OFFSET);
      case MVEX -> NOT_THERE;
    };
  }

  static boolean hasRexW(Scratch scratch) {
    return encoding(scratch) == Encoding.LEGACY && has(scratch, Zydis.ZYDIS_ATTRIB_HAS_REX())
        && scratch.instructionByte(ZydisStructs.REX_W) != 0;
  }

  static boolean isRipRelative(Scratch scratch) {
    return hasModrm(scratch) && hasDisplacement(scratch) && has(scratch, Zydis.ZYDIS_ATTRIB_IS_RELATIVE())
        && scratch.instructionByte(ZydisStructs.MODRM_MOD) == 0
        && scratch.instructionByte(ZydisStructs.MODRM_RM) == 5;
  }

  static boolean isRelativeBranch(Scratch scratch) {
    return hasImmediate(scratch) && scratch.instructionByte(ZydisStructs.IMMEDIATE_IS_RELATIVE) != 0;
  }

  /**
   * The target of a relative branch or of a RIP-relative operand; 0 if it has neither. No instruction has
   * both.
   *
   * @param next the address behind the instruction
   * @param mode what the bytes are code for
   */
  static long target(Scratch scratch, long next, MachineMode mode) {
    if (isRipRelative(scratch)) {
      return cut(next + scratch.instructionLong(ZydisStructs.DISPLACEMENT),
          scratch.instructionByte(ZydisStructs.ADDRESS_WIDTH));
    }
    if (isRelativeBranch(scratch)) {
      return cut(next + scratch.instructionLong(ZydisStructs.IMMEDIATE), branchWidth(scratch, mode));
    }
    return 0;
  }

  /**
   * How many bits of rip a relative branch writes; xbegin, which is none by Zydis, says 32 but means them
   * all.
   */
  private static int branchWidth(Scratch scratch, MachineMode mode) {
    boolean branch = scratch.instructionInt(ZydisStructs.BRANCH_TYPE) != BranchKind.NONE.ordinal();
    return branch && scratch.instructionByte(ZydisStructs.OPERAND_WIDTH) == 16 ? 16 : mode.widthBits();
  }

  private static long cut(long value, int bits) {
    return bits == 64 ? value : value & (1L << bits) - 1;
  }

  /** The bits of rflags that are tested. */
  static int flagsRead(Scratch scratch) {
    long flags = scratch.instructionLong(ZydisStructs.CPU_FLAGS);
    return flags == 0 ? 0 : constant(flags + ZydisStructs.FLAGS_TESTED);
  }

  /** The bits of rflags that are changed, cleared, set, or left undefined. */
  static int flagsWritten(Scratch scratch) {
    long flags = scratch.instructionLong(ZydisStructs.CPU_FLAGS);
    return flags == 0
        ? 0
        : constant(flags + ZydisStructs.FLAGS_MODIFIED) | constant(flags + ZydisStructs.FLAGS_SET_0)
            | constant(flags + ZydisStructs.FLAGS_SET_1) | constant(flags + ZydisStructs.FLAGS_UNDEFINED);
  }

  /** Reads one of the tables in the library, which stays loaded. */
  private static int constant(long address) {
    return ZydisCalls.MEMORY.get(ValueLayout.JAVA_INT, address);
  }
}
