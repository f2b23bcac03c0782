package io.xolotl.ptrace;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Hands what the threads of a process report to its {@link TraceHandler}. Linux reports the first stop of a
 * new thread, that of a new process, and an exec like any other stop, and each is another event for the
 * handler.
 *
 * <p>So the state of threads and processes is brought up to date first, and the handler is told then, by the
 * method that is meant for the event: whatever it asks is as it is now.
 *
 * <p>Tracer thread only.
 */
final class StopDispatcher {

  /** Where a process comes from. */
  private record Birth(TracedProcess creator, boolean sharesMemory) {}

  private final TracedProcess process;
  private TraceHandler handler;
  /** Set between the creation of a child process and its first stop. */
  private @Nullable Birth birth;

  StopDispatcher(TracedProcess process, TraceHandler handler) {
    this.process = process;
    this.handler = handler;
  }

  TraceHandler handler() {
    return handler;
  }

  void handler(TraceHandler replacement) {
    handler = replacement;
  }

  /** The process's first stop will be that of a process which a traced one has created. */
  void expectBirth(TracedProcess creator, boolean sharesMemory) {
    birth = new Birth(creator, sharesMemory);
  }

  /** Takes what {@code waitpid} has told of a thread of the process. */
  void dispatch(TracedThread thread, WaitStatus status) {
    switch (status) {
      case WaitStatus.Ended ended -> {
        process.forget(thread);
        if (process.threadTable().isEmpty()) {
          process.tracer().newcomers().adoptOrphans(process);
        }
        handler.ended(thread, ended);
      }
      case WaitStatus.Stopped stopped -> {
        thread.markStopped(stopped);
        process.tracer().newcomers().noteCreation(thread, stopped);
        route(thread, stopped);
      }
    }
  }

  /** Tells the handler of a stop, in which the thread is known to be. */
  void route(TracedThread thread, WaitStatus.Stopped stopped) {
    if (thread.start()) {
      started(thread);
    } else if (stopped instanceof WaitStatus.Executed) {
      List<TracedThread> former = process.threads();
      handler.executed(process.executed(), former);
    } else {
      handler.stopped(thread, stopped);
    }
  }

  private void started(TracedThread thread) {
    Birth from = birth;
    birth = null;
    if (from == null) {
      handler.threadStarted(thread);
    } else {
      handler.processCreated(from.creator, process, thread, from.sharesMemory);
    }
  }
}
