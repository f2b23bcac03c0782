package io.xolotl.decoder;

/**
 * What an emulated instruction does to the saved registers and to memory. Where the text does not say
 * otherwise, rip becomes the address behind the instruction and flags stay as they are. Targets are absolute
 * addresses.
 *
 * <p>In 32-bit code rip and rsp are eip and esp: they have 32 bits and wrap at 4 GiB.
 *
 * <p>A thread with a shadow stack (CET) has one more effect: {@link Call}, {@link IndirectCall} and
 * {@link Return} move SSP too.
 */
public sealed interface Emulation {

  /** Nothing else happens: every form of nop, {@code endbr64}, {@code pause} and the prefetches. */
  record Nop() implements Emulation {}

  /** rip becomes the target. */
  record Jump(long target) implements Emulation {}

  /** rip becomes the target if the condition holds. */
  record ConditionalJump(ConditionCode condition, long target) implements Emulation {}

  /**
   * rip becomes the target if the count says so.
   *
   * @param kind what is done to the count and asked of it
   * @param addressSize 64: the count is rcx; 32: it is ecx, and writing it clears the upper half of rcx; 16,
   *     in 32-bit code only: it is cx, and writing it keeps the other bits
   * @param target an absolute address
   */
  record Loop(LoopKind kind, int addressSize, long target) implements Emulation {}

  /**
   * Pushes the address behind the instruction; rip becomes the target.
   *
   * @param target an absolute address
   * @param widthBits of what is pushed, 64 or 32
   */
  record Call(long target, int widthBits) implements Emulation {}

  /**
   * rip becomes the value of the source; reading it may fault, with rip at the instruction.
   *
   * @param source where the target is
   * @param widthBits of the target, 64 or 32
   */
  record IndirectJump(BranchSource source, int widthBits) implements Emulation {}

  /**
   * Reads the source, which may fault; pushes the address behind the instruction; rip becomes the value read.
   *
   * @param source where the target is
   * @param widthBits of the target and of what is pushed, 64 or 32
   */
  record IndirectCall(BranchSource source, int widthBits) implements Emulation {}

  /**
   * Pops rip, and then adds to rsp.
   *
   * @param extraPopBytes 0 to 65,535
   * @param widthBits of what is popped, 64 or 32
   */
  record Return(int extraPopBytes, int widthBits) implements Emulation {}

  /**
   * Pushes a register; {@code push rsp} stores rsp's value before the push.
   *
   * @param register which one
   * @param widthBits of what is pushed, 64 or 32
   */
  record PushRegister(Gpr register, int widthBits) implements Emulation {}

  /**
   * Loads the constant that {@code lea} computes from rip.
   *
   * @param destination the register
   * @param widthBits 64; or 32, which clears the register's upper half; or 16, which keeps the other 48 bits
   * @param address the address, which is cut to the width
   */
  record LoadAddress(Gpr destination, int widthBits, long address) implements Emulation {}

  /**
   * Pushes rflags, with RF and VM clear and the program's own TF, never the tracer's (Intel SDM, volume 2,
   * PUSHF).
   *
   * @param widthBits 64, 32 or 16
   */
  record PushFlags(int widthBits) implements Emulation {}

  /**
   * Pops rflags; in user space IOPL, VM, VIF and VIP stay, and IF too unless IOPL is 3; TF belongs to the
   * program (Intel SDM, volume 2, POPF).
   *
   * @param widthBits 64 or 32; or 16, which leaves the upper bits alone
   */
  record PopFlags(int widthBits) implements Emulation {}

  /** Returns true if the instruction may lead elsewhere than behind itself. */
  default boolean changesRip() {
    return switch (this) {
      case Jump _, ConditionalJump _, Loop _, Call _, IndirectJump _, IndirectCall _, Return _ -> true;
      case Nop _, PushRegister _, LoadAddress _, PushFlags _, PopFlags _ -> false;
    };
  }
}
