package io.xolotl.cli;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * What Ctrl-C and SIGTERM do to a command: it ends as if its time were up, and the JVM waits until its results are
 * printed before it exits with the signal's status, 130 or 143. Sessions restore their processes by themselves.
 */
final class Interruption {

  /** A reader of the results that reads no more must not keep the JVM from exiting. */
  private static final int PATIENCE_SECONDS = 10;

  private final CompletableFuture<Void> requested = new CompletableFuture<>();
  private final Semaphore exit = new Semaphore(1);

  /** Keeps the JVM from exiting until closed. */
  interface Hold extends AutoCloseable {
    @Override
    void close();
  }

  /** An interruption by the signals that this JVM gets. */
  static Interruption install() {
    var interruption = new Interruption();
    Runtime.getRuntime().addShutdownHook(new Thread(interruption::endCommand, "xolotl-interrupted"));
    return interruption;
  }

  private void endCommand() {
    request();
    try {
      if (!exit.tryAcquire(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        System.err.println("xolotl: gave up on printing the results, because nothing reads them");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends the command as a signal does. */
  void request() {
    requested.complete(null);
  }

  /** Completes when the command shall end. */
  CompletableFuture<Void> requested() {
    return requested;
  }

  /** From now on until the hold is closed, the command has results to print. */
  Hold hold() {
    exit.acquireUninterruptibly();
    return exit::release;
  }
}
