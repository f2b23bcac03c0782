package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;

/**
 * Executes system calls in a stopped thread of the target.
 *
 * <p>All of the thread's state that this disturbs is saved before and put back after: registers, the signal mask
 * (blocked meanwhile, so that no handler of the program runs in between), the signal of its signal-delivery-stop, and
 * its group-stop. {@code orig_rax} is −1 during the call, so that the kernel does not restart the program's own
 * interrupted call with our registers, and put back after it, so that it does restart it then.
 */
final class RemoteCall {

  private static final Register[] ARGUMENTS = {Register.RDI, Register.RSI, Register.RDX, Register.R10,
      Register.R8, Register.R9};

  /** Faults must stay unblocked: the kernel resets the handler of a blocked one (force_sig_info_to_task). */
  private static final long ALL_BUT_FAULTS = ~(bit(Signals.SIGILL) | bit(Signals.SIGTRAP)
      | bit(Signals.SIGBUS)
      | bit(Signals.SIGFPE) | bit(Signals.SIGSEGV) | bit(Signals.SIGSTOP) | bit(Signals.SIGKILL));

  private RemoteCall() {}

  private static long bit(int signal) {
    return 1L << signal - 1;
  }

  static long systemCall(TracedThread thread, int number, long... arguments) {
    if (!thread.isAtUserBoundary()) {
      throw new IllegalStateException(
          thread + " is not stopped on its way to user mode but " + thread.stop());
    }
    WaitStatus.Stopped before = java.util.Objects.requireNonNull(thread.stop());
    SignalInfo signal = null;
    if (before instanceof WaitStatus.Signal) {
      signal = new SignalInfo();
      thread.readSignalInfo(signal);
    }
    var saved = new Registers();
    thread.readRegisters(saved);
    long mask = thread.signalMask();
    thread.signalMask(mask | ALL_BUT_FAULTS);
    var registers = new Registers();
    registers.copyFrom(saved);
    registers.rip(thread.process().systemCallInstruction());
    registers.rax(number);
    registers.set(Register.ORIG_RAX, -1);
    for (int i = 0; i < arguments.length; i++) {
      registers.set(ARGUMENTS[i], arguments[i]);
    }
    thread.writeRegisters(registers);
    long instruction = registers.rip();
    try {
      do {
        thread.step(0);
        // PTRACE_EVENT_STOP can come first, before the instruction or between it and its trap.
      } while (!(thread.awaitStop() instanceof WaitStatus.Signal(int s) && s == Signals.SIGTRAP));
      thread.readRegisters(registers);
      if (registers.rip() != instruction + 2) {
        throw new PtraceException(Reason.REMOTE_CALL_FAILED, "system call " + number + " in " + thread
            + ": the thread stopped at 0x" + Long.toHexString(registers.rip()) + " instead");
      }
      return registers.rax();
    } finally {
      if (thread.stop() != null) {
        thread.writeRegisters(saved);
        thread.signalMask(mask);
        if (signal != null) {
          thread.writeSignalInfo(signal);
        }
        putBack(thread, before);
      }
    }
  }

  /** The thread is in the signal-delivery-stop of our trap now; its user must find it in the stop it was in. */
  private static void putBack(TracedThread thread, WaitStatus.Stopped before) {
    if (before instanceof WaitStatus.GroupStop) {
      // With the process's stop flag still set, an interrupted thread reports the group-stop again.
      thread.interrupt();
      thread.cont(0);
      thread.awaitStop();
    } else {
      thread.markStopped(before);
    }
  }
}
