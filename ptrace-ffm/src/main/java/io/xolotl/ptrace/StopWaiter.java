package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.Arena;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Waits for tracees to stop. To be woken costs more than all that is done for a stop, and to look without end
 * costs a CPU that somebody else could use.
 *
 * <p>So before it sleeps it looks out for a while, where that has paid lately, and keeps idle CPUs awake and
 * itself on the CPU of the thread that it serves, as the {@link Tracer} was asked to. What comes goes to the
 * {@link ReportQueue}, except what is waited for of one thread.
 *
 * <p>{@code waitpid} is called with {@code __WNOTHREAD}: it sees this thread's own tracees and children,
 * never a child that the application started elsewhere, whose exit status is not ours to take.
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

  private final Scratch scratch;
  private final WorkQueue work;
  private final Tracees tracees;
  private final ReportQueue reports;
  private final @Nullable CpuFollower follower;
  private final @Nullable AwakeCpus awakeCpus;
  /** Above 0 if what was looked out for came in time lately. */
  private int spins = 1;

  StopWaiter(Arena arena, Scratch scratch, WorkQueue work, Tracees tracees, ReportQueue reports,
      TracerAffinity affinity, IdleCpus idleCpus) {
    this.scratch = scratch;
    this.work = work;
    this.tracees = tracees;
    this.reports = reports;
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
    int flags = Libc.WALL | Libc.WNOTHREAD | (work.beginWait() ? 0 : Libc.WNOHANG);
    int stopped = Libc.waitpid(scratch.state, -1, scratch.status, flags);
    int errno = stopped < 0 ? Libc.errno(scratch.state) : 0;
    if (errno == Libc.ECHILD) {
      // Nothing to wait for.
      work.park();
    }
    work.endWait();
    if (stopped < 0 && errno != Libc.EINTR && errno != Libc.ECHILD) {
      throw new PtraceException(Reason.SYSTEM_ERROR, errno, "waitpid failed with " + Errno.name(errno));
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
        int stopped = look(-1);
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

  /** Takes a stop that waitpid has just told of, and all others that are there. */
  private void takeAll(int first) {
    if (first > 0 && follower != null) {
      follower.stopped(first);
    }
    for (int stopped = first; stopped > 0;) {
      reports.add(stopped, status());
      if (tracees.threadCount() < 2 || reports.size() == BATCH) {
        return;
      }
      stopped = look(-1);
    }
  }

  /** Asks for a stop of one thread, or of any if that is −1; returns whose there is, 0, or −1. */
  private int look(int tid) {
    return Libc.waitpid(scratch.state, tid, scratch.status, Libc.WALL | Libc.WNOTHREAD | Libc.WNOHANG);
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
      int got = look(awaited);
      if (got == awaited) {
        return status();
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
