package io.xolotl.ptrace;

import java.util.ArrayDeque;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;

/**
 * What {@code waitpid} has told and nobody was told of yet. Handling a stop may take waiting for another
 * thread, or asking what is known of it, and meanwhile others stop: none of that may be lost, and what one
 * thread did must be handed out in the order in which it did it.
 *
 * <p>So all that is taken from the kernel goes through here, oldest first. What is known of a thread can be
 * taken out of its turn, and what was taken too early be put back: in front, so that it stays before what
 * another thread reports that has got the same id since.
 *
 * <p>Tracer thread only.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
final class ReportQueue {

  private static final int RECENT = 256;

  /** A stop, or the end, of a tracee as waitpid told it. */
  record Report(int tid, WaitStatus status) {}

  private final ArrayDeque<Report> reports = new ArrayDeque<>();
  /** What was reported last, by the lower bits of the threads' ids: nothing is allocated then. */
  private final @Nullable Report[] recent = new Report[RECENT];

  boolean isEmpty() {
    return reports.isEmpty();
  }

  int size() {
    return reports.size();
  }

  void add(int tid, WaitStatus status) {
    reports.add(report(tid, status));
  }

  Report removeFirst() {
    return reports.removeFirst();
  }

  /**
   * Hands a report out again later; it stays in front of those of another thread that has got the same id
   * since.
   */
  void defer(int tid, WaitStatus status) {
    reports.addFirst(new Report(tid, status));
  }

  /** Takes out of its turn what is already known of a thread: the oldest of its reports, or null. */
  @Nullable
  WaitStatus take(int tid) {
    for (Iterator<Report> all = reports.iterator(); all.hasNext();) {
      Report report = all.next();
      if (report.tid == tid) {
        all.remove();
        return report.status;
      }
    }
    return null;
  }

  /** A thread mostly reports again what it has reported before. */
  private Report report(int tid, WaitStatus status) {
    Report report = recent[tid % RECENT];
    if (report == null || report.tid != tid || !report.status.equals(status)) {
      report = new Report(tid, status);
      recent[tid % RECENT] = report;
    }
    return report;
  }
}
