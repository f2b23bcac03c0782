package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Executes system calls in a stopped thread of the target.
 *
 * <p>All of the thread's state that this disturbs is saved before and put back after: registers, the dispatch
 * of system calls to the program itself, the signal mask (blocked meanwhile, so that no handler of the
 * program runs in between), the signal of its signal-delivery-stop, and its group-stop. {@code orig_rax} is
 * −1 during the call, so that the kernel does not restart the program's own interrupted call with our
 * registers, and put back after it, so that it does restart it then.
 *
 * <p>The call is made as the program makes its own, whatever code the thread is in at the moment: a seccomp
 * filter need not allow the other {@link Abi}'s calls, and usually kills for them. What the kernel restarts
 * afterwards it tells from the interrupted call itself ({@code restart_block.arch_data},
 * get_nr_restart_syscall() in arch/x86/kernel/signal.c).
 *
 * <p>A thread under seccomp makes it only if {@link Seccomp} has nothing against it. Another thread may add a
 * filter to all of the process (SECCOMP_FILTER_FLAG_TSYNC) until the very moment of the call, also to one
 * that is stopped: seccomp_sync_threads() in kernel/seccomp.c needs the siglock and nothing else. So no other
 * thread of the process executes anything from the look until the call is made. (PTRACE_O_SUSPEND_SECCOMP
 * would do for those who may read filters anyway, and lift the sandbox of a thread if it could not be taken
 * back.)
 *
 * <p>A thread in sigsuspend, ppoll, pselect or epoll_pwait has a temporary mask and the program's own saved
 * beside it. PTRACE_GETSIGMASK tells the saved one, and PTRACE_SETSIGMASK replaces the temporary one and ends
 * that state (ptrace_request() in kernel/ptrace.c). The program does not notice: these calls restart, with
 * their temporary mask, unless a signal is delivered; one that only the temporary mask lets through is put
 * back into the queue by ptrace_signal() (kernel/signal.c), and reported and delivered once the call has
 * restarted. Only epoll_pwait does not restart but return EINTR, as after every stop, and such a signal then
 * waits for the next call of that kind.
 */
final class RemoteCall {

  /**
   * Blocked during the call. The trap that ends it must get through, and the SIGSYS of a seccomp filter, also
   * if the program blocks it: then the kernel would reset its action (force_sig_info_to_task() in
   * kernel/signal.c).
   */
  private static final long ALL_BUT_TRAPS = ~(1L << Signals.SIGTRAP - 1 | 1L << Signals.SIGSYS - 1);

  private final TracedThread thread;
  private final Registers saved = new Registers();
  /** Signals that cannot be blocked, SIGSTOP or a SIGTRAP that was sent, and arrived in between. */
  private final List<Integer> intruders = new ArrayList<>();
  /** The thread was asked to stop, or to join a group-stop, in between. */
  private boolean stopDue;

  /** The thread is under the tracer thread's own seccomp filters. */
  private final boolean trusted;

  private RemoteCall(TracedThread thread, boolean trusted) {
    this.thread = thread;
    this.trusted = trusted;
  }

  static long systemCall(TracedThread thread, int number, long... arguments) {
    return of(thread, false).run(number, arguments);
  }

  /**
   * The same in a child that the tracer thread has made, and that has executed nothing which adds a seccomp
   * filter: it has those that the tracer thread has.
   */
  static long systemCallOfChild(TracedThread thread, int number, long... arguments) {
    return of(thread, true).run(number, arguments);
  }

  private static RemoteCall of(TracedThread thread, boolean trusted) {
    if (!thread.isAtUserBoundary()) {
      throw new IllegalStateException(
          thread + " is not stopped on its way to user mode but " + thread.stop());
    }
    return new RemoteCall(thread, trusted);
  }

  private long run(int number, long... arguments) {
    thread.takeJobControl();
    WaitStatus.Stopped before = Objects.requireNonNull(thread.stop());
    SignalInfo signal = null;
    if (before instanceof WaitStatus.Signal) {
      signal = new SignalInfo();
      thread.readSignalInfo(signal);
    }
    thread.readRegisters(saved);
    abortRestartableSequence();
    long mask = thread.signalMask();
    Abi abi = thread.process().abi();
    var registers = new Registers();
    registers.copyFrom(saved);
    abi.enter(registers);
    long instruction = thread.process().systemCallSite().get();
    registers.rip(instruction);
    registers.rax(number);
    registers.set(UserRegister.ORIG_RAX, -1);
    for (int i = 0; i < arguments.length; i++) {
      registers.set(abi.argument(i), abi.word(arguments[i]));
    }
    if (!trusted) {
      // First where it costs nobody a stop.
      Seccomp.check(thread, registers);
      Standstill.of(thread);
      Seccomp.check(thread, registers);
    }
    SyscallDispatch dispatch = SyscallDispatch.suspend(thread.requests());
    try {
      thread.signalMask(ALL_BUT_TRAPS);
      thread.writeRegisters(registers);
      awaitTrap(instruction);
      insist(() -> thread.readRegisters(registers));
      if (registers.rip() != instruction + 2) {
        throw new PtraceException(Reason.REMOTE_CALL_FAILED, "system call " + number + " in " + thread
            + " did not return: the thread is stopped at 0x" + Long.toHexString(registers.rip()));
      }
      return abi.result(registers);
    } finally {
      if (thread.stop() != null) {
        SignalInfo delivered = signal;
        // What kind of code the thread is in now decides how registers are written.
        insist(() -> thread.readRegisters(registers));
        insist(() -> thread.writeRegisters(saved));
        insist(() -> thread.signalMask(mask));
        if (dispatch != null) {
          insist(dispatch::resume);
        }
        if (delivered != null) {
          insist(() -> thread.writeSignalInfo(delivered));
        }
        putBack(before);
      }
    }
  }

  /**
   * Once the call is made its result must be known, and the thread be put back: what fails is tried again,
   * unless the thread is gone.
   */
  private static void insist(Runnable request) {
    try {
      request.run();
    } catch (ThreadGoneException e) {
      throw e;
    } catch (PtraceException e) {
      request.run();
    }
  }

  private void awaitTrap(long instruction) {
    var info = new SignalInfo();
    var registers = new Registers();
    int deliver = 0;
    while (true) {
      int due = deliver;
      insist(() -> thread.step(due));
      deliver = 0;
      switch (thread.awaitStop()) {
        case WaitStatus.Signal(int signal) -> {
          insist(() -> thread.readSignalInfo(info));
          if (signal == Signals.SIGTRAP && info.isFault()) {
            return;
          }
          if (Signals.isRaisedByInstruction(signal) && info.isFault()) {
            takeTrapBehind();
            throw new PtraceException(Reason.REMOTE_CALL_FAILED, "a system call in " + thread + " at 0x"
                + Long.toHexString(instruction) + " raised " + info
                + (signal == Signals.SIGSYS
                    ? ": the process's seccomp filter does not allow it"
                    : ": there is no system call instruction"));
          }
          insist(() -> thread.readRegisters(registers));
          if (signal == Signals.SIGSTOP && registers.rip() == instruction) {
            // As in TracedThread.takeJobControl.
            deliver = signal;
            stopDue = true;
            continue;
          }
          intruders.add(signal);
          if (registers.rip() != instruction) {
            // Behind the call: a trap that was sent has taken the place of that of the step, since one is
            // queued at most.
            return;
          }
        }
        // PTRACE_EVENT_STOP can come first, before the instruction or between it and its trap.
        case WaitStatus.Interrupted _, WaitStatus.GroupStop _ -> stopDue = true;
        case WaitStatus.Created _, WaitStatus.Executed _, WaitStatus.Exiting _, WaitStatus.Other _ -> {
          // Goes on, or ends, with the next step.
        }
      }
    }
  }

  /**
   * The step over a call ends all the same where seccomp refuses that with SIGSYS, and its trap is queued
   * behind the signal.
   */
  private void takeTrapBehind() {
    while (thread.hasPendingTrap()) {
      insist(() -> thread.cont(0));
      thread.awaitStop();
    }
  }

  /**
   * The kernel aborts a restartable sequence that was interrupted when its thread gets back to user mode with
   * rip still in it (rseq_ip_fixup() in kernel/rseq.c). With rip moved it would forget the sequence, and the
   * program would go on in the middle of one that was interrupted. So the abort is made now, as it would have
   * been made anyway.
   */
  private void abortRestartableSequence() {
    RestartableSequence sequence = thread.restartableSequence();
    if (sequence != null && sequence.contains(saved.rip())) {
      saved.rip(sequence.abortHandler());
    }
  }

  /**
   * The thread is in the signal-delivery-stop of our trap now; its user must find it in the stop it was in.
   */
  private void putBack(WaitStatus.Stopped before) {
    intruders.forEach(signal -> insist(() -> thread.send(signal)));
    if (before instanceof WaitStatus.GroupStop) {
      // With the process's stop flag still set, an interrupted thread reports the group-stop again.
      insist(thread::interrupt);
      insist(() -> thread.cont(0));
      thread.awaitStop();
      return;
    }
    if (stopDue) {
      insist(thread::interrupt);
    }
    thread.markStopped(before);
  }
}
