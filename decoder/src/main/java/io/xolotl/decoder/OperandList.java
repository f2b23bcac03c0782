package io.xolotl.decoder;

import io.xolotl.decoder.backend.RawOperand;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The operands of one instruction, and what follows from them. Most instructions are never asked for any.
 *
 * <p>So they are not part of the {@link DecodedInstruction}, which decodes them when first asked, and keeps
 * them here. What only needs to know which general registers there are asks {@link
 * DecodedInstruction#gprMask}.
 *
 * <p>Immutable, and safe to use from any thread: one is safely published even by a race, as everything in it
 * is final; at worst two threads decode the same.
 */
final class OperandList {

  private static final List<Operand.Visibility> VISIBILITIES = List.of(Operand.Visibility.values());
  // Always, or under a condition.
  private static final int READ = 1 | 4;
  private static final int WRITTEN = 2 | 8;

  private final List<Operand> operands;

  private OperandList(List<Operand> operands) {
    this.operands = operands;
  }

  static OperandList of(Decoder decoder, List<RawOperand> operands) {
    var all = new Operand[operands.size()];
    for (int i = 0; i < all.length; i++) {
      all[i] = operand(decoder.registers(), operands.get(i));
    }
    return new OperandList(List.of(all));
  }

  private static Operand operand(List<Register> registers, RawOperand raw) {
    int width = raw.width();
    var visibility = VISIBILITIES.get(raw.visibility() - 1);
    boolean read = (raw.actions() & READ) != 0;
    boolean written = (raw.actions() & WRITTEN) != 0;
    return switch (raw.kind()) {
      case RawOperand.REGISTER ->
        new Operand.OfRegister(registers.get(raw.register()), width, visibility, read, written);
      case RawOperand.MEMORY -> new Operand.OfMemory(registers.get(raw.segment()),
          register(registers, raw.base()), register(registers, raw.index()), raw.scale(), raw.displacement(),
          raw.memoryKind() == RawOperand.ADDRESS_ONLY, width, visibility, read, written);
      case RawOperand.POINTER ->
        new Operand.OfFarPointer(raw.selector(), (int) raw.value(), width, visibility);
      default -> new Operand.OfImmediate(raw.value(), raw.relative(), width, visibility);
    };
  }

  private static Optional<Register> register(List<Register> registers, int number) {
    return number == 0 ? Optional.empty() : Optional.of(registers.get(number));
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
