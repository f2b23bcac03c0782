package io.xolotl.decoder;

import java.util.Optional;

/** What happens to an instruction that is moved out of line. */
public sealed interface Classification {

  /**
   * Says what happens to an instruction. The answer depends on nothing but the arguments, and there always is
   * one.
   *
   * @param decoding an instruction; what is undecodable is refused
   * @param policy whether copies may be changed
   * @return what happens to it
   */
  static Classification of(Decoding decoding, RelocationPolicy policy) {
    return switch (decoding) {
      case DecodedInstruction instruction -> Classifier.classify(instruction, policy);
      case Undecodable undecodable -> new Refuse(undecodable.reason().refusal());
    };
  }

  /** Returns which of the six this is. */
  Outcome outcome();

  /** The bytes are copied unchanged. */
  record Copy() implements Classification {
    @Override
    public Outcome outcome() {
      return Outcome.COPY;
    }
  }

  /**
   * The copy's 32-bit displacement, which is relative to the address behind the copy, is rewritten to reach
   * the same target.
   *
   * @param displacementOffset at which byte of the instruction the displacement starts
   * @param target the absolute address
   * @param alternative what to do where the target is out of the copy's reach
   */
  record ReDisplace(int displacementOffset, long target, Optional<ScratchRegister> alternative)
      implements
        Classification {
    @Override
    public Outcome outcome() {
      return Outcome.RE_DISPLACE;
    }
  }

  /**
   * The copy addresses its memory by a general register that the instruction does not use. The register must
   * hold {@link #value} when the copy is executed, and get its own value back afterwards, also if the copy
   * faults.
   *
   * @param instruction the original
   * @param register the register, never rsp or one of r8 to r15
   */
  record ScratchRegister(DecodedInstruction instruction, Gpr register) implements Classification {
    @Override
    public Outcome outcome() {
      return Outcome.SCRATCH_REGISTER;
    }

    /**
     * The copy that addresses its memory by a register, for any instruction with an operand relative to rip:
     * also one that is emulated unless its memory access faults.
     *
     * @param instruction an instruction
     * @return empty if it has no such operand, or uses all candidates
     */
    public static Optional<ScratchRegister> of(DecodedInstruction instruction) {
      return instruction.isRipRelative() ? Classifier.scratchRegister(instruction) : Optional.empty();
    }

    /**
     * Returns what to load: the address behind the original, cut to 32 bits if the operand is relative to
     * eip.
     */
    public long value() {
      long next = instruction.nextAddress();
      return instruction.addressSize() == 32 ? next & 0xffff_ffffL : next;
    }

    /** Returns the bytes of the copy, as many as the original has. */
    public byte[] bytes() {
      return Classifier.withBase(instruction, register);
    }
  }

  /** The effect is computed from the saved registers; nothing is executed out of line. */
  record Emulate(Emulation emulation) implements Classification {
    @Override
    public Outcome outcome() {
      return Outcome.EMULATE;
    }
  }

  /** The bytes are copied unchanged, and something is corrected after the copy was executed. */
  record FixUp(Kind kind) implements Classification {

    /** What is to be corrected. */
    public enum Kind {
      /** The kernel gets to see, and rcx holds, the address behind the copy; r11 holds rflags. */
      SYSCALL,
      /**
       * {@code int 0x80}, the system call of 32-bit code: the kernel gets to see the address behind the copy.
       */
      INT_80
    }

    @Override
    public Outcome outcome() {
      return Outcome.FIX_UP;
    }
  }

  /** No probe; nothing is written. */
  record Refuse(Refusal reason) implements Classification {
    @Override
    public Outcome outcome() {
      return Outcome.REFUSE;
    }
  }
}
