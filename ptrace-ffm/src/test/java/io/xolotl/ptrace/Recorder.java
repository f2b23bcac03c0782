package io.xolotl.ptrace;

import io.xolotl.lab.Await;
import io.xolotl.ptrace.WaitStatus.Created;
import io.xolotl.ptrace.WaitStatus.Executed;
import io.xolotl.ptrace.WaitStatus.Exiting;
import io.xolotl.ptrace.WaitStatus.GroupStop;
import io.xolotl.ptrace.WaitStatus.Interrupted;
import io.xolotl.ptrace.WaitStatus.Other;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The handler of most tests: lets every thread go on, with every signal, and keeps account of what happened.
 * Tests override what they are about.
 */
class Recorder implements TraceHandler {

  record Child(TracedProcess parent, TracedProcess process, boolean sharesMemory) {}

  /** Threads that the process created while it was traced. */
  final AtomicLong started = new AtomicLong();
  final AtomicLong endedThreads = new AtomicLong();
  final AtomicLong stops = new AtomicLong();
  final Queue<WaitStatus.Stopped> statuses = new ConcurrentLinkedQueue<>();
  final Queue<Child> children = new ConcurrentLinkedQueue<>();
  final Queue<TracedThread> executed = new ConcurrentLinkedQueue<>();
  /** How each process has ended, by its id. */
  final Map<Integer, WaitStatus.Ended> ends = new ConcurrentHashMap<>();

  /** The kernel lets others know of an end before the tracer has told its handler. */
  WaitStatus.Ended awaitEnd(int pid) {
    Await.until(() -> ends.containsKey(pid), () -> "the end of process " + pid);
    return Objects.requireNonNull(ends.get(pid));
  }

  @Override
  public void stopped(TracedThread thread, WaitStatus.Stopped status) {
    stops.incrementAndGet();
    statuses.add(status);
    resume(thread, status);
  }

  static void resume(TracedThread thread, WaitStatus.Stopped status) {
    switch (status) {
      case WaitStatus.Signal(int signal) -> thread.cont(signal);
      case GroupStop _ -> thread.listen();
      case Interrupted _, Created _, Executed _, Exiting _, Other _ ->
        thread.cont(0);
    }
  }

  @Override
  public void threadStarted(TracedThread thread) {
    started.incrementAndGet();
    resume(thread, Objects.requireNonNull(thread.stop()));
  }

  @Override
  public void processCreated(TracedProcess parent, TracedProcess child, TracedThread thread,
      boolean sharesMemory) {
    children.add(new Child(parent, child, sharesMemory));
    thread.cont(0);
  }

  @Override
  public void executed(TracedThread thread, List<TracedThread> former) {
    executed.add(thread);
    thread.cont(0);
  }

  @Override
  public void ended(TracedThread thread, WaitStatus.Ended status) {
    endedThreads.incrementAndGet();
    if (thread.process().threads().isEmpty()) {
      ends.put(thread.process().pid(), status);
    }
  }
}
