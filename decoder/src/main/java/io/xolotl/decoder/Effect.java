package io.xolotl.decoder;

import java.util.Optional;

/**
 * What an instruction does that is executed elsewhere than in its place: one case for each way in which that
 * matters. Where the text does not say otherwise, rip becomes the address behind the instruction and flags
 * stay as they are. Targets are absolute addresses.
 *
 * <p>In 32-bit code rip and rsp are eip and esp: they have 32 bits and wrap at 4 GiB.
 *
 * <p>A thread with a shadow stack (CET) has one more effect: {@link Call}, {@link IndirectCall} and
 * {@link Return} move SSP too.
 */
public sealed interface Effect {

  /**
   * It does the same wherever its bytes are, and only names its place if it faults. x87 instructions are
   * among them, though the CPU keeps the address of the last one.
   */
  record Plain() implements Effect {}

  /**
   * The same for a string instruction with a repeat prefix, in the middle of which the CPU may be
   * interrupted, with rip still at it.
   */
  record Repeated() implements Effect {}

  /**
   * It accesses or addresses memory relative to rip, and does the same wherever it reaches that memory.
   *
   * @param displacementOffset at which byte of the instruction the 32-bit displacement starts, which is
   *     relative to the address behind the instruction
   * @param target the absolute address of the memory
   * @param alternative what to do where the target is out of a copy's reach
   */
  record RipRelative(int displacementOffset, long target, Optional<ScratchRegister> alternative)
      implements
        Effect {}

  /**
   * The same relative to eip in 64-bit code: the address wraps at 4 GiB, where a displacement from the copy's
   * own eip would not reach.
   *
   * @param scratch how a copy addresses the memory
   */
  record EipRelative(ScratchRegister scratch) implements Effect {}

  /**
   * A system call: the kernel gets to see the address behind the instruction, goes back there, and may start
   * others there.
   *
   * @param kind by which instruction
   */
  record SystemCall(Kind kind) implements Effect {

    /** By which instruction. */
    public enum Kind {
      /** {@code syscall}, behind which rcx holds the address behind it, and r11 rflags. */
      SYSCALL,
      /** {@code int 0x80} of 32-bit code. */
      INT_80
    }
  }

  /** Nothing else happens: every form of nop, {@code endbr64}, {@code pause} and the prefetches. */
  record Nop() implements Effect {}

  /**
   * rip becomes the target.
   *
   * @param target an absolute address
   */
  record Jump(long target) implements Effect {}

  /**
   * rip becomes the target if the condition holds.
   *
   * @param condition of the jump
   * @param target an absolute address
   */
  record ConditionalJump(ConditionCode condition, long target) implements Effect {}

  /**
   * rip becomes the target if the count says so.
   *
   * @param kind what is done to the count and asked of it
   * @param addressSize 64: the count is rcx; 32: it is ecx, and writing it clears the upper half of rcx; 16,
   *     in 32-bit code only: it is cx, and writing it keeps the other bits
   * @param target an absolute address
   */
  record Loop(LoopKind kind, int addressSize, long target) implements Effect {}

  /**
   * Pushes the address behind the instruction; rip becomes the target.
   *
   * @param target an absolute address
   * @param widthBits of what is pushed, 64 or 32
   */
  record Call(long target, int widthBits) implements Effect {}

  /**
   * rip becomes the value of the source; reading it may fault, with rip at the instruction.
   *
   * @param source where the target is
   * @param widthBits of the target, 64 or 32
   */
  record IndirectJump(BranchSource source, int widthBits) implements Effect {}

  /**
   * Reads the source, which may fault; pushes the address behind the instruction; rip becomes the value read.
   *
   * @param source where the target is
   * @param widthBits of the target and of what is pushed, 64 or 32
   */
  record IndirectCall(BranchSource source, int widthBits) implements Effect {}

  /**
   * Pops rip, and then adds to rsp.
   *
   * @param extraPopBytes 0 to 65,535
   * @param widthBits of what is popped, 64 or 32
   */
  record Return(int extraPopBytes, int widthBits) implements Effect {}

  /**
   * Pushes a register; {@code push rsp} stores rsp's value before the push.
   *
   * @param register which one
   * @param widthBits of what is pushed, 64 or 32
   */
  record PushRegister(Gpr register, int widthBits) implements Effect {}

  /**
   * Loads the constant that {@code lea} computes from rip.
   *
   * @param destination the register
   * @param widthBits 64; or 32, which clears the register's upper half; or 16, which keeps the other 48 bits
   * @param address the address, which is cut to the width
   */
  record LoadAddress(Gpr destination, int widthBits, long address) implements Effect {}

  /**
   * Pushes rflags, with RF and VM clear and the program's own TF, never the tracer's (Intel SDM, volume 2,
   * PUSHF).
   *
   * @param widthBits 64, 32 or 16
   */
  record PushFlags(int widthBits) implements Effect {}

  /**
   * Pops rflags; in user space IOPL, VM, VIF and VIP stay, and IF too unless IOPL is 3; TF belongs to the
   * program (Intel SDM, volume 2, POPF).
   *
   * @param widthBits 64 or 32; or 16, which leaves the upper bits alone
   */
  record PopFlags(int widthBits) implements Effect {}

  /**
   * {@return true if the instruction may lead elsewhere than behind itself} Of a system call only the kernel
   * knows, so it is none of them.
   */
  default boolean changesRip() {
    return switch (this) {
      case Jump _, ConditionalJump _, Loop _, Call _, IndirectJump _, IndirectCall _, Return _ -> true;
      case Plain _, Repeated _, RipRelative _, EipRelative _, SystemCall _ -> false;
      case Nop _, PushRegister _, LoadAddress _, PushFlags _, PopFlags _ -> false;
    };
  }

  /** {@return which of the outcomes it is} */
  default Outcome outcome() {
    return switch (this) {
      case Plain _, Repeated _ -> Outcome.COPY;
      case RipRelative _ -> Outcome.RE_DISPLACE;
      case EipRelative _ -> Outcome.SCRATCH_REGISTER;
      case SystemCall _ -> Outcome.FIX_UP;
      case Jump _, ConditionalJump _, Loop _, Call _, IndirectJump _, IndirectCall _, Return _ ->
        Outcome.EMULATE;
      case Nop _, PushRegister _, LoadAddress _, PushFlags _, PopFlags _ -> Outcome.EMULATE;
    };
  }
}
