package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.ValueLayout;
import java.util.Map;

/**
 * Reads a {@code ZydisDecodedInstruction}. Many of its members mean something only if another says so: an
 * offset if the part is there, a prefix if the encoding has it.
 *
 * <p>So each method here answers one question about the instruction, and looks at all members that matter for
 * it. It reads from a scratch that its caller owns, and keeps nothing.
 */
final class ZydisInstruction {

  /** What a form tells of Zydis' attributes. */
  private static final Map<Long, Integer> ATTRIBUTES = Map.of(Zydis.ZYDIS_ATTRIB_HAS_LOCK(), Form.LOCK,
      Zydis.ZYDIS_ATTRIB_HAS_REP(), Form.REP, Zydis.ZYDIS_ATTRIB_HAS_REPE(), Form.REPE,
      Zydis.ZYDIS_ATTRIB_HAS_REPNE(), Form.REPNE, Zydis.ZYDIS_ATTRIB_IS_PRIVILEGED(), Form.PRIVILEGED,
      Zydis.ZYDIS_ATTRIB_HAS_OPERANDSIZE(), Form.OPERAND_SIZE);

  private static final int XOP_FIRST_MAP = 9;

  // The order of Zydis' segment prefixes: cs, ss, ds, es, fs, gs.
  private static final long[] SEGMENTS = {Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_ES(),
      Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_CS(), Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_SS(),
      Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_DS(), Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_FS(),
      Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_GS()};

  private ZydisInstruction() {}

  static boolean has(Scratch scratch, long attribute) {
    return (scratch.instructionLong(ZydisStructs.ATTRIBUTES) & attribute) != 0;
  }

  static int encoding(Scratch scratch) {
    return scratch.instructionInt(ZydisStructs.ENCODING);
  }

  /** What the tables tell as well; form 0. */
  static long layout(Scratch scratch) {
    int length = scratch.instructionByte(ZydisStructs.LENGTH);
    int space = space(scratch);
    int modrm = has(scratch, Zydis.ZYDIS_ATTRIB_HAS_MODRM())
        ? scratch.instructionByte(ZydisStructs.MODRM_OFFSET)
        : 0;
    int displacementSize = scratch.instructionByte(ZydisStructs.DISPLACEMENT_SIZE) / Byte.SIZE;
    int displacement = displacementSize == 0 ? 0 : scratch.instructionByte(ZydisStructs.DISPLACEMENT_OFFSET);
    int immediate = scratch.instructionByte(ZydisStructs.IMMEDIATE_SIZE) == 0
        ? 0
        : scratch.instructionByte(ZydisStructs.IMMEDIATE_OFFSET);
    int opcode = space == Layout.THREE_DNOW
        ? length - 1
        : opcodeOffset(modrm, displacement, immediate, length);
    return Layout.pack(0, length, space, opcode, modrm, displacement, displacementSize, immediate,
        prefixOffset(scratch), scratch.instructionByte(ZydisStructs.ADDRESS_WIDTH), segment(scratch),
        has(scratch, Zydis.ZYDIS_ATTRIB_HAS_NOTRACK()));
  }

  /** The opcode is right before what follows it. */
  private static int opcodeOffset(int modrm, int displacement, int immediate, int length) {
    return (modrm != 0 ? modrm : displacement != 0 ? displacement : immediate != 0 ? immediate : length) - 1;
  }

  private static int space(Scratch scratch) {
    int encoding = encoding(scratch);
    int map = scratch.instructionInt(ZydisStructs.OPCODE_MAP);
    if (encoding == Zydis.ZYDIS_INSTRUCTION_ENCODING_LEGACY()) {
      return Layout.LEGACY + map;
    }
    if (encoding == Zydis.ZYDIS_INSTRUCTION_ENCODING_3DNOW()) {
      return Layout.THREE_DNOW;
    }
    if (encoding == Zydis.ZYDIS_INSTRUCTION_ENCODING_XOP()) {
      return Layout.XOP + map - XOP_FIRST_MAP;
    }
    return (encoding == Zydis.ZYDIS_INSTRUCTION_ENCODING_VEX() ? Layout.VEX : Layout.EVEX) + map;
  }

  private static int segment(Scratch scratch) {
    for (int i = 0; i < SEGMENTS.length; i++) {
      if (has(scratch, SEGMENTS[i])) {
        return i + 1;
      }
    }
    return 0;
  }

  /** Where REX, XOP, VEX or EVEX is: they share a union, and the encoding tells which of them is there. */
  private static int prefixOffset(Scratch scratch) {
    int encoding = encoding(scratch);
    if (encoding == Zydis.ZYDIS_INSTRUCTION_ENCODING_XOP()) {
      return scratch.instructionByte(ZydisStructs.XOP_OFFSET);
    }
    if (encoding == Zydis.ZYDIS_INSTRUCTION_ENCODING_VEX()) {
      return scratch.instructionByte(ZydisStructs.VEX_OFFSET);
    }
    if (encoding == Zydis.ZYDIS_INSTRUCTION_ENCODING_EVEX()) {
      return scratch.instructionByte(ZydisStructs.EVEX_OFFSET);
    }
    return has(scratch, Zydis.ZYDIS_ATTRIB_HAS_REX()) ? scratch.instructionByte(ZydisStructs.REX_OFFSET) : -1;
  }

  static Form form(Scratch scratch) {
    boolean relative = scratch.instructionByte(ZydisStructs.IMMEDIATE_SIZE) != 0
        && scratch.instructionByte(ZydisStructs.IMMEDIATE_IS_RELATIVE) != 0;
    return new Form(scratch.instructionInt(ZydisStructs.MNEMONIC),
        scratch.instructionInt(ZydisStructs.CATEGORY), scratch.instructionInt(ZydisStructs.ISA_SET),
        scratch.instructionInt(ZydisStructs.BRANCH_TYPE),
        Byte.toUnsignedInt(scratch.instructionByte(ZydisStructs.OPERAND_WIDTH)), attributes(scratch),
        flagsRead(scratch), flagsWritten(scratch), relative);
  }

  private static int attributes(Scratch scratch) {
    return ATTRIBUTES.entrySet().stream().filter(e -> has(scratch, e.getKey())).mapToInt(Map.Entry::getValue)
        .sum();
  }

  /** The bits of rflags that are tested. */
  private static int flagsRead(Scratch scratch) {
    long flags = scratch.instructionLong(ZydisStructs.CPU_FLAGS);
    return flags == 0 ? 0 : constant(flags + ZydisStructs.FLAGS_TESTED);
  }

  /** The bits of rflags that are changed, cleared, set, or left undefined. */
  private static int flagsWritten(Scratch scratch) {
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
