package io.xolotl.ptrace;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The threads of one process that are traced. The tracer finds a thread by its id among all that it has (see
 * {@link Tracees}), and a thread that is gone must be found by neither: its id may soon be another's.
 *
 * <p>So whoever adds or removes a thread does it here, and both are changed together. A thread that is
 * removed makes no request any more.
 *
 * <p>Tracer thread only.
 */
final class ThreadTable {

  private final TracedProcess process;
  private final Tracees tracees;
  private final Map<Integer, TracedThread> threads = new LinkedHashMap<>();

  ThreadTable(TracedProcess process) {
    this.process = process;
    tracees = process.tracer().tracees();
  }

  /**
   * Adds a thread.
   *
   * @param started false if its first stop is still to come, and to be told of
   */
  TracedThread add(int tid, boolean started) {
    var thread = new TracedThread(process, tid, started);
    threads.put(tid, thread);
    tracees.add(thread);
    return thread;
  }

  /** A thread that the process created and that is traced since then. */
  TracedThread adopt(int tid) {
    TracedThread known = threads.get(tid);
    return known == null ? add(tid, false) : known;
  }

  void remove(TracedThread thread) {
    thread.markGone();
    threads.remove(thread.tid(), thread);
    tracees.remove(thread);
  }

  void removeAll() {
    all().forEach(this::remove);
  }

  /** The tracer thread ends: nothing is asked of them any more. */
  void abandon() {
    threads.values().forEach(TracedThread::markGone);
  }

  /** The thread with an id, or null. */
  @Nullable
  TracedThread get(int tid) {
    return threads.get(tid);
  }

  boolean isEmpty() {
    return threads.isEmpty();
  }

  /** A copy. */
  List<TracedThread> all() {
    return List.copyOf(threads.values());
  }
}
