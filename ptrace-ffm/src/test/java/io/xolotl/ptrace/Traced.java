package io.xolotl.ptrace;

import java.util.function.Consumer;
import java.util.function.Function;

/**
 * A process that a test has attached to, with a tracer of its own; closing it detaches and ends the tracer.
 */
final class Traced implements AutoCloseable {

  final Tracer tracer;
  final TracedProcess process;

  private Traced(Tracer tracer, TracedProcess process) {
    this.tracer = tracer;
    this.process = process;
  }

  static Traced attach(int pid, TraceHandler handler) {
    return of(tracer -> TracedProcess.attach(tracer, pid, _ -> handler));
  }

  static Traced launch(LaunchRequest request, TraceHandler handler) {
    return of(tracer -> TracedProcess.launch(tracer, request, _ -> handler));
  }

  private static Traced of(Function<Tracer, TracedProcess> how) {
    Tracer tracer = Tracer.start("tracer of a test");
    try {
      return new Traced(tracer, tracer.call(() -> how.apply(tracer)));
    } catch (RuntimeException e) {
      tracer.close();
      throw e;
    }
  }

  TracedThread thread(int tid) {
    return tracer.call(() -> process.threads().stream().filter(thread -> thread.tid() == tid).findFirst()
        .orElseThrow());
  }

  TracedThread mainThread() {
    return thread(process.pid());
  }

  /** Does something with a thread that is stopped on its way to user mode, and lets it go on. */
  <T> T stopped(TracedThread thread, Function<TracedThread, T> action) {
    return tracer.call(() -> {
      thread.interruptAndWait();
      try {
        return action.apply(thread);
      } finally {
        thread.handleStop();
      }
    });
  }

  void stopped(Consumer<TracedThread> action) {
    stopped(mainThread(), thread -> {
      action.accept(thread);
      return 0;
    });
  }

  void detach() {
    tracer.call(() -> {
      process.detach();
      return 0;
    });
  }

  @Override
  public void close() {
    try {
      detach();
    } finally {
      tracer.close();
    }
  }
}
