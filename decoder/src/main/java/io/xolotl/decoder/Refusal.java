package io.xolotl.decoder;

/** Why an instruction cannot be probed. */
public enum Refusal {
  /** {@code int3}, one byte, cc. */
  BREAKPOINT_EXISTS("a breakpoint instruction that belongs to somebody else is already there"),
  /** The CPU would fault on it, or the decoder does not know it. */
  UNDECODABLE("the bytes are no instruction that the decoder knows"),
  /** The bytes end, or the memory behind them is not mapped. */
  TRUNCATED("the instruction continues behind the bytes that could be read"),
  /** The architecture's limit is 15 bytes. */
  TOO_LONG("the instruction is longer than 15 bytes"),
  /** A REX2 prefix (d5), or an EVEX prefix with one of the bits that APX gave a meaning. */
  APX("instructions of Intel APX are not supported"),
  /** Or another instruction of Knights Corner only. */
  MVEX("instructions of Knights Corner are not supported"),
  /** Faults in user space, or could: {@code hlt}, {@code cli}, {@code rdmsr}, {@code sgdt}. */
  PRIVILEGED("the instruction is privileged or depends on the privilege level"),
  /** {@code in}, {@code out} and their string forms. */
  IO("the instruction accesses I/O ports, which needs privileges"),
  /** {@code iret}, {@code sysret}, {@code uiret} and {@code rsm} are among them. */
  FAR_BRANCH("a far branch or a return from the kernel may change the code segment or the privilege level"),
  /**
   * {@code int n}, {@code int1}, {@code into}; not {@code int 0x80} in 32-bit code, which is the system call
   * there.
   */
  SOFTWARE_INTERRUPT("a software interrupt enters the kernel with the address of the copy"),
  /**
   * Prefix 66 on a near branch, not overridden by REX.W, or on any {@code ret}; in 32-bit code it cuts eip to
   * 16 bits.
   */
  OPERAND_SIZE_BRANCH(
      "a near branch with an operand-size prefix cuts its target, or not, as the CPU's maker likes"),
  /**
   * Prefix f2 or f3 on {@code loope} or {@code loopne}: on AMD CPUs the prefix decides which of the two it
   * is.
   */
  REPEATED_LOOP("a repeat prefix changes what some CPUs take a loope or loopne for"),
  /** {@code mov ss}, {@code pop ss}, {@code lss}. */
  INTERRUPT_SHADOW("a load of ss holds back traps until after the next instruction"),
  /** {@code xbegin}, {@code xend}, {@code xabort}. */
  TRANSACTION("a trap aborts a hardware transaction"),
  /** {@code enclu}, {@code encls}, {@code enclv}, {@code getsec}. */
  ENCLAVE("the instruction enters, leaves or manages an enclave or a measured environment"),
  /** {@code vmcall}, {@code vmfunc}, {@code vmrun}, {@code tdcall} and the like. */
  VIRTUALIZATION("the instruction talks to a hypervisor"),
  /** {@code sysenter}, and in 32-bit code {@code syscall}: both return to a fixed address in the vDSO. */
  SYSENTER("the system call does not return to the instruction behind it"),
  /** Everything of CET that writes shadow stacks; a copy would be right for a thread that has none. */
  SHADOW_STACK("the instruction changes the shadow stack"),
  /** Only under {@link RelocationPolicy#STRICT}. */
  RIP_RELATIVE_UNDER_STRICT(
      "the strict policy does not allow changing a copy that addresses memory relative to rip"),
  /**
   * Out of reach of a 32-bit displacement, or relative to {@code eip}, and every candidate register is in
   * use.
   */
  NO_SCRATCH_REGISTER(
      "the copy needs a register to address its memory, and the instruction uses all candidates");

  private final String description;

  Refusal(String description) {
    this.description = description;
  }

  /** {@return one clause for people, without a full stop} */
  public String description() {
    return description;
  }
}
