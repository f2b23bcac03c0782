package io.xolotl.lab.generation;

import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;

/** Kinds of operands, in a few letters. */
final class OperandForm {

  private OperandForm() {}

  static String of(Operand operand) {
    return switch (operand) {
      case Operand.OfRegister _ -> "r";
      case Operand.OfMemory memory -> "m" + memory.base().map(OperandForm::base).orElse("")
          + (memory.index().isPresent() ? "x" : "") + switch (memory.segment().name()) {
            case "fs", "gs" -> "f";
            default -> "";
          };
      case Operand.OfImmediate _ -> "i";
      case Operand.OfFarPointer _ -> "p";
    };
  }

  private static String base(Register register) {
    return register.name().endsWith("ip") ? "i" : register.name().equals("rsp") ? "s" : "b";
  }
}
