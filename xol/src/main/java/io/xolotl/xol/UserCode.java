package io.xolotl.xol;

import io.xolotl.ptrace.Signals;
import java.lang.System.Logger.Level;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a user's code does on a thread that others wait for: the tracer thread, or that of a handler in task
 * context.
 *
 * <p>The thread that runs the code notes when it begins and ends, and that is all it does. Nobody watches it
 * but those who wait: they {@link #look} now and then, and the first who finds a run that was seen a second
 * before interrupts its thread. A run that is interrupted ends only under this object's monitor, which the
 * interrupter holds: so no interrupt lands in what the thread does next.
 */
final class UserCode {

  /** What the code is. */
  enum Kind {
    HANDLER("the handler of the "), CONDITION("the condition of the "), ERROR_LISTENER(
        "the error listener, called for the "),
    EXECUTOR(
        "the executor, called for the "),
    PROCESS_LISTENER(
        "a process listener of "),
    END("an action that depends on the end of ");

    private final String text;

    Kind(String text) {
      this.text = text;
    }

    String of(@Nullable Object subject) {
      return text + subject;
    }
  }

  /** How long who waits does so between two looks. */
  static final Duration INTERVAL = Duration.ofMillis(250);

  /**
   * For how long code is seen to hold others up before it is interrupted, in nanoseconds; each next step
   * takes twice that.
   */
  private static final long PATIENCE = 1_000_000_000L;

  /** For how long it is seen to do so before waiters are told, in nanoseconds. */
  static final long GIVEN_UP = 2 * PATIENCE;

  private static final int FRAMES = 32;

  /** What makes a JVM exit, and has no effect on one that does. */
  private static final List<Integer> ENDING = List.of(Signals.SIGHUP, Signals.SIGINT, Signals.SIGTERM);

  private static final Set<String> CALLERS = Set.of("runHandler", "accepts", "reportError", "inUserCode");

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());
  private static final VarHandle STATE;

  static {
    try {
      STATE = MethodHandles.lookup().findVarHandle(UserCode.class, "state", long.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private static volatile boolean exiting;

  private final boolean onTracerThread;

  /**
   * The number of the run that is under way, negated when it is interrupted; 0 between runs. The running
   * thread changes it, but for the negation.
   */
  private volatile long state;

  // What belongs to the run in state: written before that, and after the end of the run before.
  private Kind kind = Kind.HANDLER;
  private @Nullable Object subject;
  private @Nullable Thread thread;

  // The running thread's.
  private long runs;
  private int depth;

  // Guarded by this: the run that was looked at last.
  private long seen;
  private long since;
  private long due;
  private boolean saidAtExit;
  /** Its thread's flag was set here, and not by somebody whom it concerns. */
  private boolean flagged;

  UserCode(boolean onTracerThread) {
    this.onTracerThread = onTracerThread;
  }

  /**
   * From now on this JVM exits, and loggers may be closed: java.util.logging has a shutdown hook for that.
   */
  static void jvmExits() {
    exiting = true;
  }

  /**
   * The calling thread runs such code until {@link #exit}. Within another run it is part of that.
   *
   * @param what what it is
   * @param whose a {@link Probe} or an {@link Session}
   */
  void enter(Kind what, Object whose) {
    if (depth++ == 0) {
      kind = what;
      subject = whose;
      thread = Thread.currentThread();
      STATE.setRelease(this, ++runs);
    }
  }

  void exit() {
    if (--depth > 0) {
      return;
    }
    if (!STATE.compareAndSet(this, runs, 0L)) {
      exitInterrupted();
    } else if (onTracerThread) {
      // Set by the code itself, or by a friend of it; on a thread of the user's that is the user's.
      Thread.interrupted();
    }
  }

  private synchronized void exitInterrupted() {
    if (onTracerThread || flagged) {
      Thread.interrupted();
    }
    flagged = false;
    state = 0;
  }

  /**
   * Called about every {@link #INTERVAL} by who waits, and may wait for this. Any thread.
   *
   * @param awaited the probe whose handler it waits for, or null for whatever runs
   * @return whether it is past help: it has not ended although it was interrupted, and this has been said; or
   *     it is in task context and waits for the JVM to exit
   */
  boolean look(@Nullable Probe awaited) {
    long run = run();
    Object whose = subject;
    // With the same run before and behind it, the subject is that run's.
    VarHandle.loadLoadFence();
    if (run == 0 || awaited != null && awaited != whose || run() != run) {
      return false;
    }
    String message;
    synchronized (this) {
      long now = System.nanoTime();
      if (run != seen) {
        seen = run;
        since = now;
        due = PATIENCE;
        saidAtExit = false;
        return false;
      }
      boolean said = due > GIVEN_UP;
      // People hear at once what that which was said before, by whichever waiter, means for the exit.
      boolean news = said && exiting && !saidAtExit;
      if (run() != run || now - since < due && !news) {
        return said && run() == run;
      }
      Thread running = Objects.requireNonNull(thread);
      if (exiting && !onTracerThread && isInExit(running)) {
        // It waits for the hooks that wait for it.
        return true;
      }
      boolean first = due == PATIENCE;
      // Before it may get out of there.
      message = first ? "" : describe(running, now - since);
      if (now - since >= due) {
        due *= 2;
        if (!interrupt(run)) {
          return false;
        }
      }
      if (first) {
        return false;
      }
      saidAtExit = exiting;
    }
    if (exiting) {
      if (onTracerThread) {
        // The JVM takes no notice of signals any more. People know what they do from now on.
        ENDING.forEach(Signals::restoreDefault);
      }
      System.err.println(message);
    } else {
      LOGGER.log(Level.WARNING, message);
    }
    return true;
  }

  /** The run that is under way; 0 if none is. Any thread. */
  long run() {
    return Math.abs(state);
  }

  /** Interrupts the thread of a run; false if that is over. Any thread. */
  synchronized boolean interrupt(long run) {
    if (!STATE.compareAndSet(this, run, -run) && state != -run) {
      return false;
    }
    // It cannot end before this method does.
    Thread running = Objects.requireNonNull(thread);
    flagged |= !running.isInterrupted();
    running.interrupt();
    return true;
  }

  private static boolean isInExit(Thread running) {
    return Arrays.stream(running.getStackTrace()).anyMatch(
        frame -> frame.getClassName().equals("java.lang.Runtime") && frame.getMethodName().equals("exit"));
  }

  /** Where the engine calls such code; from there on the frames are ours. */
  private static boolean isCaller(StackTraceElement frame) {
    return frame.getClassName().equals(Handlers.class.getName()) && CALLERS.contains(frame.getMethodName());
  }

  private String describe(Thread running, long nanos) {
    StackTraceElement[] stack = running.getStackTrace();
    String frames = Arrays.stream(stack).takeWhile(frame -> !isCaller(frame)).limit(FRAMES)
        .map(frame -> "\n    at " + frame).collect(Collectors.joining());
    return kind.of(subject) + " has not returned for " + TimeUnit.NANOSECONDS.toSeconds(nanos)
        + " s, though its " + (running.getName().isEmpty() ? "thread" : "thread '" + running.getName() + "'")
        + " was interrupted\n  "
        + (onTracerThread
            ? "no hit is handled, and the process cannot be detached, until it returns; "
                + (exiting ? "another Ctrl-C or SIGTERM ends this JVM, and then" : "if this JVM is killed,")
                + "\n  the breakpoints stay in the process, which dies of the next one, and the thread that "
                + "is stopped at\n  one runs on in the middle of an instruction"
            : exiting
                ? "this JVM exits: the thread that has hit the probe runs on as if the handler had not "
                    + "been called"
                : "the thread that has hit the probe stays stopped meanwhile")
        + "\n  it is here:" + frames;
  }
}
