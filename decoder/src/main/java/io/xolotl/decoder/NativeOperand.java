package io.xolotl.decoder;

import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;

/** Reads an array of {@code ZydisDecodedOperand}. */
final class NativeOperand {

  private static final List<Operand.Visibility> VISIBILITIES = List.of(Operand.Visibility.values());

  private static final int READ = Zydis.ZYDIS_OPERAND_ACTION_READ() | Zydis.ZYDIS_OPERAND_ACTION_CONDREAD();
  private static final int WRITE = Zydis.ZYDIS_OPERAND_ACTION_WRITE()
      | Zydis.ZYDIS_OPERAND_ACTION_CONDWRITE();

  private NativeOperand() {}

  static Operand read(MemorySegment operands, int index, ZydisTables tables) {
    long at = index * ZydisStructs.OPERAND_SIZE;
    int width = Short.toUnsignedInt(operands.get(ValueLayout.JAVA_SHORT, at + ZydisStructs.OPERAND_BITS));
    var visibility = VISIBILITIES.get(intAt(operands, at + ZydisStructs.OPERAND_VISIBILITY) - 1);
    int actions = operands.get(ValueLayout.JAVA_BYTE, at + ZydisStructs.OPERAND_ACTIONS);
    boolean read = (actions & READ) != 0;
    boolean written = (actions & WRITE) != 0;
    int type = intAt(operands, at + ZydisStructs.OPERAND_TYPE);
    if (type == Zydis.ZYDIS_OPERAND_TYPE_REGISTER()) {
      Register register = tables.registers().get(intAt(operands, at + ZydisStructs.REGISTER));
      return new Operand.OfRegister(register, width, visibility, read, written);
    }
    if (type == Zydis.ZYDIS_OPERAND_TYPE_MEMORY()) {
      return new Operand.OfMemory(tables.registers().get(intAt(operands, at + ZydisStructs.MEMORY_SEGMENT)),
          register(tables, intAt(operands, at + ZydisStructs.MEMORY_BASE)),
          register(tables, intAt(operands, at + ZydisStructs.MEMORY_INDEX)),
          operands.get(ValueLayout.JAVA_BYTE, at + ZydisStructs.MEMORY_SCALE),
          operands.get(ValueLayout.JAVA_LONG, at + ZydisStructs.MEMORY_DISPLACEMENT),
          intAt(operands, at + ZydisStructs.MEMORY_TYPE) == Zydis.ZYDIS_MEMOP_TYPE_AGEN(), width, visibility,
          read,
          written);
    }
    if (type == Zydis.ZYDIS_OPERAND_TYPE_POINTER()) {
      int segment = Short
          .toUnsignedInt(operands.get(ValueLayout.JAVA_SHORT, at + ZydisStructs.POINTER_SEGMENT));
      return new Operand.OfFarPointer(segment, intAt(operands, at + ZydisStructs.POINTER_OFFSET), width,
          visibility);
    }
    return new Operand.OfImmediate(operands.get(ValueLayout.JAVA_LONG, at + ZydisStructs.OPERAND_VALUE),
        operands.get(ValueLayout.JAVA_BYTE, at + ZydisStructs.OPERAND_IS_RELATIVE) != 0, width, visibility);
  }

  /**
   * Takes the base away from an operand whose SIB byte has none (base 101 with mod 0, Intel SDM, volume 2,
   * table 2-3). Under an address-size prefix with REX.B Zydis 4 reports r13d instead and loses the
   * displacement (Zydis issue 592).
   */
  static void correctBase(Scratch scratch) {
    boolean hasSib = (scratch.instructionLong(ZydisStructs.ATTRIBUTES) & Zydis.ZYDIS_ATTRIB_HAS_SIB()) != 0;
    if (!hasSib || scratch.instructionByte(ZydisStructs.MODRM_MOD) != 0
        || scratch.instructionByte(ZydisStructs.SIB_BASE) != 5) {
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

  /** One bit for each general register of which a part is the operand or part of its address. */
  static int gprMask(MemorySegment operands, int index, ZydisTables tables) {
    long at = index * ZydisStructs.OPERAND_SIZE;
    List<Integer> masks = tables.gprMasks();
    int type = intAt(operands, at + ZydisStructs.OPERAND_TYPE);
    if (type == Zydis.ZYDIS_OPERAND_TYPE_REGISTER()) {
      return masks.get(intAt(operands, at + ZydisStructs.REGISTER));
    }
    if (type == Zydis.ZYDIS_OPERAND_TYPE_MEMORY()) {
      return masks.get(intAt(operands, at + ZydisStructs.MEMORY_BASE))
          | masks.get(intAt(operands, at + ZydisStructs.MEMORY_INDEX));
    }
    return 0;
  }

  private static int intAt(MemorySegment operands, long offset) {
    return operands.get(ValueLayout.JAVA_INT, offset);
  }

  private static Optional<Register> register(ZydisTables tables, int number) {
    return number == Zydis.ZYDIS_REGISTER_NONE()
        ? Optional.empty()
        : Optional.of(tables.registers().get(number));
  }
}
