package io.xolotl.decoder;

import io.xolotl.decoder.Classification.Accept;
import io.xolotl.decoder.Classification.Refuse;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * The rules of relocation, decided from the decoded form alone: mnemonic, encoding, prefixes and operands. A
 * bare opcode byte means different things under a VEX prefix; the kernel's uprobes
 * (arch/x86/kernel/uprobes.c, Linux 6.18) look at it, and so skip {@code vpor} and take {@code vpsubsb} for a
 * call.
 */
final class Classifier {

  /** Legacy registers only: a copy needs no bit of REX to name one, so its length stays. */
  private static final List<Gpr> SCRATCH_CANDIDATES = List.of(Gpr.RSI, Gpr.RDI, Gpr.RBX, Gpr.RDX, Gpr.RAX,
      Gpr.RCX,
      Gpr.RBP);

  private static final Classification PLAIN = new Accept(new Effect.Plain());
  private static final Classification REPEATED = new Accept(new Effect.Repeated());
  private static final Classification SKIP = new Accept(new Effect.Nop());

  /** {@code mov} to a segment register: map 0, opcode 8e, with the register's number in modrm.reg. */
  private static final int MOVE_TO_SEGMENT = 0x8e;
  private static final int SS = 2;
  private static final int LINUX_SYSTEM_CALL = 0x80;

  /** Map 1, opcode 0d: with a register for its operand a nop to Intel, and invalid to AMD. */
  private static final int PREFETCHES = 0x10d;

  private Classifier() {}

  static Classification classify(DecodedInstruction instruction, RelocationPolicy policy) {
    return switch (instruction.rule()) {
      case Rule.Simple simple -> classify(simple, instruction, policy);
      case Rule.JumpIf(ConditionCode condition) ->
        branch(instruction, () -> new Effect.ConditionalJump(condition, instruction.target()));
      case Rule.LoopIf(LoopKind kind) -> loop(instruction, kind);
      case Rule.Never(Refusal reason) -> new Refuse(reason);
    };
  }

  /**
   * Returns true if the outcome is not the same for all instructions of a form, those with an operand
   * relative to rip apart from the others: where a register, a number, or a prefix decides that the form does
   * not tell. What is relative to eip is asked about each time.
   */
  static boolean looksBeyondForm(DecodedInstruction instruction) {
    return switch (instruction.rule()) {
      case Rule.Simple simple -> switch (simple) {
        case NOP -> instruction.isModrmRegister();
        case MOVE -> instruction.opcode() == MOVE_TO_SEGMENT;
        case JUMP, CALL, RETURN -> instruction.hasOperandSizePrefix();
        case PAUSE, INTERRUPT -> true;
        case COPY, PUSH, POP, PUSH_FLAGS, POP_FLAGS, LOAD_ADDRESS, SYSCALL -> false;
      };
      case Rule.JumpIf _ -> instruction.hasOperandSizePrefix();
      case Rule.LoopIf _ -> true;
      case Rule.Never _ -> false;
    };
  }

  private static Classification classify(Rule.Simple rule, DecodedInstruction instruction,
      RelocationPolicy policy) {
    int width = instruction.mode().widthBits();
    return switch (rule) {
      case NOP -> instruction.opcode() == PREFETCHES && instruction.isModrmRegister() ? PLAIN : SKIP;
      // Opcode 90 with REX.B is xchg with r8, whatever prefix f3 says; Zydis calls it pause all the same.
      case PAUSE -> instruction.hasRexB() ? PLAIN : SKIP;
      case JUMP -> branch(instruction,
          () -> instruction.isRelativeBranch()
              ? new Effect.Jump(instruction.target())
              : new Effect.IndirectJump(source(instruction), width));
      case CALL -> branch(instruction,
          () -> instruction.isRelativeBranch()
              ? new Effect.Call(instruction.target(), width)
              : new Effect.IndirectCall(source(instruction), width));
      case RETURN -> returned(instruction);
      case PUSH -> push(instruction, policy);
      case POP -> instruction.firstOperand() instanceof Operand.OfRegister operand
          && operand.register().name().equals("ss")
              ? new Refuse(Refusal.INTERRUPT_SHADOW)
              : relocate(instruction, policy);
      case PUSH_FLAGS -> new Accept(new Effect.PushFlags(instruction.operandSize()));
      case POP_FLAGS -> new Accept(new Effect.PopFlags(instruction.operandSize()));
      case LOAD_ADDRESS -> loadAddress(instruction);
      case MOVE -> instruction.opcode() == MOVE_TO_SEGMENT && instruction.modrmReg() == SS
          ? new Refuse(Refusal.INTERRUPT_SHADOW)
          : relocate(instruction, policy);
      case SYSCALL -> switch (instruction.mode()) {
        case LONG_64 -> new Accept(new Effect.SystemCall(Effect.SystemCall.Kind.SYSCALL));
        // On CPUs that have it in 32-bit code the kernel returns to the vDSO (do_fast_syscall_32 in
        // arch/x86/entry).
        case COMPAT_32 -> new Refuse(Refusal.SYSENTER);
      };
      case INTERRUPT -> interrupt(instruction);
      case COPY -> relocate(instruction, policy);
    };
  }

  private static Classification branch(DecodedInstruction instruction, Supplier<Effect> effect) {
    if (instruction.branchKind() == BranchKind.FAR) {
      return new Refuse(Refusal.FAR_BRANCH);
    }
    // In 64-bit code Intel ignores the prefix, AMD truncates rip to 16 bits; with REX.W both have 64 bits.
    if (instruction.hasOperandSizePrefix() && !instruction.hasRexW()) {
      return new Refuse(Refusal.OPERAND_SIZE_BRANCH);
    }
    return new Accept(effect.get());
  }

  private static Classification interrupt(DecodedInstruction instruction) {
    return instruction.mode() == MachineMode.COMPAT_32
        && instruction.firstOperand() instanceof Operand.OfImmediate number
        && (number.value() & 0xff) == LINUX_SYSTEM_CALL
            ? new Accept(new Effect.SystemCall(Effect.SystemCall.Kind.INT_80))
            : new Refuse(Refusal.SOFTWARE_INTERRUPT);
  }

  private static Classification loop(DecodedInstruction instruction, LoopKind kind) {
    boolean asksForZero = kind == LoopKind.LOOPE || kind == LoopKind.LOOPNE;
    return asksForZero && instruction.hasRepeatPrefix()
        ? new Refuse(Refusal.REPEATED_LOOP)
        : branch(instruction,
            () -> new Effect.Loop(kind, instruction.addressSize(), instruction.target()));
  }

  private static Classification returned(DecodedInstruction instruction) {
    if (instruction.branchKind() == BranchKind.FAR) {
      return new Refuse(Refusal.FAR_BRANCH);
    }
    if (instruction.hasOperandSizePrefix()) {
      return new Refuse(Refusal.OPERAND_SIZE_BRANCH);
    }
    int extra = instruction.firstOperand() instanceof Operand.OfImmediate immediate
        ? (int) immediate.value() & 0xffff
        : 0;
    return new Accept(new Effect.Return(extra, instruction.mode().widthBits()));
  }

  private static Classification push(DecodedInstruction instruction, RelocationPolicy policy) {
    int width = instruction.mode().widthBits();
    return instruction.firstOperand() instanceof Operand.OfRegister operand
        && operand.register().gpr().isPresent()
        && operand.widthBits() == width
            ? new Accept(new Effect.PushRegister(operand.register().gpr().get(), width))
            : relocate(instruction, policy);
  }

  private static Classification loadAddress(DecodedInstruction instruction) {
    if (instruction.isRipRelative() && instruction.firstOperand() instanceof Operand.OfRegister destination) {
      Gpr gpr = destination.register().gpr().orElseThrow();
      return new Accept(new Effect.LoadAddress(gpr, destination.widthBits(), instruction.target()));
    }
    return PLAIN;
  }

  private static BranchSource source(DecodedInstruction instruction) {
    return switch (instruction.firstOperand()) {
      case Operand.OfRegister operand -> new BranchSource.Register(operand.register().gpr().orElseThrow());
      case Operand.OfMemory operand -> source(instruction, operand);
      case Operand.OfImmediate _ -> throw new AssertionError(instruction);
      case Operand.OfFarPointer _ -> throw new AssertionError(instruction);
    };
  }

  private static BranchSource source(DecodedInstruction instruction, Operand.OfMemory operand) {
    Segment segment = switch (operand.segment().name()) {
      case "fs" -> Segment.FS;
      case "gs" -> Segment.GS;
      default -> Segment.NONE;
    };
    if (instruction.isRipRelative()) {
      return new BranchSource.Memory(segment, Optional.empty(), Optional.empty(), 1, instruction.target(),
          instruction.addressSize());
    }
    return new BranchSource.Memory(segment, operand.base().flatMap(Register::gpr),
        operand.index().flatMap(Register::gpr), Math.max(operand.scale(), 1), operand.displacement(),
        instruction.addressSize());
  }

  private static Classification relocate(DecodedInstruction instruction, RelocationPolicy policy) {
    if (instruction.isPrivileged()) {
      return new Refuse(Refusal.PRIVILEGED);
    }
    if (!instruction.isRipRelative()) {
      return instruction.isRepeated() ? REPEATED : PLAIN;
    }
    if (policy == RelocationPolicy.STRICT) {
      return new Refuse(Refusal.RIP_RELATIVE_UNDER_STRICT);
    }
    Optional<ScratchRegister> scratch = scratchRegister(instruction);
    if (instruction.addressSize() == 32) {
      // The address wraps at 4 GiB, where a displacement from the copy's own eip would not reach.
      return scratch.<Classification>map(register -> new Accept(new Effect.EipRelative(register)))
          .orElseGet(() -> new Refuse(Refusal.NO_SCRATCH_REGISTER));
    }
    return new Accept(new Effect.RipRelative(instruction.displacementOffset().orElseThrow(),
        instruction.target(), scratch));
  }

  static Optional<ScratchRegister> scratchRegister(DecodedInstruction instruction) {
    int used = instruction.gprMask();
    for (Gpr candidate : SCRATCH_CANDIDATES) {
      if ((used & 1 << candidate.index()) == 0) {
        return Optional.of(new ScratchRegister(instruction, candidate));
      }
    }
    return Optional.empty();
  }

  /**
   * Rewrites a RIP-relative instruction to address by a register. The displacement stays in place: modrm gets
   * mod 10, which has 32 bits of displacement as well (and, with EVEX, is not scaled as mod 01 is).
   */
  static byte[] withBase(DecodedInstruction instruction, Gpr base) {
    byte[] bytes = instruction.bytes();
    int modrm = instruction.modrmOffset();
    bytes[modrm] = (byte) (bytes[modrm] & 0b00_111_000 | 0b10_000_000 | base.index());
    int prefix = instruction.prefixOffset();
    if (prefix >= 0) {
      // Without a base the CPU ignores the bits that extend it, so the original may have them either way.
      switch (instruction.encoding()) {
        case LEGACY, THREE_DNOW -> bytes[prefix] &= ~0x01;
        case VEX -> {
          // That of two bytes, c5, has no such bit.
          if (bytes[prefix] == (byte) 0xc4) {
            bytes[prefix + 1] |= 0x20;
          }
        }
        case XOP -> bytes[prefix + 1] |= 0x20;
        case EVEX -> bytes[prefix + 1] |= 0x60;
      }
    }
    return bytes;
  }
}
