package io.xolotl.lab.fuzzing;

import io.xolotl.lab.oracle.UnitResult;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Hands out the numbers of units to workers, and their results in the order of the numbers. Any thread.
 *
 * @param <U> what is known of a unit besides its result
 */
final class UnitQueue<U> {

  /** How many units a worker may be ahead of the one that is waited for. */
  private static final int AHEAD = 8;

  private final long window;
  private final long first;
  private final Map<Long, Done<U>> done = new HashMap<>();
  private long taken;
  private long given;
  private boolean closed;
  private @Nullable Throwable failure;

  /** A unit that was executed. */
  record Done<U>(U unit, UnitResult result) {}

  /**
   * Creates a queue.
   *
   * @param first how many units are executed before the others are known
   */
  UnitQueue(int workers, long first) {
    this.first = first;
    window = (long) AHEAD * workers;
  }

  /**
   * The number of the next unit; waits while results are not taken, or not all of the first ones; -1 if there
   * is none any more.
   */
  synchronized long take() {
    while (!closed && !isAvailable()) {
      pause();
    }
    return closed ? -1 : taken++;
  }

  /** The same, but empty instead of waiting, for who has a unit in hand that others may wait for. */
  synchronized OptionalLong tryTake() {
    return closed || isAvailable() ? OptionalLong.of(take()) : OptionalLong.empty();
  }

  private boolean isAvailable() {
    return taken - given < window && (taken < first || given >= first);
  }

  synchronized void put(long number, U unit, UnitResult result) {
    done.put(number, new Done<>(unit, result));
    notifyAll();
  }

  /** A worker cannot go on. */
  synchronized void fail(Throwable cause) {
    if (failure == null) {
      failure = cause;
    }
    notifyAll();
  }

  /** What {@link #next} has returned is known to all from now on. */
  synchronized void taken() {
    given++;
    notifyAll();
  }

  /** Waits for the next result. */
  synchronized Done<U> next() {
    while (true) {
      Done<U> result = done.remove(given);
      if (result != null) {
        return result;
      }
      if (failure != null) {
        throw new IllegalStateException("a unit cannot be executed", failure);
      }
      pause();
    }
  }

  synchronized void close() {
    closed = true;
    notifyAll();
  }

  private void pause() {
    try {
      wait();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while units are executed", e);
    }
  }
}
