package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToLongFunction;

/**
 * Does something, a system call mostly, in some thread of the process that is stopped on its way to user
 * mode: in one that is stopped anyway, or else in one that is interrupted for it. Tracer thread only.
 */
@TracerThread
final class Errands implements CodeArea.InSomeThread {

  private final Tracer tracer;
  private final TracedProcess process;
  private final Collection<TracedProcess> borrowers;
  private final Function<TracedThread, Tracee> tracees;

  /**
   * Errands in a process.
   *
   * @param borrowers who run in its memory too, at any time
   */
  Errands(Tracer tracer, TracedProcess process, Collection<TracedProcess> borrowers,
      Function<TracedThread, Tracee> tracees) {
    this.tracer = tracer;
    this.process = process;
    this.borrowers = borrowers;
    this.tracees = tracees;
  }

  /**
   * Runs an errand. Borrowers first: while they run, the thread that created them cannot be stopped. Where
   * seccomp does not allow it in one thread, others are tried.
   *
   * @throws ErrandException if no thread can do it
   * @throws PtraceException what the errand throws, but for SECCOMP
   */
  @Override
  public long run(ToLongFunction<TracedThread> errand) {
    var unreachable = new HashSet<TracedThread>();
    PtraceException last = null;
    while (true) {
      tracer.awaitNewcomers();
      List<TracedThread> candidates = allThreads();
      candidates.removeAll(unreachable);
      if (candidates.isEmpty()) {
        throw new ErrandException(last);
      }
      TracedThread candidate = candidates.stream().filter(TracedThread::isAtUserBoundary).findFirst()
          .orElse(candidates.getFirst());
      if (candidate.isAtUserBoundary()) {
        try {
          return errand.applyAsLong(candidate);
        } catch (PtraceException e) {
          if (e.reason() != PtraceException.Reason.SECCOMP) {
            throw e;
          }
          last = e;
          unreachable.add(candidate);
          continue;
        }
      }
      try {
        tracees.apply(candidate).interrupted(true);
        candidate.interruptAndWait();
        if (candidate.isAtUserBoundary()) {
          candidate.takePendingTrap();
          return errand.applyAsLong(candidate);
        }
      } catch (PtraceException e) {
        if (!e.isBeyondReach() && e.reason() != PtraceException.Reason.SECCOMP) {
          throw e;
        }
        last = e;
        unreachable.add(candidate);
      } finally {
        // In a system call that creates a process, say: it is handled, and then another look is taken.
        insist(candidate::handleStop);
      }
    }
  }

  private List<TracedThread> allThreads() {
    var all = new ArrayList<TracedThread>();
    for (TracedProcess borrower : borrowers) {
      all.addAll(borrower.threads());
    }
    all.addAll(process.threads());
    return all;
  }

  /** What fails leaves a thread stopped, and is tried again: nobody else would let it go on. */
  static void insist(Runnable letGoOn) {
    try {
      letGoOn.run();
    } catch (ThreadGoneException e) {
      throw e;
    } catch (PtraceException e) {
      letGoOn.run();
    }
  }
}
