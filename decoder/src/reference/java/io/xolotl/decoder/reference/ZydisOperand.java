package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.RawOperand;
import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Reads an array of {@code ZydisDecodedOperand}. */
final class ZydisOperand {

  private ZydisOperand() {}

  static RawOperand read(MemorySegment operands, int index) {
    long at = index * ZydisStructs.OPERAND_SIZE;
    int width = Short.toUnsignedInt(operands.get(ValueLayout.JAVA_SHORT, at + ZydisStructs.OPERAND_BITS));
    int visibility = intAt(operands, at + ZydisStructs.OPERAND_VISIBILITY);
    int actions = operands.get(ValueLayout.JAVA_BYTE, at + ZydisStructs.OPERAND_ACTIONS) & 15;
    int type = intAt(operands, at + ZydisStructs.OPERAND_TYPE);
    if (type == Zydis.ZYDIS_OPERAND_TYPE_REGISTER()) {
      return new RawOperand(RawOperand.REGISTER, visibility, actions, width,
          intAt(operands, at + ZydisStructs.REGISTER), 0, 0, 0, 0, 0, 0, 0, false, 0);
    }
    if (type == Zydis.ZYDIS_OPERAND_TYPE_MEMORY()) {
      return new RawOperand(RawOperand.MEMORY, visibility, actions, width, 0,
          intAt(operands, at + ZydisStructs.MEMORY_TYPE), intAt(operands, at + ZydisStructs.MEMORY_SEGMENT),
          intAt(operands, at + ZydisStructs.MEMORY_BASE), intAt(operands, at + ZydisStructs.MEMORY_INDEX),
          operands.get(ValueLayout.JAVA_BYTE, at + ZydisStructs.MEMORY_SCALE),
          operands.get(ValueLayout.JAVA_LONG, at + ZydisStructs.MEMORY_DISPLACEMENT), 0, false, 0);
    }
    if (type == Zydis.ZYDIS_OPERAND_TYPE_POINTER()) {
      int segment = Short
          .toUnsignedInt(operands.get(ValueLayout.JAVA_SHORT, at + ZydisStructs.POINTER_SEGMENT));
      return new RawOperand(RawOperand.POINTER, visibility, actions, width, 0, 0, 0, 0, 0, 0, 0,
          Integer.toUnsignedLong(intAt(operands, at + ZydisStructs.POINTER_OFFSET)), false, segment);
    }
    return new RawOperand(RawOperand.IMMEDIATE, visibility, actions, width, 0, 0, 0, 0, 0, 0, 0,
        operands.get(ValueLayout.JAVA_LONG, at + ZydisStructs.OPERAND_VALUE),
        operands.get(ValueLayout.JAVA_BYTE, at + ZydisStructs.OPERAND_IS_RELATIVE) != 0, 0);
  }

  /**
   * Takes the base away from an operand whose SIB byte has none (base 101 with mod 0, Intel SDM, volume 2,
   * table 2-3). Under an address-size prefix with REX.B Zydis 4 reports r13d instead and loses the
   * displacement (Zydis issue 592).
   */
  static void correctBase(Scratch scratch) {
    if (!isWithoutBase(scratch)) {
      return;
    }
    MemorySegment operands = scratch.operands;
    int count = scratch.instructionByte(ZydisStructs.OPERAND_COUNT);
    for (long at = 0; at < count * ZydisStructs.OPERAND_SIZE; at += ZydisStructs.OPERAND_SIZE) {
      if (intAt(operands, at + ZydisStructs.OPERAND_TYPE) == Zydis.ZYDIS_OPERAND_TYPE_MEMORY()
          && intAt(operands, at + ZydisStructs.OPERAND_VISIBILITY) == Zydis
              .ZYDIS_OPERAND_VISIBILITY_EXPLICIT()) {
        operands.set(ValueLayout.JAVA_INT, at + ZydisStructs.MEMORY_BASE, Zydis.ZYDIS_REGISTER_NONE());
        operands.set(ValueLayout.JAVA_BYTE, at + ZydisStructs.MEMORY_HAS_DISPLACEMENT, (byte) 1);
        operands.set(ValueLayout.JAVA_LONG, at + ZydisStructs.MEMORY_DISPLACEMENT,
            scratch.instructionLong(ZydisStructs.DISPLACEMENT));
      }
    }
  }

  private static boolean isWithoutBase(Scratch scratch) {
    return ZydisInstruction.has(scratch, Zydis.ZYDIS_ATTRIB_HAS_SIB())
        && scratch.instructionByte(ZydisStructs.MODRM_MOD) == 0
        && scratch.instructionByte(ZydisStructs.SIB_BASE) == 5;
  }

  /** One bit for each general register of which a part is the operand or part of its address. */
  static int generalMask(RawOperand operand, Names names) {
    return switch (operand.kind()) {
      case RawOperand.REGISTER -> names.generalMask(operand.register());
      case RawOperand.MEMORY -> names.generalMask(operand.base()) | names.generalMask(operand.index());
      default -> 0;
    };
  }

  private static int intAt(MemorySegment operands, long offset) {
    return operands.get(ValueLayout.JAVA_INT, offset);
  }
}
