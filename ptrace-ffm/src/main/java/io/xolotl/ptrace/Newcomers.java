package io.xolotl.ptrace;

import io.xolotl.ptrace.ReportQueue.Report;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Threads and processes that traced ones create. The kernel tells of each twice, by an event of its creator
 * and by its own first stop, and in either order, since two threads report that; the event may even never
 * come, when the creator is killed before it.
 *
 * <p>Whose a new thread is can be asked, so it is taken over at whatever comes first. With a new process,
 * which may share its creator's memory, the event is waited for, and its first stop is kept here until then
 * or until its creator has ended.
 *
 * <p>Tracer thread only.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
final class Newcomers {

  private final Tracees tracees;
  private final ReportQueue reports;
  /** Processes that stopped before the event that announces them. */
  private final Map<Integer, WaitStatus> unclaimed = new LinkedHashMap<>();

  Newcomers(Tracees tracees, ReportQueue reports) {
    this.tracees = tracees;
    this.reports = reports;
  }

  /** Takes the report of a tracee that nobody knows yet. */
  void reported(Report report) {
    if (report.status() instanceof WaitStatus.Ended) {
      unclaimed.remove(report.tid());
      return;
    }
    for (TracedProcess process : tracees.processes()) {
      if (hasThread(process, report.tid())) {
        process.dispatcher().dispatch(process.threadTable().adopt(report.tid()), report.status());
        return;
      }
    }
    unclaimed.put(report.tid(), report.status());
  }

  /**
   * Takes note of the thread or process that a stop announces; its first stop comes later, or has come
   * already.
   *
   * @param creator the thread that is in the stop
   */
  void noteCreation(TracedThread creator, WaitStatus.Stopped stopped) {
    if (!(stopped instanceof WaitStatus.Created(WaitStatus.Event event))) {
      return;
    }
    TracedProcess process = creator.process();
    int child = (int) creator.eventMessage();
    CloneCall call = CloneCall.announced(creator, event);
    if (call.createsThread()) {
      // It may have run and ended already.
      if (hasThread(process, child)) {
        process.threadTable().adopt(child);
      }
      return;
    }
    ProcessStatus status = ProcessStatus.of(child);
    // Known is one that was taken for an orphan, as which a child with another parent (CLONE_PARENT) looks.
    if (status != null && status.tracer() == process.tracer().tid() && tracees.process(child) == null) {
      process.adoptProcess(child, call.sharesMemory());
      WaitStatus first = unclaimed.remove(child);
      if (first != null) {
        reports.add(child, first);
      }
    }
  }

  /**
   * A process has ended, perhaps killed between a fork and its event, which is then never reported: its
   * children would stay stopped. A process that is still waited for by an event has its creator among the
   * traced.
   */
  void adoptOrphans(TracedProcess dead) {
    for (int child : List.copyOf(unclaimed.keySet())) {
      ProcessStatus status = ProcessStatus.of(child);
      if (status != null && tracees.process(status.parentPid()) == null) {
        WaitStatus first = Objects.requireNonNull(unclaimed.remove(child));
        // It may have been made with CLONE_VM by one of several in that memory.
        dead.adoptProcess(child,
            tracees.processes().stream().anyMatch(process -> process.sharesMemoryWith(child)));
        reports.add(child, first);
      }
    }
  }

  /** Returns true if a thread belongs to a process and exists, be it only as a zombie. */
  private static boolean hasThread(TracedProcess process, int tid) {
    Scratch s = process.tracer().scratch();
    // Signal 0 is not sent; EPERM says that it exists.
    return Libc.syscall(s.state, WakeSignal.SYS_TGKILL, process.pid(), tid, 0, 0, 0) == 0
        || Libc.errno(s.state) != Libc.ESRCH;
  }

  /** Has the first stops of all threads and processes that are announced handled; they come at once. */
  void awaitFirstStops() {
    for (TracedThread newcomer : tracees.threads()) {
      if (!newcomer.isFirstStop()) {
        continue;
      }
      try {
        if (newcomer.stop() == null) {
          newcomer.awaitStop();
        }
        newcomer.handleStop();
      } catch (ThreadGoneException e) {
        // Killed before it ran; its end is reported in its turn.
      }
    }
  }
}
