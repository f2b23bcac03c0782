package io.xolotl.decoder;

import java.util.Optional;

/**
 * A copy that addresses its memory by a general register which the instruction does not use. The register
 * must hold {@link #value} when the copy is executed, and get its own value back afterwards, also if the copy
 * faults.
 *
 * @param instruction the original
 * @param register the register, never rsp or one of r8 to r15
 */
public record ScratchRegister(DecodedInstruction instruction, Gpr register) {

  /**
   * The copy of any instruction with an operand relative to rip: also of one that is emulated unless its
   * memory access faults.
   *
   * @param instruction an instruction
   * @return empty if it has no such operand, or uses all candidates
   */
  public static Optional<ScratchRegister> of(DecodedInstruction instruction) {
    return instruction.isRipRelative() ? Classifier.scratchRegister(instruction) : Optional.empty();
  }

  /**
   * {@return what to load: the address behind the original, cut to 32 bits if the operand is relative to eip}
   */
  public long value() {
    long next = instruction.nextAddress();
    return instruction.addressSize() == 32 ? next & 0xffff_ffffL : next;
  }

  /** {@return the bytes of the copy, as many as the original has} */
  public byte[] bytes() {
    return Classifier.withBase(instruction, register);
  }
}
