package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The one thread that controls traced processes.
 *
 * <p>Linux ties every ptrace request to the thread that attached: this class owns such a thread, a platform thread,
 * waits in {@code waitpid} for what its tracees do, and hands each stop to the {@link TraceHandler} of the process.
 * Everyone else passes it work with {@link #call} and {@link #execute}. While no work and no stop is there it uses
 * no CPU.
 *
 * <p>Who owns what: the queue and {@link #waiting} are shared; everything else here, and every {@link TracedProcess}
 * and {@link TracedThread}, belongs to the tracer thread.
 *
 * <p>{@code waitpid} is called with {@code __WNOTHREAD}: it sees this thread's own tracees and children, never a
 * child that the application started elsewhere, whose exit status is not ours to take.
 */
public final class Tracer implements AutoCloseable {

  /** A stop that does not come within this time is reported instead of waited for, in nanoseconds. */
  private static final long STOP_DEADLINE = 10_000_000_000L;

  /** How long a waker waits before it signals again, in nanoseconds. */
  private static final long WAKE_INTERVAL = 50_000;

  private static final int BATCH = 64;

  private final Queue<Runnable> work = new ConcurrentLinkedQueue<>();
  private final Thread thread;

  /** The tracer thread is in waitpid, or is about to be and will look at the queue once more before. */
  private volatile boolean waiting;

  private volatile boolean closed;
  private volatile boolean ended;
  private volatile int tid;

  // From here on: tracer thread only.
  private final Map<Integer, TracedThread> threads = new HashMap<>();
  private final Map<Integer, TracedProcess> processes = new HashMap<>();
  /** Tracees that stopped before the event that announces them. */
  private final Map<Integer, Integer> unclaimed = new HashMap<>();
  /** Stops that were taken from the kernel while the tracer waited for another: thread id and status in turn. */
  private final ArrayDeque<Integer> deferred = new ArrayDeque<>();
  private final int[] batchTids = new int[BATCH];
  private final int[] batchStatuses = new int[BATCH];

  /** Native memory for the arguments of calls. Tracer thread only. */
  static final class Scratch {
    final MemorySegment state;
    final MemorySegment status;
    final MemorySegment registers;
    final MemorySegment siginfo;
    final MemorySegment word;
    final MemorySegment vector;
    final MemorySegment peek;
    /** Room for the largest XSAVE state there is (AMX: 11 KiB). */
    final MemorySegment xstate;

    Scratch(Arena arena) {
      state = arena.allocate(Libc.callState());
      status = arena.allocate(JAVA_INT);
      registers = arena.allocate(Registers.BYTES, 8);
      siginfo = arena.allocate(SignalInfo.BYTES * 8L, 8);
      word = arena.allocate(JAVA_LONG);
      vector = arena.allocate(16, 8);
      peek = arena.allocate(16, 8);
      xstate = arena.allocate(32 << 10, 64);
    }
  }

  private @Nullable Scratch scratch;

  private Tracer(String name) {
    thread = Thread.ofPlatform().name(name).daemon(true).unstarted(this::run);
  }

  /**
   * Starts a tracer thread.
   *
   * @param name the thread's name
   * @throws PtraceException with {@link Reason#NATIVE_ACCESS_DENIED} if the JVM was started without
   *     {@code --enable-native-access} for this module
   */
  public static Tracer start(String name) {
    Module module = Tracer.class.getModule();
    if (!module.isNativeAccessEnabled()) {
      String flag = module.isNamed() ? module.getName() : "ALL-UNNAMED";
      throw new PtraceException(Reason.NATIVE_ACCESS_DENIED,
          "native access is not enabled: start java with --enable-native-access=" + flag);
    }
    WakeSignal.install();
    var tracer = new Tracer(name);
    tracer.thread.start();
    return tracer;
  }

  /** Tells whether the caller runs on the tracer thread, where ptrace requests can be made. */
  public boolean isTracerThread() {
    return Thread.currentThread() == thread;
  }

  /**
   * Runs something on the tracer thread and waits for its result; on the tracer thread itself, at once.
   *
   * @param task what to run; what it throws is thrown here if it is unchecked
   * @throws PtraceException with {@link Reason#CLOSED} if the tracer is closed
   */
  public <T extends @Nullable Object> T call(Callable<T> task) {
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
          return result.get();
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
    if (closed) {
      throw new PtraceException(Reason.CLOSED, "the tracer is closed");
    }
    work.add(task);
    wake();
    // The thread may have ended between the look at the flag and the add; then the task is ours again, or has run.
    if (ended && work.remove(task)) {
      throw new PtraceException(Reason.CLOSED, "the tracer is closed");
    }
  }

  /**
   * Gets the tracer thread out of waitpid. A signal makes waitpid return EINTR, but one that arrives just before the
   * system call starts is lost, so it is repeated until the thread is seen awake.
   */
  private void wake() {
    if (isTracerThread()) {
      return;
    }
    LockSupport.unpark(thread);
    while (waiting && !work.isEmpty()) {
      WakeSignal.send(tid);
      LockSupport.parkNanos(WAKE_INTERVAL);
    }
  }

  /**
   * Ends the tracer thread after all work queued so far. The kernel detaches what is still attached then; detach
   * processes before. Idempotent.
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    work.add(() -> {});
    wake();
    if (isTracerThread()) {
      return;
    }
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (Arena arena = Arena.ofConfined()) {
      scratch = new Scratch(arena);
      WakeSignal.unblock();
      tid = WakeSignal.gettid();
      while (true) {
        runWork();
        if (closed && work.isEmpty()) {
          return;
        }
        Integer next = deferred.poll();
        if (next != null) {
          dispatch(next, java.util.Objects.requireNonNull(deferred.poll()));
          continue;
        }
        awaitStops();
      }
    } finally {
      closed = true;
      ended = true;
      // Nobody may wait for a thread that is gone.
      runWork();
    }
  }

  private void runWork() {
    Runnable task;
    while ((task = work.poll()) != null) {
      try {
        task.run();
      } catch (RuntimeException | Error e) {
        report("work for the tracer failed", e);
      }
    }
  }

  /** Waits for one stop and takes with it all that are there: see {@link #dispatchBatch}. */
  private void awaitStops() {
    Scratch s = scratch();
    waiting = true;
    if (!work.isEmpty()) {
      waiting = false;
      return;
    }
    int stopped = Libc.waitpid(s.state, -1, s.status, Libc.WALL | Libc.WNOTHREAD);
    int errno = stopped < 0 ? Libc.errno(s.state) : 0;
    if (errno == Libc.ECHILD) {
      // Nothing to wait for: park until there is work. The flag stays, and an unpark before the park is kept.
      while (work.isEmpty()) {
        LockSupport.park(this);
      }
    }
    waiting = false;
    if (stopped > 0) {
      dispatchBatch(stopped, s.status.get(JAVA_INT, 0));
    } else if (errno != Libc.EINTR && errno != Libc.ECHILD) {
      throw new PtraceException(Reason.SYSTEM_ERROR, errno, "waitpid failed with " + Errno.name(errno));
    }
  }

  /**
   * The kernel reports the first stopped thread of its list: where threads stop faster than they are served, those
   * behind would starve. So all that are stopped now are taken before the first of them is resumed.
   */
  private void dispatchBatch(int firstTid, int firstStatus) {
    Scratch s = scratch();
    batchTids[0] = firstTid;
    batchStatuses[0] = firstStatus;
    int n = 1;
    if (threads.size() > 1) {
      while (n < BATCH) {
        int more = Libc.waitpid(s.state, -1, s.status, Libc.WALL | Libc.WNOTHREAD | Libc.WNOHANG);
        if (more <= 0) {
          break;
        }
        batchTids[n] = more;
        batchStatuses[n++] = s.status.get(JAVA_INT, 0);
      }
    }
    for (int i = 0; i < n; i++) {
      // A handler that waits for a thread finds its stop here if it is already taken.
      if (batchTids[i] != 0) {
        int stopped = batchTids[i];
        batchTids[i] = 0;
        dispatch(stopped, batchStatuses[i]);
      }
    }
  }

  private void dispatch(int stoppedTid, int word) {
    WaitStatus status = WaitStatus.of(word);
    TracedThread traced = threads.get(stoppedTid);
    try {
      if (traced == null) {
        newcomer(stoppedTid, word, status);
      } else {
        traced.process().dispatch(traced, status);
      }
    } catch (PtraceException e) {
      // Killed between its stop and our request (ptrace(2), "Death under ptrace"): its end is reported next.
      if (e.reason() != Reason.THREAD_GONE) {
        report("stop of thread " + stoppedTid + " (" + status + ") could not be handled", e);
      }
    } catch (RuntimeException | Error e) {
      report("stop of thread " + stoppedTid + " (" + status + ") could not be handled", e);
    }
  }

  /**
   * A tracee that nobody announced yet: the kernel reports a new thread's first stop and its creator's event in
   * either order.
   */
  private void newcomer(int newTid, int word, WaitStatus status) {
    if (status instanceof WaitStatus.Ended) {
      unclaimed.remove(newTid);
      return;
    }
    ProcessStatus known = ProcessStatus.of(newTid);
    if (known != null) {
      TracedProcess process = processes.get(known.tgid());
      if (process != null) {
        process.dispatch(process.adopt(newTid), status);
        return;
      }
    }
    unclaimed.put(newTid, word);
  }

  private static void report(String what, Throwable e) {
    System.getLogger(Tracer.class.getName()).log(System.Logger.Level.ERROR, what, e);
  }

  /**
   * Hands out the stops that were taken while the tracer thread waited for something else. Tracer thread only; the main
   * loop does the same when it gets there.
   */
  public void dispatchDeferred() {
    Integer next;
    while ((next = deferred.poll()) != null) {
      dispatch(next, java.util.Objects.requireNonNull(deferred.poll()));
    }
  }

  // For TracedProcess and TracedThread, on the tracer thread.

  Scratch scratch() {
    if (!isTracerThread()) {
      throw new IllegalStateException("only the tracer thread may make ptrace requests; use Tracer.call");
    }
    return java.util.Objects.requireNonNull(scratch);
  }

  void add(TracedThread t) {
    threads.put(t.tid(), t);
  }

  void remove(int oldTid) {
    threads.remove(oldTid);
  }

  void add(TracedProcess process) {
    processes.put(process.pid(), process);
  }

  void remove(TracedProcess process) {
    processes.remove(process.pid());
  }

  int tid() {
    return tid;
  }

  /** Takes the first stop of a tracee that stopped before it was announced, or −1. */
  int claim(int newTid) {
    Integer word = unclaimed.remove(newTid);
    return word == null ? -1 : word;
  }

  /** Hands a stop out again later, in its turn. */
  void defer(int stoppedTid, int word) {
    deferred.add(stoppedTid);
    deferred.add(word);
  }

  /**
   * Waits for the next stop, or the end, of one thread, without taking those of others. Its stop may already have
   * been taken with a batch.
   *
   * @return the word of waitpid
   * @throws PtraceException NOT_STOPPING after ten seconds, THREAD_GONE if there is no such tracee any more
   */
  int await(int awaited) {
    int early = takeEarlier(awaited);
    if (early >= 0) {
      return early;
    }
    Scratch s = scratch();
    long start = System.nanoTime();
    for (int round = 0;; round++) {
      int got = Libc.waitpid(s.state, awaited, s.status, Libc.WALL | Libc.WNOTHREAD | Libc.WNOHANG);
      if (got == awaited) {
        return s.status.get(JAVA_INT, 0);
      }
      if (got < 0 && Libc.errno(s.state) != Libc.EINTR) {
        throw new PtraceException(Reason.THREAD_GONE, Libc.errno(s.state),
            "thread " + awaited + " has ended meanwhile (waitpid: " + Errno.name(Libc.errno(s.state)) + ")");
      }
      if (System.nanoTime() - start > STOP_DEADLINE) {
        throw new PtraceException(Reason.NOT_STOPPING, "thread " + awaited + " has not stopped for "
            + STOP_DEADLINE / 1_000_000_000L
            + " s; it is probably in an uninterruptible system call (state D)");
      }
      if (round > 20) {
        LockSupport.parkNanos(Math.min(1_000_000, 1_000L * round));
      } else {
        Thread.onSpinWait();
      }
    }
  }

  private int takeEarlier(int awaited) {
    for (int i = 0; i < BATCH; i++) {
      if (batchTids[i] == awaited) {
        batchTids[i] = 0;
        return batchStatuses[i];
      }
    }
    var iterator = deferred.iterator();
    while (iterator.hasNext()) {
      int deferredTid = iterator.next();
      int word = iterator.next();
      if (deferredTid == awaited) {
        var rest = new ArrayDeque<Integer>();
        boolean taken = false;
        for (var all = deferred.iterator(); all.hasNext();) {
          int t = all.next();
          int w = all.next();
          if (t == awaited && !taken) {
            taken = true;
          } else {
            rest.add(t);
            rest.add(w);
          }
        }
        deferred.clear();
        deferred.addAll(rest);
        return word;
      }
    }
    return -1;
  }
}
