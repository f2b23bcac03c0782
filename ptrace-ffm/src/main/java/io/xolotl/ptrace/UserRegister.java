package io.xolotl.ptrace;

/**
 * The registers of a thread in the order of the kernel's {@code struct user_regs_struct}
 * (arch/x86/include/asm/user_64.h), which is what {@code PTRACE_GETREGS} fills.
 */
@SuppressWarnings("doclint:missing") // The names say all.
public enum UserRegister {
  R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI,
  /**
   * Number of the system call the thread is in, or −1; decides whether the kernel restarts an interrupted
   * one.
   */
  ORIG_RAX, RIP, CS, RFLAGS, RSP, SS, FS_BASE, GS_BASE, DS, ES, FS, GS;

  private static final UserRegister[] BY_HARDWARE_NUMBER = {RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9,
      R10,
      R11, R12, R13, R14, R15};

  /**
   * {@return the general register with the number that instructions encode}
   *
   * @param hardwareNumber 0 (rax) to 15 (r15)
   */
  public static UserRegister general(int hardwareNumber) {
    return BY_HARDWARE_NUMBER[hardwareNumber];
  }
}
