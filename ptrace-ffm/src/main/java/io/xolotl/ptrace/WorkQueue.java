package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * Work that others give the tracer thread. It sleeps in {@code waitpid}, which looks at no queue, so whoever
 * adds work has to wake it, and no wake-up may be lost on the way.
 *
 * <p>The caller adds to the queue and then looks at {@link #waiting}. The tracer sets that, then looks at the
 * queue, and then calls waitpid. So either the tracer sees the work, or the caller sees that a signal is
 * needed. The signal makes waitpid return EINTR; one that arrives just before the system call starts is lost,
 * so the caller repeats it until the thread is seen awake.
 *
 * <p>Any thread adds, wakes and closes. Everything else, and every write of {@link #waiting}, is the tracer
 * thread's.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
final class WorkQueue {

  /** How long a waker waits before it signals again, in nanoseconds. */
  private static final long WAKE_INTERVAL = 50_000;

  /** Also the lock that keeps work from being added behind the last that is done. */
  private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
  private final Thread worker;

  /** The tracer thread is in waitpid, or is about to be and will look at the queue once more before. */
  private volatile boolean waiting;

  private volatile boolean closed;
  private volatile int workerTid;

  WorkQueue(Thread worker) {
    this.worker = worker;
  }

  /** The tracer thread begins: from now on signals can reach it. */
  void begin() {
    workerTid = WakeSignal.gettid();
  }

  /** The tracer thread's id for the kernel; 0 before it has begun. */
  int workerTid() {
    return workerTid;
  }

  /**
   * Queues a task, and wakes the tracer thread for it.
   *
   * @throws PtraceException with {@link Reason#CLOSED} if it is closed
   */
  void add(Runnable task) {
    synchronized (tasks) {
      if (closed) {
        throw closedException();
      }
      tasks.add(task);
    }
    wake();
  }

  static PtraceException closedException() {
    return new PtraceException(Reason.CLOSED, "the tracer is closed");
  }

  /** Refuses tasks from now on; those that are there, and one that does nothing, are still to be done. */
  void close() {
    synchronized (tasks) {
      if (!closed) {
        // In this order: the thread takes work without the lock, and what it takes last must find it closed.
        closed = true;
        tasks.add(() -> {});
      }
    }
  }

  /** Gets the tracer thread out of waitpid, if there is work. */
  void wake() {
    if (Thread.currentThread() == worker) {
      return;
    }
    LockSupport.unpark(worker);
    while (waiting && !tasks.isEmpty()) {
      WakeSignal.send(workerTid);
      LockSupport.parkNanos(WAKE_INTERVAL);
    }
  }

  boolean isEmpty() {
    return tasks.isEmpty();
  }

  /** Returns true if nothing is left to be done and nothing will be added. */
  boolean isDone() {
    return closed && tasks.isEmpty();
  }

  /** Runs what is queued, up to a number, so that those who queue without end hold no stop up. */
  void run(int most) {
    for (int i = 0; i < most; i++) {
      Runnable task = tasks.poll();
      if (task == null) {
        return;
      }
      try {
        task.run();
      } catch (RuntimeException | Error e) {
        Tracer.log("work for the tracer failed", e);
      }
    }
  }

  /**
   * The tracer thread is about to wait; {@link #endWait} follows.
   *
   * @return true if it may sleep; false if there is work already, for which a look must do
   */
  boolean beginWait() {
    // Where there is work already nobody need wake it.
    waiting = tasks.isEmpty();
    return waiting && tasks.isEmpty();
  }

  /** Parks the tracer thread, which is in a wait, until there is work. */
  void park() {
    // The flag stays, and an unpark before the park is kept.
    while (tasks.isEmpty()) {
      // A handler may have left the interrupt flag set, and with it no park would last.
      Thread.interrupted();
      LockSupport.park(this);
    }
  }

  void endWait() {
    waiting = false;
  }
}
