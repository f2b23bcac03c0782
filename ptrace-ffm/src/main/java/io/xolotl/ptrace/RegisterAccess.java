package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

/**
 * Reads and writes the registers of one thread. Which request sets them depends on the kind of code that the
 * thread is in, and a request that sets all is refused for values which programs may have.
 *
 * <p>So the kind of code that the registers told of last is remembered, and only those registers are set that
 * were changed.
 *
 * <p>Tracer thread only; the thread is stopped.
 */
final class RegisterAccess {

  private final ThreadRequests requests;
  /** By the code segment that was read or written last. */
  private boolean in32BitCode;

  RegisterAccess(ThreadRequests requests) {
    this.requests = requests;
  }

  void read(Registers registers) {
    Scratch s = requests.scratch();
    requests.make(s, Ptrace.GETREGS, 0, s.registers.address());
    registers.load(s.registers);
    in32BitCode = Abi.of(registers) == Abi.I386;
  }

  /**
   * Sets registers.
   *
   * @see TracedThread#writeRegisters
   */
  void write(Registers registers) {
    Scratch s = requests.scratch();
    boolean was32BitCode = in32BitCode;
    in32BitCode = Abi.of(registers) == Abi.I386;
    if (was32BitCode) {
      writeIn32BitCode(s, registers);
      return;
    }
    s.vector.set(JAVA_LONG, 0, s.registers.address());
    s.vector.set(JAVA_LONG, 8, registers.store(s.registers));
    requests.make(s, Ptrace.SETREGSET, Ptrace.NT_PRSTATUS, s.vector.address());
  }

  /**
   * PTRACE_SETREGSET means i386's registers where the thread is in 32-bit code (task_user_regset_view() of
   * the thread), and PTRACE_SETREGS means those of the tracer. The latter sets all, so where one is refused
   * they are set one by one.
   */
  private void writeIn32BitCode(Scratch s, Registers registers) {
    registers.storeAll(s.registers);
    boolean refused = requests.attempt(s, Ptrace.SETREGS, 0, s.registers.address()) < 0;
    long bytes = registers.store(s.registers);
    for (long offset = 0; refused && offset < bytes; offset += 8) {
      requests.make(s, Ptrace.POKEUSR, offset, s.registers.get(JAVA_LONG, offset));
    }
  }

  VectorState readVectorState() {
    Scratch s = requests.scratch();
    s.vector.set(JAVA_LONG, 0, s.xstate.address());
    s.vector.set(JAVA_LONG, 8, s.xstate.byteSize());
    requests.make(s, Ptrace.GETREGSET, Ptrace.NT_X86_XSTATE, s.vector.address());
    // The kernel reports how much this CPU has.
    return new VectorState(s.xstate.asSlice(0, s.vector.get(JAVA_LONG, 8)));
  }

  void writeVectorState(VectorState state) {
    Scratch s = requests.scratch();
    s.xstate.copyFrom(state.segment());
    s.vector.set(JAVA_LONG, 0, s.xstate.address());
    s.vector.set(JAVA_LONG, 8, state.size());
    requests.make(s, Ptrace.SETREGSET, Ptrace.NT_X86_XSTATE, s.vector.address());
  }
}
