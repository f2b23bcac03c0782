package io.xolotl.xol;

import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs each task at once, however many others block, in a virtual thread. While tasks follow one another quickly one more
 * thread looks out for them and runs those that come while it is free: to wake up a CPU for a virtual thread, and another one
 * for the program when its carrier sleeps again, would take longer than the rest of a hit.
 */
final class HandlerThreads implements Executor {

  /** How long after a task the next one is looked out for, in nanoseconds. */
  private static final long LOOKOUT = 1_000_000;

  /** How many looks are made before the clock is read. */
  private static final int LOOKS = 64;

  /** There is a lookout, free or at work. */
  private final AtomicBoolean exists = new AtomicBoolean();

  /** The lookout, if it is free. Who takes it out of here gives it a task. */
  private final AtomicReference<@Nullable Lookout> free = new AtomicReference<>();

  /** When a task came last that the lookout did not get. */
  private volatile long latest = System.nanoTime() - LOOKOUT;

  @Override
  public void execute(Runnable task) {
    Lookout lookout = free.getAndSet(null);
    if (lookout != null) {
      lookout.task = task;
      return;
    }
    long now = System.nanoTime();
    boolean soon = now - latest < LOOKOUT;
    latest = now;
    if (soon && exists.compareAndSet(false, true)) {
      try {
        // Not virtual: it must let other threads have the CPU, which those cannot.
        Thread.ofPlatform().daemon().name("xolotl-handlers").start(new Lookout(task));
        return;
      } catch (OutOfMemoryError noMoreThreads) {
        // A virtual one needs none of its own.
        exists.set(false);
      }
    }
    Thread.ofVirtual().start(task);
  }

  private final class Lookout implements Runnable {
    private volatile @Nullable Runnable task;

    Lookout(Runnable first) {
      task = first;
    }

    @Override
    public void run() {
      try {
        for (Runnable next = task; next != null; next = nextTask()) {
          task = null;
          next.run();
          // What a handler has left is nothing to the next one.
          Thread.interrupted();
        }
      } finally {
        exists.set(false);
      }
    }

    private @Nullable Runnable nextTask() {
      free.set(this);
      long start = System.nanoTime();
      do {
        for (int i = 0; i < LOOKS; i++) {
          Runnable next = task;
          if (next != null) {
            return next;
          }
          Thread.yield();
        }
      } while (System.nanoTime() - start < LOOKOUT);
      if (free.compareAndSet(this, null)) {
        return null;
      }
      // Somebody has just taken this for a task.
      Runnable next = task;
      while (next == null) {
        Thread.yield();
        next = task;
      }
      return next;
    }
  }
}
