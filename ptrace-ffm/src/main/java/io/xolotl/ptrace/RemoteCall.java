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

  private static final long ALL_BUT_SIGSYS = ~(1L << Signals.SIGSYS - 1);

  /** The "signal" of a stop at a system call, by PTRACE_O_TRACESYSGOOD. */
  private static final int SYSTEM_CALL_STOP = Signals.SIGTRAP | 0x80;
  private static final long TF = 0x100;
  private static final int ERESTART_RESTARTBLOCK = -516;

  private final TracedThread thread;
  private final Registers saved = new Registers();
  private WaitStatus.Stopped before = new WaitStatus.Interrupted();
  private Way way = Way.STEP;
  /** The thread is in the stop in front of the call. */
  private boolean entered;
  /** It is no longer in the stop that it was in. */
  private boolean moved;
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
    before = Objects.requireNonNull(thread.stop());
    SignalInfo signal = null;
    if (before instanceof WaitStatus.Signal) {
      signal = new SignalInfo();
      thread.readSignalInfo(signal);
    }
    thread.registerAccess().readKernels(saved);
    abortRestartableSequence();
    long mask = thread.signalMask();
    Abi abi = thread.process().abi();
    var registers = new Registers();
    registers.copyFrom(saved);
    abi.enter(registers);
    way = way();
    long instruction = instruction();
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
    byte[] underneath = way == Way.STEP ? new byte[0] : writeCode(mask);
    SyscallDispatch dispatch = SyscallDispatch.suspend(thread.requests());
    try {
      // Before the mask: from here on the code gives that back, too.
      thread.registerAccess().writeKernels(registers);
      thread.signalMask(way == Way.AT_STOPS ? ALL_BUT_SIGSYS : ALL_BUT_TRAPS);
      if (way == Way.AT_STOPS) {
        awaitSystemCall(instruction);
      } else {
        awaitTrap(instruction);
      }
      insist(() -> thread.registerAccess().readKernels(registers));
      if (registers.rip() != behind(instruction)) {
        throw new PtraceException(Reason.REMOTE_CALL_FAILED, "system call " + number + " in " + thread
            + " did not return: the thread is stopped at 0x" + Long.toHexString(registers.rip()));
      }
      return abi.result(registers);
    } finally {
      if (thread.stop() != null) {
        SignalInfo delivered = signal;
        insist(() -> thread.signalMask(mask));
        leaveSystemCall();
        // What kind of code the thread is in now decides how registers are written.
        insist(() -> thread.registerAccess().readKernels(registers));
        insist(() -> thread.registerAccess().writeKernels(saved));
        if (dispatch != null) {
          insist(dispatch::resume);
        }
        if (delivered != null) {
          insist(() -> thread.writeSignalInfo(delivered));
        }
        putBack();
      }
      if (underneath.length > 0) {
        thread.process().memory().writeText(room(), underneath);
      }
    }
  }

  /** How the call is made. */
  private enum Way {
    /** By the stops in front of it and behind it; the thread is in PTRACE_EVENT_STOP then. */
    AT_STOPS,
    /** Up to the breakpoint behind it; the thread is in a signal-delivery-stop, as before. */
    TO_TRAP,
    /** By a single step, where there is no room for code: if the tracer dies then, the thread is lost. */
    STEP
  }

  private Way way() {
    boolean restorable = thread.process().abi() == Abi.X86_64 && Abi.X86_64.isOf(saved)
        && (saved.rflags() & TF) == 0 && room() != 0;
    if (!restorable) {
      return Way.STEP;
    }
    if (!(before instanceof WaitStatus.Signal)) {
      return Way.AT_STOPS;
    }
    SystemCallSite site = thread.process().systemCallSite();
    return site.isOurs() && site.trapsAreHandled() ? Way.TO_TRAP : Way.STEP;
  }

  private long room() {
    return thread.process().systemCallSite().room();
  }

  private long instruction() {
    return switch (way) {
      case AT_STOPS -> room() + RemoteCode.WITHOUT_TRAP;
      case TO_TRAP -> room() + RemoteCode.WITH_TRAP;
      case STEP -> thread.process().systemCallSite().get();
    };
  }

  /** Where the thread is when the call is made: behind a breakpoint that it has executed, if there is one. */
  private long behind(long instruction) {
    return instruction + (way == Way.TO_TRAP ? 3 : 2);
  }

  /** Returns what was there, if that is not ours. */
  private byte[] writeCode(long mask) {
    int restart = (int) saved.rax() != ERESTART_RESTARTBLOCK || thread.mayRestart(saved)
        ? thread.process().abi().restart()
        : (int) saved.get(UserRegister.ORIG_RAX);
    ProcessMemory memory = thread.process().memory();
    byte[] underneath = thread.process().systemCallSite().isOurs()
        ? new byte[0]
        : memory.readText(room(), RemoteCode.BYTES);
    memory.writeText(room(), RemoteCode.of(saved, mask, restart));
    return underneath;
  }

  private static boolean isSystemCallStop(WaitStatus.Stopped stop) {
    return stop instanceof WaitStatus.Other(int status) && (status >> 8 & 0xff) == SYSTEM_CALL_STOP;
  }

  /** Lets the thread make the call; it is in the stop behind it then. */
  private void awaitSystemCall(long instruction) {
    int deliver = 0;
    var info = new SignalInfo();
    while (true) {
      int due = deliver;
      insist(() -> thread.contToSystemCall(due));
      moved = true;
      deliver = 0;
      WaitStatus.Stopped stop = thread.awaitStop();
      if (isSystemCallStop(stop)) {
        if (!entered) {
          entered = true;
          continue;
        }
        entered = false;
        if (thread.hasPendingTrap()) {
          // SIGSYS: seccomp has refused the call.
          insist(() -> thread.contForCall(0));
          thread.awaitStop();
          throw refused(instruction);
        }
        return;
      }
      switch (stop) {
        case WaitStatus.Signal(int signal) -> {
          insist(() -> thread.readSignalInfo(info));
          if (Signals.isRaisedByInstruction(signal) && info.isFault()) {
            throw refused(instruction);
          }
          // SIGSTOP: as in TracedThread.takeJobControl.
          deliver = signal;
          stopDue = true;
        }
        case WaitStatus.Interrupted _, WaitStatus.GroupStop _ -> stopDue = true;
        case WaitStatus.Created _, WaitStatus.Executed _, WaitStatus.Exiting _, WaitStatus.Other _ -> {
          // Goes on, or ends.
        }
      }
    }
  }

  private PtraceException refused(long instruction) {
    return new PtraceException(Reason.REMOTE_CALL_FAILED, "a system call in " + thread + " at 0x"
        + Long.toHexString(instruction) + " raised a signal: the process's seccomp filter does not allow it,"
        + " or the process takes its system calls itself");
  }

  /** Before its registers are written: in front of a call they would say which is made. */
  private void leaveSystemCall() {
    if (!entered) {
      return;
    }
    var registers = new Registers();
    insist(() -> thread.registerAccess().readKernels(registers));
    registers.set(UserRegister.ORIG_RAX, -1);
    insist(() -> thread.registerAccess().writeKernels(registers));
    insist(() -> thread.contToSystemCall(0));
    thread.awaitStop();
    entered = false;
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
      insist(() -> {
        if (way == Way.TO_TRAP) {
          thread.contForCall(due);
        } else {
          thread.stepForCall(due);
        }
      });
      deliver = 0;
      switch (thread.awaitStop()) {
        case WaitStatus.Signal(int signal) -> {
          insist(() -> thread.readSignalInfo(info));
          if (signal == Signals.SIGTRAP && info.isFault()) {
            // Before it gets its registers back: what nobody has taken is delivered when the tracer dies.
            thread.process().tracer().take(thread.tid());
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
          insist(() -> thread.registerAccess().readKernels(registers));
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
            thread.process().tracer().take(thread.tid());
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
      insist(() -> thread.contForCall(0));
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

  /** The thread is in another stop now than its user must find it in. */
  private void putBack() {
    intruders.forEach(signal -> insist(() -> thread.send(signal)));
    boolean groupStopped = before instanceof WaitStatus.GroupStop;
    if (way == Way.AT_STOPS && moved || groupStopped) {
      // With the process's stop flag still set, an interrupted thread reports the group-stop again. A call
      // that it was interrupted in is restarted on the way to user mode only (arch_do_signal_or_restart()).
      insist(thread::interrupt);
      insist(() -> thread.contForCall(0));
      while (!(thread.awaitStop() instanceof WaitStatus.Interrupted
          || thread.stop() instanceof WaitStatus.GroupStop)) {
        insist(() -> thread.contForCall(0));
      }
      return;
    }
    if (stopDue) {
      insist(thread::interrupt);
    }
    thread.markStopped(before);
  }
}
