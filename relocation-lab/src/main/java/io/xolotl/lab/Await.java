package io.xolotl.lab;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** Waits for conditions that nothing announces, by asking again and again until a deadline. */
public final class Await {

  /**
   * How long tests wait for anything. It only ends what hangs: whatever does its work gets through it in a
   * small part of this on a machine that has other work for all its CPUs.
   */
  public static final Duration PATIENCE = Duration.ofMinutes(5);

  private static final long POLL_NANOS = 500_000;

  private Await() {}

  /**
   * Waits, at most {@link #PATIENCE}, until a condition holds.
   *
   * @param condition asked about every half millisecond
   * @param expectation what is awaited, for the message of the failure
   * @throws AssertionError if the condition does not hold in time, or the thread is interrupted
   */
  public static void until(BooleanSupplier condition, Supplier<String> expectation) {
    until(condition, PATIENCE, expectation);
  }

  /**
   * Waits until a condition holds.
   *
   * @param condition asked about every half millisecond
   * @param atMost how long to wait
   * @param expectation what is awaited, for the message of the failure
   * @throws AssertionError if the condition does not hold in time, or the thread is interrupted
   */
  public static void until(BooleanSupplier condition, Duration atMost, Supplier<String> expectation) {
    long deadline = System.nanoTime() + atMost.toNanos();
    while (!condition.getAsBoolean()) {
      if (Thread.currentThread().isInterrupted()) {
        throw new AssertionError("interrupted while waiting for: " + expectation.get());
      }
      if (System.nanoTime() - deadline > 0) {
        throw new AssertionError(
            "timed out after " + atMost.toMillis() + " ms while waiting for: " + expectation.get());
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }
}
