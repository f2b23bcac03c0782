package io.xolotl.ptrace;

/**
 * What {@code waitpid} says of a traced thread, as a closed set.
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/ptrace.2.html">ptrace(2), "Stopped states"</a>
 */
public sealed interface WaitStatus {

  /** The thread is in a ptrace-stop and waits for the tracer. */
  sealed interface Stopped extends WaitStatus {}

  /** The thread is gone. */
  sealed interface Ended extends WaitStatus {}

  /**
   * Signal-delivery-stop: the thread is about to receive a signal, or the trap that an int3 or a single-step
   * raised. It is on its way to user mode. The tracer decides whether the signal is delivered.
   *
   * @param signal number of the signal, 1 to 64
   */
  record Signal(int signal) implements Stopped {}

  /**
   * Group-stop: a stop signal has stopped the whole process (job control).
   *
   * @param signal SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU
   */
  record GroupStop(int signal) implements Stopped {}

  /**
   * PTRACE_EVENT_STOP outside a group-stop: after PTRACE_INTERRUPT, after SIGCONT ended a group-stop, and the
   * first stop of every thread or process that a traced thread created. The thread is on its way to user
   * mode.
   */
  record Interrupted() implements Stopped {}

  /**
   * The thread is inside the system call that created a thread or process: PTRACE_EVENT_CLONE, _FORK or
   * _VFORK.
   *
   * @param event which of the three
   */
  record Created(Event event) implements Stopped {}

  /**
   * The thread is inside an execve that has succeeded; it has the process's id now and no other thread is
   * left.
   */
  record Executed() implements Stopped {}

  /**
   * The thread is about to end but still has its memory: PTRACE_EVENT_EXIT, which this library does not ask
   * for.
   */
  record Exiting() implements Stopped {}

  /**
   * A stop that this library never asks for, for instance one at a system call: it is continued.
   *
   * @param status the word that {@code waitpid} has filled
   */
  record Other(int status) implements Stopped {}

  /**
   * The thread has exited.
   *
   * @param status its exit status, 0 to 255
   */
  record Exited(int status) implements Ended {}

  /**
   * The thread was killed by a signal.
   *
   * @param signal number of the signal
   * @param coreDumped whether the kernel wrote a core dump
   */
  record Killed(int signal, boolean coreDumped) implements Ended {}

  /** How a thread or process was created. */
  enum Event {
    /** By clone, as a thread, or as a process with another signal for its end than SIGCHLD. */
    CLONE,
    /** By fork. */
    FORK,
    /** By vfork: the creator waits until it executes a program or ends. */
    VFORK
  }

  /**
   * Turns the word that {@code waitpid} fills into a value. Stops are shared instances: nothing is allocated
   * for them.
   *
   * @param status the word
   * @return what it says
   */
  static WaitStatus of(int status) {
    int low = status & 0x7f;
    if (low == 0) {
      return new Exited(status >> 8 & 0xff);
    }
    if ((status & 0xff) != 0x7f) {
      return new Killed(low, (status & 0x80) != 0);
    }
    int signal = status >> 8 & 0xff;
    return switch (status >>> 16) {
      case 0 -> signal < Stops.SIGNALS.length ? Stops.SIGNALS[signal] : new Other(status);
      case Ptrace.EVENT_CLONE -> Stops.CLONE;
      case Ptrace.EVENT_FORK -> Stops.FORK;
      case Ptrace.EVENT_VFORK -> Stops.VFORK;
      case Ptrace.EVENT_EXEC -> Stops.EXECUTED;
      case Ptrace.EVENT_EXIT -> Stops.EXITING;
      // PTRACE_EVENT_STOP carries SIGTRAP, or the stop signal while the process is in a group-stop.
      case Ptrace.EVENT_STOP -> signal == Signals.SIGTRAP
          ? Stops.INTERRUPTED
          : signal < Stops.SIGNALS.length ? Stops.GROUP_STOPS[signal] : new Other(status);
      default -> new Other(status);
    };
  }

  /** The shared instances. */
  final class Stops {
    private static final Signal[] SIGNALS = new Signal[65];
    private static final GroupStop[] GROUP_STOPS = new GroupStop[SIGNALS.length];
    private static final Created CLONE = new Created(Event.CLONE);
    private static final Created FORK = new Created(Event.FORK);
    private static final Created VFORK = new Created(Event.VFORK);
    private static final Executed EXECUTED = new Executed();
    private static final Exiting EXITING = new Exiting();
    private static final Interrupted INTERRUPTED = new Interrupted();

    static {
      for (int i = 0; i < SIGNALS.length; i++) {
        SIGNALS[i] = new Signal(i);
        GROUP_STOPS[i] = new GroupStop(i);
      }
    }

    private Stops() {}
  }
}
