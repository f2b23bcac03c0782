package io.xolotl.ptrace;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.function.Consumer;

/**
 * Attaches to the threads of a process that runs, and lets go of them. It creates threads while its list of
 * threads is read, and one that nobody traces would die of the first breakpoint it meets.
 *
 * <p>A thread that is created by one which is traced is traced from its start (PTRACE_O_TRACECLONE). So the
 * list is read until it has nobody new. Since a thread may have been in the middle of creating another when
 * it was attached to, the list is read again when every thread was stopped once. When the threads are let go,
 * passes are made likewise until none is left.
 *
 * <p>Tracer thread only.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
final class Attacher {

  private static final int OPTIONS = Ptrace.O_TRACECLONE | Ptrace.O_TRACEFORK | Ptrace.O_TRACEVFORK
      | Ptrace.O_TRACEEXEC;

  private final TracedProcess process;
  private final Tracer tracer;

  Attacher(TracedProcess process) {
    this.process = process;
    tracer = process.tracer();
  }

  /**
   * Attaches to all threads that are there, and those that they create from then on.
   *
   * @throws PtraceException if there are none, or one cannot be attached to
   */
  void seizeAll() {
    do {
      seizeThreads();
      if (process.threadTable().isEmpty()) {
        throw Attachability.explain(process.pid(), Libc.ESRCH);
      }
    } while (wasReplaced());
  }

  /**
   * Threads are created while the list is read. A thread created by one that is already seized is traced from
   * its start (PTRACE_O_TRACECLONE), so a pass that finds no new thread has seen all. A main thread that has
   * ended before the others is none to be traced.
   *
   * @return those that were attached to
   */
  private List<TracedThread> seizeThreads() {
    Scratch s = tracer.scratch();
    var seized = new ArrayList<TracedThread>();
    boolean found = true;
    while (found) {
      found = false;
      for (int tid : ProcessStatus.threadIds(process.pid())) {
        if (process.threadTable().get(tid) != null) {
          continue;
        }
        if (Libc.ptrace(s.state, Ptrace.SEIZE, tid, 0, OPTIONS) == 0) {
          seized.add(process.threadTable().add(tid, true));
          found = true;
          continue;
        }
        int errno = Libc.errno(s.state);
        ProcessStatus status = ProcessStatus.of(tid);
        if (status == null || status.isDead() || status.tracer() == tracer.tid()) {
          // It has ended, or its creator was seized first and its first stop is on its way to us.
          continue;
        }
        if (errno != Libc.ESRCH) {
          throw Attachability.explain(tid, errno);
        }
      }
    }
    return seized;
  }

  /**
   * A thread that was not seized yet may have executed another program, and is then the main thread,
   * untraced.
   */
  private boolean wasReplaced() {
    ProcessStatus status = ProcessStatus.of(process.pid());
    if (status == null || status.isDead() || status.tracer() == tracer.tid()) {
      return false;
    }
    process.threads().forEach(process::forget);
    tracer.tracees().add(process);
    return true;
  }

  /**
   * Attaches to what was being created when its creator was attached to.
   *
   * @param first the threads that may have been creating others
   * @param interrupting is told of each thread before it is asked to stop
   * @see TracedProcess#completeAttach
   */
  void complete(List<TracedThread> first, Consumer<TracedThread> interrupting) {
    for (List<TracedThread> rest = first; !rest.isEmpty();) {
      for (TracedThread thread : rest) {
        try {
          if (thread.stop() == null && !process.waitsForChild(thread)) {
            interrupting.accept(thread);
            thread.interruptAndWait();
            thread.handleStop();
          }
        } catch (PtraceException e) {
          if (!e.isBeyondReach()) {
            throw e;
          }
          // It has ended, or is stuck in state D, and not in a clone(2), which does not wait for anything
          // that long.
        }
      }
      tracer.dispatchDeferred();
      if (process.threadTable().isEmpty()) {
        return;
      }
      // Not those that were traced from their start: they create nobody unseen.
      rest = seizeThreads();
    }
  }

  /** Attaches to threads that came unseen (CLONE_UNTRACED); returns true if there are any. */
  boolean attachNewcomers(Consumer<TracedThread> interrupting) {
    List<TracedThread> fresh = seizeThreads();
    complete(fresh, interrupting);
    return !fresh.isEmpty();
  }

  /**
   * Lets all threads go that can be stopped.
   *
   * @throws PtraceException if a thread could not be let go; the others have been
   * @see TracedProcess#detach
   */
  void detach() {
    var unreachable = new HashSet<TracedThread>();
    PtraceException failure = null;
    for (List<TracedThread> rest = process.threads(); !rest.isEmpty();) {
      for (TracedThread thread : rest) {
        try {
          thread.interruptAndWait();
          thread.detach(thread.stop() instanceof WaitStatus.Signal(int signal) ? signal : 0);
        } catch (PtraceException e) {
          unreachable.add(thread);
          if (!e.isBeyondReach()) {
            failure = e;
          }
          // Its end is reported in its turn, or it is left to the kernel.
        }
      }
      // Ends, and an exec, which were waited for in vain; newcomers are stopped themselves.
      tracer.dispatchDeferred();
      rest = new ArrayList<>(process.threads());
      rest.removeAll(unreachable);
    }
    process.closeIfEmpty();
    if (failure != null) {
      throw failure;
    }
  }
}
