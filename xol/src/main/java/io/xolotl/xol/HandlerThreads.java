package io.xolotl.xol;

import io.xolotl.ptrace.IdleCpus;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Runs each task at once, however many others block, in a virtual thread. While tasks follow one another
 * quickly one more thread is kept for those that come while it is free, because to start a virtual one takes
 * longer than the rest of a hit.
 */
final class HandlerThreads implements Executor {

  /** Tasks that come within this time of one another, in nanoseconds, are frequent. */
  private static final long SOON = 1_000_000;

  /** How long the thread that is kept must have had nothing to do before it ends, in milliseconds. */
  private static final long LINGER = 100;

  private static final Runnable END = () -> {};

  /**
   * Who gets the CPU back from others only after this time shares it with some that do not wait for it, in
   * nanoseconds; then the thread sleeps at once, since the scheduler lets who wakes up in before who has run.
   */
  private static final long CROWDED = 500_000;

  /** For how many tasks it does so before it looks out again. */
  private static final int SLEEPS_WHEN_CROWDED = 64;

  /**
   * How long after a task the thread looks out for the next one before it sleeps, in nanoseconds. Where CPUs
   * sleep it takes longer to wake one up for the thread, and another for the program when that one sleeps
   * again. Where they are awake the thread that looks out would only be in the way of the program, which then
   * has to be let in by an interrupt.
   */
  private final long lookout;

  /** There is a thread that is kept, free or at work. */
  private final AtomicBoolean exists = new AtomicBoolean();

  /** That thread, if it is free. Who takes it out of here gives it a task. */
  private final AtomicReference<@Nullable SpareThread> free = new AtomicReference<>();

  /** When a task came last that this thread did not get. */
  private volatile long latest = System.nanoTime() - SOON;

  HandlerThreads(IdleCpus idleCpus) {
    lookout = switch (idleCpus) {
      case AWAKE -> 0;
      case SLEEP -> 1_000_000;
    };
  }

  @Override
  public void execute(Runnable task) {
    SpareThread spare = free.getAndSet(null);
    if (spare != null) {
      spare.give(task);
      return;
    }
    long now = System.nanoTime();
    boolean soon = now - latest < SOON;
    latest = now;
    if (!soon || !exists.compareAndSet(false, true)) {
      Thread.ofVirtual().start(task);
      return;
    }
    var first = new SpareThread(task);
    try {
      first.thread.start();
    } catch (OutOfMemoryError noMoreThreads) {
      // A virtual one needs none of its own.
      exists.set(false);
      Thread.ofVirtual().start(task);
    }
  }

  /**
   * Looks now and then whether the thread has had nothing to do since the last look, and then ends it. Nobody
   * relies on when that is: whoever takes the thread out of {@link #free}, this or a task's sender, has it
   * alone. The thread itself waits without a deadline, for which a timer would be set with each task.
   */
  private void endWhenIdle(SpareThread spare) {
    long before;
    do {
      before = spare.tasks;
      try {
        Thread.sleep(LINGER);
      } catch (InterruptedException e) {
        throw new AssertionError("nobody else knows this thread", e);
      }
      if (!spare.thread.isAlive()) {
        // A task has thrown an Error.
        return;
      }
    } while (spare.tasks != before || !free.compareAndSet(spare, null));
    spare.give(END);
  }

  private final class SpareThread {
    /** Not virtual: it must let other threads have the CPU, which those cannot. */
    private final Thread thread = Thread.ofPlatform().daemon().name("xolotl-handlers").unstarted(this::run);
    private volatile @Nullable Runnable task;
    /** How many it has done; only the thread itself counts. */
    private volatile long tasks;
    /** For how many more tasks it does not look out; only the thread itself uses it. */
    private int sleeps;

    SpareThread(Runnable first) {
      task = first;
    }

    void give(Runnable next) {
      task = next;
      LockSupport.unpark(thread);
    }

    private void run() {
      try {
        for (Runnable next = awaitTask(); next != END; next = awaitTask()) {
          task = null;
          next.run();
          // What a handler has left is nothing to the next one.
          Thread.interrupted();
          if (tasks == 0) {
            // Where there is no memory for it this thread ends, and has not lost a task.
            Thread.ofVirtual().start(() -> endWhenIdle(this));
          }
          tasks = tasks + 1;
          free.set(this);
        }
      } finally {
        free.compareAndSet(this, null);
        exists.set(false);
      }
    }

    private Runnable awaitTask() {
      Runnable next = task;
      long now = System.nanoTime();
      long end = now + (sleeps == 0 ? lookout : 0);
      sleeps = Math.max(0, sleeps - 1);
      for (; next == null; next = task) {
        if (end - now > 0) {
          long before = now;
          Thread.yield();
          now = System.nanoTime();
          if (now - before > CROWDED) {
            sleeps = SLEEPS_WHEN_CROWDED;
            end = now;
          }
        } else {
          // With the flag, which a handler's friends may set late, no park would last.
          Thread.interrupted();
          LockSupport.park(this);
        }
      }
      return next;
    }
  }
}
