package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import io.xolotl.ptrace.ReportQueue.Report;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The one thread that controls traced processes.
 *
 * <p>Linux ties every ptrace request to the thread that attached: this class owns such a thread, a platform
 * thread, waits in {@code waitpid} for what its tracees do, and hands each stop to the {@link TraceHandler}
 * of the process. Everyone else passes it work with {@link #call} and {@link #execute}. While stops follow
 * one another quickly it uses a CPU that nobody else wants; when none comes for a while it uses none.
 *
 * <p>Who owns what: the {@link WorkQueue} is shared; {@link StopWaiter}, {@link ReportQueue},
 * {@link Tracees} and {@link Newcomers}, and every {@link TracedProcess} and {@link TracedThread}, belong to
 * the tracer thread.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
public final class Tracer implements AutoCloseable {

  /** How much work is done before stops are looked at again. */
  private static final int BATCH = 64;

  /** Between looks at whether the thread has ended, in nanoseconds. */
  private static final long END_INTERVAL = 50_000;

  private static final Duration FOREVER = Duration.ofNanos(Long.MAX_VALUE);

  private final Thread thread;
  private final WorkQueue work;
  private final TracerAffinity affinity;
  private final IdleCpus idleCpus;

  // From here on: tracer thread only.
  private final Tracees tracees = new Tracees();
  private final ReportQueue reports = new ReportQueue();
  private final Newcomers newcomers = new Newcomers(tracees, reports);
  private @Nullable Scratch scratch;
  private @Nullable StopWaiter waiter;

  private Tracer(String name, TracerAffinity affinity, IdleCpus idleCpus) {
    this.affinity = affinity;
    this.idleCpus = idleCpus;
    thread = Thread.ofPlatform().name(name).daemon(true).unstarted(this::run);
    work = new WorkQueue(thread);
  }

  /**
   * Starts a tracer thread.
   *
   * @param name the thread's name
   * @return the tracer
   * @throws PtraceException with {@link Reason#NATIVE_ACCESS_DENIED} if the JVM was started without
   *     {@code --enable-native-access} for this module
   */
  public static Tracer start(String name) {
    return start(name, TracerAffinity.FREE, IdleCpus.SLEEP);
  }

  /**
   * Starts a tracer thread.
   *
   * @param name the thread's name
   * @param affinity where it runs
   * @param idleCpus what becomes of idle CPUs while stops follow one another quickly
   * @return the tracer
   * @throws PtraceException as {@link #start(String)}
   */
  public static Tracer start(String name, TracerAffinity affinity, IdleCpus idleCpus) {
    String denial = NativeAccess.denial();
    if (denial != null) {
      throw new PtraceException(Reason.NATIVE_ACCESS_DENIED, denial);
    }
    WakeSignal.install();
    var tracer = new Tracer(name, affinity, idleCpus);
    tracer.thread.start();
    return tracer;
  }

  boolean isRunning() {
    return thread.isAlive();
  }

  /** {@return true if the caller runs on the tracer thread, where ptrace requests can be made} */
  public boolean isTracerThread() {
    return Thread.currentThread() == thread;
  }

  /**
   * Runs something on the tracer thread and waits for its result; on the tracer thread itself, at once.
   *
   * @param <T> what the task returns
   * @param task what to run; what it throws is thrown here if it is unchecked
   * @return the result
   * @throws PtraceException with {@link Reason#CLOSED} if the tracer is closed
   */
  public <T extends @Nullable Object> T call(Callable<T> task) {
    return call(task, FOREVER, () -> {});
  }

  /**
   * As {@link #call(Callable)}, for a caller that looks now and then at what delays the tracer thread.
   *
   * @param <T> what the task returns
   * @param task what to run
   * @param interval how long the caller waits between two looks
   * @param look what it does then, in its own thread
   * @return the result
   * @throws PtraceException as {@link #call(Callable)}
   */
  public <T extends @Nullable Object> T call(Callable<T> task, Duration interval, Runnable look) {
    if (isTracerThread()) {
      try {
        return task.call();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
    var result = new CompletableFuture<T>();
    execute(() -> {
      try {
        result.complete(task.call());
      } catch (Throwable t) {
        // Not swallowed: it is thrown in the caller's thread, just below.
        result.completeExceptionally(t);
      }
    });
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return result.get(interval.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
          look.run();
        } catch (InterruptedException e) {
          // The task may already be half done: its result is waited for, and the interrupt kept.
          interrupted = true;
        } catch (ExecutionException e) {
          switch (e.getCause()) {
            case RuntimeException r -> throw r;
            case Error error -> throw error;
            case Throwable t -> throw new IllegalStateException(t);
            case null -> throw new IllegalStateException(e);
          }
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Queues something for the tracer thread; it runs between two stops.
   *
   * @param task what to run; it must not throw
   * @throws PtraceException with {@link Reason#CLOSED} if the tracer is closed
   */
  public void execute(Runnable task) {
    work.add(task);
  }

  /**
   * Ends the tracer thread after all work queued so far, and waits until it has ended unless it is the
   * caller. The kernel lets go of what is still attached then, without a stop, and has done so when this
   * returns; what is stopped for a trap dies of it, so detach that before. Idempotent.
   */
  @Override
  public void close() {
    close(FOREVER, () -> {});
  }

  /**
   * As {@link #close()}, for a caller that looks now and then at what delays the tracer thread.
   *
   * @param interval how long the caller waits between two looks
   * @param look what it does then, in its own thread
   */
  public void close(Duration interval, Runnable look) {
    work.close();
    if (isTracerThread()) {
      return;
    }
    work.wake();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        if (!thread.join(interval)) {
          look.run();
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    // join() returns while the thread is still on its way out of the JVM. exit_notify() in kernel/exit.c lets
    // go of its tracees and only then makes it a zombie, or nobody. Ids are given out in a circle: nobody
    // else has this one yet.
    while (!ProcessStatus.isGone(tid())) {
      LockSupport.parkNanos(END_INTERVAL);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (Arena arena = Arena.ofConfined()) {
      scratch = new Scratch(arena);
      try (StopWaiter stops = new StopWaiter(arena, scratch, work, tracees, reports, affinity, idleCpus)) {
        waiter = stops;
        WakeSignal.unblock();
        work.begin();
        serve(stops);
      }
    } finally {
      waiter = null;
      tracees.processes().forEach(TracedProcess::abandon);
      scratch = null;
      work.close();
      // If this thread dies of an error nobody may wait for it in vain: what they asked for finds it closed.
      work.run(Integer.MAX_VALUE);
    }
  }

  private void serve(StopWaiter stops) {
    while (true) {
      work.run(BATCH);
      if (work.isDone()) {
        return;
      }
      if (reports.isEmpty()) {
        stops.awaitStops();
      } else {
        dispatchFirst();
      }
    }
  }

  /**
   * Does something that may start threads or processes, which would inherit the CPU that the tracer thread is
   * kept on. Tracer thread only.
   *
   * @param action what to do
   */
  public void unpinned(Runnable action) {
    StopWaiter stops = waiter;
    if (stops != null) {
      stops.unpin();
    }
    action.run();
  }

  private void dispatchFirst() {
    Report report = reports.removeFirst();
    TracedThread traced = tracees.thread(report.tid());
    try {
      if (traced == null) {
        newcomers.reported(report);
      } else {
        traced.process().dispatcher().dispatch(traced, report.status());
      }
    } catch (ThreadGoneException e) {
      // Killed between its stop and our request (ptrace(2), "Death under ptrace"): its end is reported next.
      return;
    } catch (RuntimeException | Error e) {
      log(report + " could not be handled", e);
    }
  }

  static void log(String what, Throwable e) {
    System.getLogger(Tracer.class.getName()).log(System.Logger.Level.ERROR, what, e);
  }

  /**
   * Reports the stops that were taken from the kernel already, some perhaps while the tracer thread waited
   * for something else. Tracer thread only; the main loop does the same when it gets there.
   */
  public void dispatchDeferred() {
    while (!reports.isEmpty()) {
      dispatchFirst();
    }
  }

  /**
   * Waits until the first stops of all threads and processes that are announced are handled; they come at
   * once. Tracer thread only.
   *
   * <p>While the child of a vfork has not been handled its creator cannot be stopped, and nobody knows the
   * child.
   */
  public void awaitNewcomers() {
    newcomers.awaitFirstStops();
  }

  // For TracedProcess and TracedThread, on the tracer thread.

  private void requireTracerThread() {
    if (!isTracerThread()) {
      throw new IllegalStateException("only the tracer thread may make ptrace requests; use Tracer.call");
    }
  }

  Scratch scratch() {
    requireTracerThread();
    if (scratch == null) {
      throw WorkQueue.closedException();
    }
    return scratch;
  }

  Tracees tracees() {
    return tracees;
  }

  ReportQueue reports() {
    return reports;
  }

  Newcomers newcomers() {
    return newcomers;
  }

  /** The tracer thread's id for the kernel. */
  int tid() {
    return work.workerTid();
  }

  /**
   * Waits for the next stop, or the end, of one thread, without taking those of others.
   *
   * @throws PtraceException as {@link StopWaiter#await}
   */
  WaitStatus await(int awaited) {
    requireTracerThread();
    StopWaiter stops = waiter;
    if (stops == null) {
      throw WorkQueue.closedException();
    }
    return stops.await(awaited);
  }
}
