package io.xolotl.decoder;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The operands of one instruction, and what follows from them. Most instructions are never asked for any, and
 * to decode them takes Zydis another call.
 *
 * <p>So they are not part of the {@link Instruction}, which decodes them when first asked, and keeps them
 * here. What only needs to know which general registers there are asks {@link #gprMask}, which keeps nothing.
 *
 * <p>Immutable, and safe to use from any thread: one is safely published even by a race, as everything in it
 * is final; at worst two threads decode the same.
 */
final class OperandList {

  private final List<Operand> operands;

  private OperandList(List<Operand> operands) {
    this.operands = List.copyOf(operands);
  }

  static OperandList of(Decoder decoder, Instruction instruction) {
    Scratch scratch = Scratch.take();
    try {
      decoder.decodeOperands(scratch, instruction);
      var decoded = new ArrayList<Operand>();
      int count = scratch.instructionByte(ZydisStructs.OPERAND_COUNT);
      for (int i = 0; i < count; i++) {
        decoded.add(NativeOperand.read(scratch.operands, i, decoder.tables()));
      }
      return new OperandList(decoded);
    } finally {
      scratch.giveBack();
    }
  }

  /** One bit for each general register of which a part is used. Allocates nothing. */
  static int gprMask(Decoder decoder, Instruction instruction) {
    Scratch scratch = Scratch.take();
    try {
      decoder.decodeOperands(scratch, instruction);
      int mask = 0;
      int count = scratch.instructionByte(ZydisStructs.OPERAND_COUNT);
      for (int i = 0; i < count; i++) {
        mask |= NativeOperand.gprMask(scratch.operands, i, decoder.tables());
      }
      return mask;
    } finally {
      scratch.giveBack();
    }
  }

  List<Operand> all() {
    return operands;
  }

  /** The registers that are read: explicitly, implicitly, hidden, or to compute an address. */
  Set<Register> registersRead() {
    var registers = new LinkedHashSet<Register>();
    for (Operand operand : operands) {
      switch (operand) {
        case Operand.OfRegister r when r.read() -> registers.add(r.register());
        case Operand.OfMemory m -> {
          registers.add(m.segment());
          m.base().ifPresent(registers::add);
          m.index().ifPresent(registers::add);
        }
        case Operand.OfRegister _ -> {
        }
        case Operand.OfImmediate _ -> {
        }
        case Operand.OfFarPointer _ -> {
        }
      }
    }
    return registers;
  }

  /** The registers that are written: explicitly, implicitly or hidden. */
  Set<Register> registersWritten() {
    var registers = new LinkedHashSet<Register>();
    for (Operand operand : operands) {
      if (operand instanceof Operand.OfRegister r && r.written()) {
        registers.add(r.register());
      }
    }
    return registers;
  }
}
