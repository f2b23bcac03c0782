package io.xolotl.xol;

import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.function.BiConsumer;

/**
 * What a session runs handlers with.
 *
 * @param taskExecutor runs handlers in {@link HandlerContext#TASK}; it must not run them in the thread that hands them over
 * @param errorListener is told what a handler threw, in the thread of the handler
 */
public record ProbingOptions(Executor taskExecutor, BiConsumer<Probe, Throwable> errorListener) {

  /** A virtual thread a hit, and errors to {@link System.Logger}. */
  public static ProbingOptions defaults() {
    return new ProbingOptions(Executors.newVirtualThreadPerTaskExecutor(), ProbingOptions::log);
  }

  static void log(Probe probe, Throwable thrown) {
    System.getLogger(Probe.class.getName()).log(System.Logger.Level.ERROR,
        "handler of the probe at " + probe.location()
            + " failed",
        thrown);
  }

  /** The same with another executor. */
  public ProbingOptions withTaskExecutor(Executor replacement) {
    return new ProbingOptions(replacement, errorListener);
  }

  /** The same with another listener. */
  public ProbingOptions withErrorListener(BiConsumer<Probe, Throwable> replacement) {
    return new ProbingOptions(taskExecutor, replacement);
  }
}
