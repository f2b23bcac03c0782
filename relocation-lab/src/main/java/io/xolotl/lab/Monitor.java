package io.xolotl.lab;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The lock of state that a reader thread changes and a test waits for. A change that is made without waking
 * those who wait is missed until their time is up.
 *
 * <p>So state is changed, read and waited for through here, and every change wakes all. Any thread; what is
 * given to it runs with the lock held, and takes no other lock.
 */
final class Monitor {

  /** Makes a change, and wakes all who wait. */
  synchronized void change(Runnable change) {
    change.run();
    notifyAll();
  }

  /** Reads something. */
  synchronized <T extends @Nullable Object> T get(Supplier<T> value) {
    return value.get();
  }

  /** Waits for a condition; returns true if it came true in time. */
  synchronized boolean await(BooleanSupplier condition, Duration atMost) throws InterruptedException {
    long deadline = System.nanoTime() + atMost.toNanos();
    while (!condition.getAsBoolean()) {
      long left = deadline - System.nanoTime();
      if (left <= 0) {
        return false;
      }
      TimeUnit.NANOSECONDS.timedWait(this, left);
    }
    return true;
  }
}
