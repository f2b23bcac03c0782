package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Signal numbers of Linux on x86-64 and their names. */
public final class Signals {

  /** The terminal is gone. */
  public static final int SIGHUP = 1;
  /** Ctrl-C. */
  public static final int SIGINT = 2;
  /** Illegal instruction. */
  public static final int SIGILL = 4;
  /** Breakpoint or trace trap. */
  public static final int SIGTRAP = 5;
  /** Bus error. */
  public static final int SIGBUS = 7;
  /** Arithmetic error. */
  public static final int SIGFPE = 8;
  /** Kill; cannot be caught, blocked or held back. */
  public static final int SIGKILL = 9;
  /** Invalid memory access. */
  public static final int SIGSEGV = 11;
  /** Request to end. */
  public static final int SIGTERM = 15;
  /** Continue a stopped process. */
  public static final int SIGCONT = 18;
  /** Stop; cannot be caught or blocked. */
  public static final int SIGSTOP = 19;
  /** Stop, typed at the terminal. */
  public static final int SIGTSTP = 20;
  /** Stop, for a read from the terminal in the background. */
  public static final int SIGTTIN = 21;
  /** Stop, for a write to the terminal in the background. */
  public static final int SIGTTOU = 22;
  /** Bad system call, from seccomp. */
  public static final int SIGSYS = 31;

  private static final long SIG_IGN = 1;

  private static final String[] NAMES = {"0", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT",
      "SIGBUS",
      "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
      "SIGCHLD",
      "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM",
      "SIGPROF",
      "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"};

  private Signals() {}

  /**
   * Gives a signal its default effect on this JVM again; one that is ignored stays so. For a JVM that is held
   * up in its exit: until then its own handler takes no notice of SIGHUP, SIGINT and SIGTERM.
   *
   * @param signal the number
   * @throws PtraceException with {@link Reason#SYSTEM_ERROR} if there is no such signal, or it cannot be
   *     caught
   */
  public static void restoreDefault(int signal) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.callState());
      MemorySegment action = arena.allocate(WakeSignal.SIGACTION_BYTES, 8);
      MemorySegment old = arena.allocate(WakeSignal.SIGACTION_BYTES, 8);
      // All zero: SIG_DFL, no flags, nothing masked.
      if (Libc.sigaction(state, signal, MemorySegment.NULL, old) == 0
          && (old.get(JAVA_LONG, 0) == SIG_IGN
              || Libc.sigaction(state, signal, action, MemorySegment.NULL) == 0)) {
        return;
      }
      int errno = Libc.errno(state);
      throw new PtraceException(Reason.SYSTEM_ERROR, errno,
          "sigaction of " + name(signal) + " failed with " + Errno.name(errno));
    }
  }

  /**
   * {@return true if the kernel raises a signal for what an instruction did; somebody may send such a signal,
   * too}
   *
   * @param signal its number
   */
  public static boolean isRaisedByInstruction(int signal) {
    return switch (signal) {
      case SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS -> true;
      default -> false;
    };
  }

  /**
   * {@return a signal's name, for instance {@code SIGSEGV}, or {@code SIG35} for a real-time signal}
   *
   * @param signal its number
   */
  public static String name(int signal) {
    return signal > 0 && signal < NAMES.length ? NAMES[signal] : "SIG" + signal;
  }
}
