package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/**
 * The signals of one thread: the one that it is stopped for, those that wait, and those that it blocks. A
 * stop tells of one signal only, and what else is queued decides what may be done with the thread.
 *
 * <p>Everything is asked of the kernel at the moment, and nothing of it is kept.
 *
 * <p>Tracer thread only; the thread is stopped, except for {@link #send}.
 */
final class ThreadSignals {

  private final ThreadRequests requests;
  private final int pid;

  ThreadSignals(ThreadRequests requests, int pid) {
    this.requests = requests;
    this.pid = pid;
  }

  void readInfo(SignalInfo info) {
    Scratch s = requests.scratch();
    requests.make(s, Ptrace.GETSIGINFO, 0, s.siginfo.address());
    info.load(s.siginfo);
  }

  void writeInfo(SignalInfo info) {
    Scratch s = requests.scratch();
    info.store(s.siginfo);
    requests.make(s, Ptrace.SETSIGINFO, 0, s.siginfo.address());
  }

  void send(int signal) {
    Scratch s = requests.scratch();
    int tid = requests.tid();
    if (Libc.syscall(s.state, WakeSignal.SYS_TGKILL, pid, tid, signal, 0, 0) < 0) {
      throw new ThreadGoneException(Libc.errno(s.state),
          "tgkill of thread " + tid + " failed with " + Errno.name(Libc.errno(s.state)));
    }
  }

  long mask() {
    Scratch s = requests.scratch();
    requests.make(s, Ptrace.GETSIGMASK, 8, s.word.address());
    return s.word.get(JAVA_LONG, 0);
  }

  void mask(long mask) {
    Scratch s = requests.scratch();
    s.word.set(JAVA_LONG, 0, mask);
    requests.make(s, Ptrace.SETSIGMASK, 8, s.word.address());
  }

  /**
   * Returns true if a trap or a fault waits.
   *
   * @see TracedThread#hasPendingTrap
   */
  boolean hasPendingTrap() {
    Scratch s = requests.scratch();
    int atOnce = (int) (s.siginfo.byteSize() / SignalInfo.BYTES);
    for (long offset = 0;; offset += atOnce) {
      // struct ptrace_peeksiginfo_args: u64 off; u32 flags (0: the thread's own queue); s32 nr
      s.peek.set(JAVA_LONG, 0, offset);
      s.peek.set(JAVA_INT, 8, 0);
      s.peek.set(JAVA_INT, 12, atOnce);
      long n = requests.make(s, Ptrace.PEEKSIGINFO, s.peek.address(), s.siginfo.address());
      for (int i = 0; i < n; i++) {
        MemorySegment info = s.siginfo.asSlice((long) i * SignalInfo.BYTES, SignalInfo.BYTES);
        if (Signals.isRaisedByInstruction(info.get(JAVA_INT, 0)) && info.get(JAVA_INT, 8) > 0) {
          return true;
        }
      }
      if (n < atOnce) {
        return false;
      }
    }
  }

  /**
   * Returns true if a signal would, if delivered, stop or continue the process: a signal of job control for
   * which it has no handler.
   */
  boolean isJobControl(int signal) {
    return switch (signal) {
      case Signals.SIGSTOP -> true;
      case Signals.SIGCONT, Signals.SIGTSTP, Signals.SIGTTIN, Signals.SIGTTOU -> {
        ProcessStatus status = ProcessStatus.of(requests.tid());
        yield status == null || (status.caughtSignals() >>> signal - 1 & 1) == 0;
      }
      default -> false;
    };
  }
}
