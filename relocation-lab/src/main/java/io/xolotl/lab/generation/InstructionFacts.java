package io.xolotl.lab.generation;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;
import io.xolotl.lab.oracle.MachineState;
import java.util.Optional;

/** What is to be known of an instruction before it is executed. */
final class InstructionFacts {

  private InstructionFacts() {}

  /**
   * Returns true if an instruction stores registers of x87 and vectors in an image, which shows more than
   * they hold: the address of the last x87 instruction, and whether a register in its initial state has been
   * in use since the last context switch. Behind other instructions neither is the same twice.
   */
  static boolean savesVectors(DecodedInstruction instruction) {
    return instruction.mnemonic().matches("f?xsave.*|fn?st?save|fnstenv|fnsave|xgetbv");
  }

  /**
   * Returns true if an instruction gives registers their initial state. Where xrstor does that to bits 128 to
   * 255 of a vector register and leaves those above, an AMD EPYC at least shows the old bits again once the
   * thread has been stopped twice with an instruction in between, also where nothing is displaced: a loop in
   * C under ptrace sees it in one of twenty cases.
   */
  static boolean restoresVectors(DecodedInstruction instruction) {
    return instruction.mnemonic().startsWith("xrstor");
  }

  static DecodedInstruction decode(byte[] code, long address) {
    if (Decoder.forThisCpu().decode(code, address) instanceof DecodedInstruction instruction) {
      return instruction;
    }
    throw new IllegalStateException("another displacement has made an instruction invalid");
  }

  /** Where an operand is in memory; of one with a vector for an index, where index 0 is. */
  static long effectiveAddress(Operand.OfMemory memory, DecodedInstruction instruction, MachineState state) {
    long offset = memory.displacement();
    if (instruction.isRipRelative() && memory.base().isPresent()
        && memory.base().get().name().endsWith("ip")) {
      offset = instruction.ripRelativeTarget().getAsLong();
    }
    offset += value(memory.base(), state) + value(memory.index(), state) * memory.scale();
    if (instruction.addressSize() == 32) {
      offset &= 0xffff_ffffL;
    }
    return offset + switch (memory.segment().name()) {
      case "fs" -> state.fsBase();
      case "gs" -> state.gsBase();
      default -> 0;
    };
  }

  private static long value(Optional<Register> register, MachineState state) {
    return register.flatMap(Register::gpr).map(gpr -> state.general(gpr.index())).orElse(0L);
  }
}
