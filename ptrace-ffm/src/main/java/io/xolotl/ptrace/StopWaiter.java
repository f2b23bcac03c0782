package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.xolotl.ptrace.PtraceException.Reason;
import io.xolotl.ptrace.ReportQueue.Report;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Waits for tracees to stop. To be woken costs more than all that is done for a stop, and to look without end
 * costs a CPU that somebody else could use.
 *
 * <p>So before it sleeps it looks out for a while, where that has paid lately, and keeps idle CPUs awake and
 * itself on the CPU of the thread that it serves, as the {@link Tracer} was asked to. What comes goes to the
 * {@link ReportQueue}, except what is waited for of one thread.
 *
 * <p>Both {@code waitid} and {@code waitpid} are called with {@code __WNOTHREAD}: they see this thread's own
 * tracees and children, never a child that the application started elsewhere, whose exit status is not ours
 * to take.
 *
 * <p>Tracer thread only; made when that begins, and closed when it ends.
 */
final class StopWaiter implements AutoCloseable {

  /** A stop that does not come within this time is reported instead of waited for, in nanoseconds. */
  private static final long STOP_DEADLINE = 10_000_000_000L;

  /** How many stops are taken from the kernel before the first of them is resumed. */
  private static final int BATCH = 64;

  /** How long to look out for stops and work before the thread sleeps, in nanoseconds. */
  private static final long SPIN = 50_000;

  /** The same where stops are frequent, so that a pause of the program's does not put all to sleep. */
  private static final long LONG_SPIN = 200_000;

  /**
   * One in so many times it is tried again where that was in vain; and after as many successes stops are
   * frequent.
   */
  private static final int SPIN_AGAIN = 64;

  /** After this many looks in vain, one in so many also asks whether the awaited thread can stop at all. */
  private static final int LOOKS = 32;

  /**
   * Who gets the CPU back from others only after this time shares it with some that do not wait for it, in
   * nanoseconds.
   */
  private static final long CROWDED = 500_000;

  /** How many looks are made before others may have the CPU. */
  private static final int LOOKS_BETWEEN_YIELDS = 8;

  /** Of whatever tracee or child. */
  private static final int ANY = 0;

  // si_code of SIGCHLD (uapi/asm-generic/siginfo.h).
  private static final int CLD_EXITED = 1;
  private static final int CLD_KILLED = 2;
  private static final int CLD_DUMPED = 3;

  private final Scratch scratch;
  private final WorkQueue work;
  private final Tracees tracees;
  private final ReportQueue reports;
  private final Consumer<Report> urgent;
  private final @Nullable CpuFollower follower;
  private final @Nullable AwakeCpus awakeCpus;
  /** Above 0 if what was looked out for came in time lately. */
  private int spins = 1;

  StopWaiter(Arena arena, Scratch scratch, WorkQueue work, Tracees tracees, ReportQueue reports,
      Consumer<Report> urgent, TracerAffinity affinity, IdleCpus idleCpus) {
    this.scratch = scratch;
    this.work = work;
    this.tracees = tracees;
    this.reports = reports;
    this.urgent = urgent;
    follower = affinity == TracerAffinity.FOLLOW ? new CpuFollower(arena) : null;
    awakeCpus = idleCpus == IdleCpus.AWAKE ? new AwakeCpus(arena, IdleCpus.LATENCY) : null;
  }

  /**
   * Waits for one stop, or for work, and takes with a stop all that are there: the kernel reports the first
   * stopped thread of its list, and where threads stop faster than they are served, those behind would
   * starve.
   */
  void awaitStops() {
    if (comesSoon()) {
      return;
    }
    keepCpusAwake(false);
    int stopped = look(ANY, work.beginWait() ? 0 : Libc.WNOHANG);
    int errno = stopped < 0 ? Libc.errno(scratch.state) : 0;
    if (errno == Libc.ECHILD) {
      // Nothing to wait for.
      work.park();
    }
    work.endWait();
    if (stopped < 0 && errno != Libc.EINTR && errno != Libc.ECHILD) {
      throw new PtraceException(Reason.SYSTEM_ERROR, errno, "waitid failed with " + Errno.name(errno));
    }
    takeAll(stopped);
  }

  /**
   * Looks out for stops and work for a while before the thread sleeps; true if something has come. To be
   * woken costs more than all that is done for a stop: the kernel puts the thread that goes on onto an idle
   * CPU if there is one, and the tracer's is idle when that stops again, so that each waits for a CPU to wake
   * up. Where nothing comes in time, again and again, it is tried seldom. Between looks it lets others have
   * the CPU, of whom the next may be the one awaited. Where these keep it for a time slice of theirs, the
   * thread sleeps instead: the scheduler lets who wakes up in before who has run, and puts who yields behind
   * all others (yield_task_fair() in kernel/sched/fair.c).
   */
  private boolean comesSoon() {
    if (spins <= 0 && -spins % SPIN_AGAIN != 0) {
      spins--;
      return false;
    }
    long patience = spins == SPIN_AGAIN ? LONG_SPIN : SPIN;
    long start = System.nanoTime();
    long now = start;
    do {
      long before = now;
      Thread.yield();
      now = System.nanoTime();
      boolean crowded = now - before > CROWDED;
      for (int i = 0; i < LOOKS_BETWEEN_YIELDS; i++) {
        int stopped = look(ANY, Libc.WNOHANG);
        if (!work.isEmpty() || stopped > 0) {
          spins = crowded ? -1 : Math.min(Math.max(spins, 0) + 1, SPIN_AGAIN);
          if (spins == SPIN_AGAIN && stopped > 0) {
            keepCpusAwake(true);
          }
          takeAll(stopped);
          return true;
        }
        if (stopped < 0) {
          // There is nothing to wait for.
          return false;
        }
      }
      if (crowded) {
        spins = -1;
        return false;
      }
    } while (now - start < patience);
    spins = Math.min(spins, 1) - 1;
    return false;
  }

  /**
   * Takes a stop that was just seen, and all others that are there. A thread whose stop was handed out may be
   * the first of the kernel's list again at once: then the others are asked for by name.
   */
  private void takeAll(int first) {
    if (first > 0 && follower != null) {
      follower.stopped(first);
    }
    int handedOut = 0;
    for (int stopped = first; stopped > 0; stopped = look(ANY, Libc.WNOHANG)) {
      if (handedOut != 0 && reports.contains(stopped)) {
        // Waited for while another was handed out, and put back for its turn.
        return;
      }
      if (stopped == handedOut) {
        for (TracedThread thread : tracees.threads()) {
          if (thread.stop() == null && thread.tid() != handedOut && !reports.contains(thread.tid())
              && look(thread.tid(), Libc.WNOHANG) > 0) {
            take(thread.tid());
          }
        }
        return;
      }
      if (!take(stopped)) {
        handedOut = stopped;
      }
      if (tracees.threadCount() < 2 || reports.size() == BATCH) {
        return;
      }
    }
  }

  /**
   * Takes the stop, or the end, of a thread that was just seen, for its turn. A signal that the thread is
   * about to get is the kernel's until somebody resumes it with the signal or takes the stop: then it is lost
   * if the tracer dies (wait_task_stopped() in kernel/exit.c clears what ptrace_stop() would return). So what
   * a thread must get is handed out at once and not taken, and a trap of ours first
   * {@linkplain TraceHandler#secure secured}.
   *
   * @return false if it was handed out
   */
  private boolean take(int tid) {
    WaitStatus status = status();
    TracedThread thread = tracees.thread(tid);
    if (status instanceof WaitStatus.Signal(int signal) && thread != null && thread.stop() == null
        && !mayBeTaken(thread, signal, true)) {
      urgent.accept(new Report(tid, status));
      return false;
    }
    // Who is known to be stopped has been waited for by somebody, who did not take the stop. Only an
    // execve(2) of another thread comes then, with its id.
    boolean known = thread != null && thread.stop() != null;
    if (reap(tid) && !(known && isStopLeft(status()))) {
      reports.add(tid, status());
    }
    return true;
  }

  private static boolean isStopLeft(WaitStatus status) {
    return status instanceof WaitStatus.Stopped && !(status instanceof WaitStatus.Executed);
  }

  private boolean mayBeTaken(TracedThread thread, int signal, boolean isNext) {
    if (signal != Signals.SIGTRAP) {
      return false;
    }
    TraceHandler handler = thread.process().dispatcher().handler();
    try {
      return handler.secure(thread, isNext);
    } catch (ThreadGoneException e) {
      // Killed in its stop; what is there to take is its end.
      return true;
    } catch (PtraceException e) {
      // Once more, as with any request. Otherwise it is not secured.
      return handler.secure(thread, isNext);
    }
  }

  /** Takes from the kernel what a thread has stopped for, or how it has ended; false if there is nothing. */
  boolean reap(int tid) {
    int got = Libc.waitpid(scratch.state, tid, scratch.status, Libc.WALL | Libc.WNOTHREAD | Libc.WNOHANG);
    return got == tid;
  }

  /**
   * Asks for a stop, or the end, of one thread, or of any; the kernel keeps it, and tells it again.
   *
   * @param flags WNOHANG, or 0
   * @return whose there is, 0, or −1
   */
  private int look(int tid, int flags) {
    MemorySegment information = scratch.child;
    information.fill((byte) 0);
    if (Libc.waitid(scratch.state, tid, information,
        Libc.WSTOPPED | Libc.WEXITED | Libc.WNOWAIT | Libc.WALL | Libc.WNOTHREAD | flags) < 0) {
      return -1;
    }
    int status = information.get(JAVA_INT, 24);
    scratch.status.set(JAVA_INT, 0, switch (information.get(JAVA_INT, 8)) {
      case CLD_EXITED -> status << 8;
      case CLD_KILLED -> status;
      case CLD_DUMPED -> status | 0x80;
      default -> status << 8 | 0x7f;
    });
    return information.get(JAVA_INT, 16);
  }

  private WaitStatus status() {
    return WaitStatus.of(scratch.status.get(JAVA_INT, 0));
  }

  /**
   * Waits for the next stop, or the end, of one thread, without taking those of others.
   *
   * @throws PtraceException NOT_STOPPING after ten seconds, or at once if it waits for its child of vfork
   * @throws ThreadGoneException if there is no such tracee any more, or one that has ended without being
   *     reported yet: a main thread whose process lives on
   */
  WaitStatus await(int awaited) {
    WaitStatus known = reports.take(awaited);
    if (known != null) {
      return known;
    }
    long start = System.nanoTime();
    for (int round = 1;; round++) {
      boolean dead = round % LOOKS == 0 && ProcessStatus.isGone(awaited);
      int got = look(awaited, Libc.WNOHANG);
      if (got == awaited) {
        return taken(awaited);
      }
      int errno = got < 0 ? Libc.errno(scratch.state) : 0;
      if (dead || errno != 0 && errno != Libc.EINTR) {
        throw new ThreadGoneException(dead ? Libc.ESRCH : errno,
            "thread " + awaited + " has ended meanwhile");
      }
      TracedThread thread = round % LOOKS == 0 ? tracees.thread(awaited) : null;
      if (thread != null && thread.process().waitsForChild(thread)) {
        throw new PtraceException(Reason.NOT_STOPPING, "thread " + awaited
            + " cannot be stopped until its child of vfork executes a program or ends");
      }
      if (System.nanoTime() - start > STOP_DEADLINE) {
        throw new PtraceException(Reason.NOT_STOPPING, "thread " + awaited + " has not stopped for "
            + STOP_DEADLINE / 1_000_000_000L
            + " s; it is probably in an uninterruptible system call (state D)");
      }
      if (round > LOOKS) {
        keepCpusAwake(false);
        LockSupport.parkNanos(Math.min(1_000_000, 1_000L * round));
      } else {
        Thread.onSpinWait();
      }
    }
  }

  /**
   * Takes what was just seen of an awaited thread. A signal that it is about to get stays the kernel's: who
   * has waited resumes it with that before others are waited for.
   */
  private WaitStatus taken(int tid) {
    WaitStatus status = status();
    TracedThread thread = tracees.thread(tid);
    if (status instanceof WaitStatus.Signal(int signal) && thread != null
        && !mayBeTaken(thread, signal, false)) {
      return status;
    }
    reap(tid);
    return status();
  }

  /** Lets go of the CPU that the tracer thread is kept on, which what it starts would inherit. */
  void unpin() {
    if (follower != null) {
      follower.release();
    }
  }

  private void keepCpusAwake(boolean awake) {
    if (awakeCpus != null) {
      awakeCpus.keep(awake);
    }
  }

  @Override
  public void close() {
    try {
      keepCpusAwake(false);
    } finally {
      if (follower != null) {
        follower.close();
      }
    }
  }
}
