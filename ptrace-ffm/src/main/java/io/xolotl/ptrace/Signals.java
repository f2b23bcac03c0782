package io.xolotl.ptrace;

/** Signal numbers of Linux on x86-64 and their names. */
public final class Signals {

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

  private static final String[] NAMES = {"0", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT",
      "SIGBUS",
      "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
      "SIGCHLD",
      "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM",
      "SIGPROF",
      "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"};

  private Signals() {}

  /**
   * Tells whether the kernel raises a signal for what an instruction did; somebody may send such a signal, too.
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
   * A signal's name, for instance {@code SIGSEGV}, or {@code SIG35} for a real-time signal.
   *
   * @param signal its number
   */
  public static String name(int signal) {
    return signal > 0 && signal < NAMES.length ? NAMES[signal] : "SIG" + signal;
  }
}
