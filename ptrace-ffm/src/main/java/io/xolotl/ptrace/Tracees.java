package io.xolotl.ptrace;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Which threads and processes a tracer controls. {@code waitpid} tells the id of a thread alone, and at each
 * hit the thread has to be found by it.
 *
 * <p>The kernel gives ids out again, so an entry is removed only as long as it is still that thread's or that
 * process's.
 *
 * <p>Tracer thread only.
 */
final class Tracees {

  private static final int RECENT = 256;

  private final Map<Integer, TracedThread> threads = new HashMap<>();
  private final Map<Integer, TracedProcess> processes = new HashMap<>();
  /** Threads that were looked up last, by the lower bits of their ids: nothing is allocated then. */
  private final @Nullable TracedThread[] recent = new TracedThread[RECENT];

  void add(TracedThread thread) {
    threads.put(thread.tid(), thread);
    recent[thread.tid() % RECENT] = thread;
  }

  void remove(TracedThread thread) {
    threads.remove(thread.tid(), thread);
    if (recent[thread.tid() % RECENT] == thread) {
      recent[thread.tid() % RECENT] = null;
    }
  }

  /** The thread with an id, or null. */
  @Nullable
  TracedThread thread(int tid) {
    TracedThread known = recent[tid % RECENT];
    if (known == null || known.tid() != tid) {
      known = threads.get(tid);
      recent[tid % RECENT] = known;
    }
    return known;
  }

  /** Returns true if there is a thread with an id; of any number of ids, without an effect on later hits. */
  boolean isTracing(int tid) {
    return threads.containsKey(tid);
  }

  /** The threads that are traced now, those of all processes. */
  List<TracedThread> threads() {
    return List.copyOf(threads.values());
  }

  int threadCount() {
    return threads.size();
  }

  void add(TracedProcess process) {
    processes.put(process.pid(), process);
  }

  void remove(TracedProcess process) {
    processes.remove(process.pid(), process);
  }

  /** The process with an id, or null. */
  @Nullable
  TracedProcess process(int pid) {
    return processes.get(pid);
  }

  /** The processes as they come and go. */
  Collection<TracedProcess> processes() {
    return processes.values();
  }
}
