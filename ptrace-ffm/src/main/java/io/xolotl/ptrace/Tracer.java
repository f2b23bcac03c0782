package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
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
 * <p>Who owns what: the queue and {@link #waiting} are shared; everything else here, and every
 * {@link TracedProcess} and {@link TracedThread}, belongs to the tracer thread.
 *
 * <p>{@code waitpid} is called with {@code __WNOTHREAD}: it sees this thread's own tracees and children,
 * never a child that the application started elsewhere, whose exit status is not ours to take.
 */
public final class Tracer implements AutoCloseable {

  /** A stop that does not come within this time is reported instead of waited for, in nanoseconds. */
  private static final long STOP_DEADLINE = 10_000_000_000L;

  /** How long a waker waits before it signals again, in nanoseconds. */
  private static final long WAKE_INTERVAL = 50_000;

  /**
   * How many stops are taken from the kernel before the first of them is resumed, and how much work is done
   * before that.
   */
  private static final int BATCH = 64;

  private static final int RECENT = 256;

  private static final Duration FOREVER = Duration.ofNanos(Long.MAX_VALUE);

  /** How long to look out for stops and work before the thread sleeps, in nanoseconds. */
  private static final long SPIN = 50_000;

  /** The same where stops are frequent, so that a pause of the program's does not put all to sleep. */
  private static final long LONG_SPIN = 200_000;

  /**
   * One in so many times it is tried again where that was in vain; and after as many successes stops are
   * frequent.
   */
  private static final int SPIN_AGAIN = 64;

  /** After this many looks in vain, one in so many also asks whether the awaited thread can stop at all. */
  private static final int LOOKS = 32;

  /** How many looks are made before others may have the CPU. */
  private static final int LOOKS_BETWEEN_YIELDS = 8;

  /** A stop, or the end, of a tracee as waitpid told it. */
  private record Report(int tid, WaitStatus status) {}

  /** Also the lock that keeps work from being added behind the last that is done. */
  private final Queue<Runnable> work = new ConcurrentLinkedQueue<>();
  private final Thread thread;
  private final TracerAffinity affinity;
  private final IdleCpus idleCpus;

  /** The tracer thread is in waitpid, or is about to be and will look at the queue once more before. */
  private volatile boolean waiting;

  private volatile boolean closed;
  private volatile int tid;

  // From here on: tracer thread only.
  private final Map<Integer, TracedThread> threads = new HashMap<>();
  private final Map<Integer, TracedProcess> processes = new HashMap<>();
  /**
   * Threads that were looked up last, by the lower bits of their ids, and what they reported: nothing is
   * allocated then.
   */
  private final @Nullable TracedThread[] recent = new TracedThread[RECENT];
  private final @Nullable Report[] recentReports = new Report[RECENT];
  /** Processes that stopped before the event that announces them. */
  private final Map<Integer, WaitStatus> unclaimed = new LinkedHashMap<>();
  /** What was taken from the kernel and not yet handed out, oldest first. */
  private final ArrayDeque<Report> reports = new ArrayDeque<>();
  private @Nullable Scratch scratch;
  private @Nullable CpuFollower follower;
  private @Nullable AwakeCpus awakeCpus;
  /** Above 0 if what was looked out for came in time lately. */
  private int spins = 1;

  private Tracer(String name, TracerAffinity affinity, IdleCpus idleCpus) {
    this.affinity = affinity;
    this.idleCpus = idleCpus;
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
    return start(name, TracerAffinity.FREE, IdleCpus.SLEEP);
  }

  /**
   * Starts a tracer thread.
   *
   * @param name the thread's name
   * @param affinity where it runs
   * @param idleCpus what becomes of idle CPUs while stops follow one another quickly
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

  /** Returns true if the caller runs on the tracer thread, where ptrace requests can be made. */
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
    return call(task, FOREVER, () -> {});
  }

  /**
   * As {@link #call(Callable)}, for a caller that looks after what holds the tracer thread up.
   *
   * @param task what to run
   * @param interval how long the caller waits between two looks
   * @param look what it does then, in its own thread
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
    synchronized (work) {
      if (closed) {
        throw closedException();
      }
      work.add(task);
    }
    wake();
  }

  private static PtraceException closedException() {
    return new PtraceException(Reason.CLOSED, "the tracer is closed");
  }

  /**
   * Gets the tracer thread out of waitpid. A signal makes waitpid return EINTR, but one that arrives just
   * before the system call starts is lost, so it is repeated until the thread is seen awake.
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
   * Ends the tracer thread after all work queued so far, and waits until it has ended unless it is the
   * caller. The kernel lets go of what is still attached then, without a stop, and has done so when this
   * returns; what is stopped for a trap dies of it, so detach that before. Idempotent.
   */
  @Override
  public void close() {
    close(FOREVER, () -> {});
  }

  /**
   * As {@link #close()}, for a caller that looks after what holds the tracer thread up.
   *
   * @param interval how long the caller waits between two looks
   * @param look what it does then, in its own thread
   */
  public void close(Duration interval, Runnable look) {
    synchronized (work) {
      if (!closed) {
        // In this order: the thread takes work without the lock, and what it takes last must find it closed.
        closed = true;
        work.add(() -> {});
      }
    }
    if (isTracerThread()) {
      return;
    }
    wake();
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
    while (!isDead(tid)) {
      LockSupport.parkNanos(WAKE_INTERVAL);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (Arena arena = Arena.ofConfined()) {
      scratch = new Scratch(arena);
      follower = affinity == TracerAffinity.FOLLOW ? new CpuFollower(arena) : null;
      awakeCpus = idleCpus == IdleCpus.AWAKE ? new AwakeCpus(arena, IdleCpus.LATENCY) : null;
      WakeSignal.unblock();
      tid = WakeSignal.gettid();
      try {
        serve();
      } finally {
        keepCpusAwake(false);
      }
    } finally {
      if (follower != null) {
        follower.close();
      }
      processes.values().forEach(TracedProcess::abandon);
      scratch = null;
      synchronized (work) {
        closed = true;
      }
      // If this thread dies of an error nobody may wait for it in vain: what they asked for finds it closed.
      runWork(Integer.MAX_VALUE);
    }
  }

  private void serve() {
    while (true) {
      runWork(BATCH);
      // Nothing is added once it is closed.
      if (closed && work.isEmpty()) {
        return;
      }
      if (reports.isEmpty()) {
        awaitStops();
      } else {
        dispatchFirst();
      }
    }
  }

  /** Runs what is queued, up to a number, so that those who queue without end hold no stop up. */
  private void runWork(int most) {
    for (int i = 0; i < most; i++) {
      Runnable task = work.poll();
      if (task == null) {
        return;
      }
      try {
        task.run();
      } catch (RuntimeException | Error e) {
        report("work for the tracer failed", e);
      }
    }
  }

  /**
   * Waits for one stop and takes with it all that are there: the kernel reports the first stopped thread of
   * its list, and where threads stop faster than they are served, those behind would starve.
   */
  private void awaitStops() {
    Scratch s = scratch();
    if (comesSoon()) {
      return;
    }
    keepCpusAwake(false);
    // Where there is work already this is only a look, for which nobody need be woken.
    waiting = work.isEmpty();
    int stopped = Libc.waitpid(s.state, -1, s.status,
        Libc.WALL | Libc.WNOTHREAD | (waiting && work.isEmpty() ? 0 : Libc.WNOHANG));
    int errno = stopped < 0 ? Libc.errno(s.state) : 0;
    if (errno == Libc.ECHILD) {
      // Nothing to wait for: park until there is work. The flag stays, and an unpark before the park is kept.
      while (work.isEmpty()) {
        // A handler may have left the interrupt flag set, and with it no park would last.
        Thread.interrupted();
        LockSupport.park(this);
      }
    }
    waiting = false;
    if (stopped < 0 && errno != Libc.EINTR && errno != Libc.ECHILD) {
      throw new PtraceException(Reason.SYSTEM_ERROR, errno, "waitpid failed with " + Errno.name(errno));
    }
    takeAll(stopped);
  }

  /** Takes a stop that waitpid has just told of, and all others that are there. */
  private void takeAll(int first) {
    Scratch s = scratch();
    if (first > 0 && follower != null) {
      follower.stopped(first);
    }
    for (int stopped = first; stopped > 0;) {
      reports.add(report(stopped, WaitStatus.of(s.status.get(JAVA_INT, 0))));
      if (threads.size() < 2 || reports.size() == BATCH) {
        return;
      }
      stopped = Libc.waitpid(s.state, -1, s.status, Libc.WALL | Libc.WNOTHREAD | Libc.WNOHANG);
    }
  }

  /**
   * Does something that may start threads or processes, which would inherit the CPU that the tracer thread is
   * kept on. Tracer thread only.
   *
   * @param action what to do
   */
  public void unpinned(Runnable action) {
    if (follower != null) {
      follower.release();
    }
    action.run();
  }

  /**
   * Looks out for stops and work for a while before the thread sleeps; true if something has come. To be
   * woken costs more than all that is done for a stop: the kernel puts the thread that goes on onto an idle
   * CPU if there is one, and the tracer's is idle when that stops again, so that each waits for a CPU to wake
   * up. Where nothing comes in time, again and again, it is tried seldom. Between looks it lets others have
   * the CPU, of whom the next may be the one awaited.
   */
  private boolean comesSoon() {
    if (spins <= 0 && -spins % SPIN_AGAIN != 0) {
      spins--;
      return false;
    }
    Scratch s = scratch();
    long patience = spins == SPIN_AGAIN ? LONG_SPIN : SPIN;
    long start = System.nanoTime();
    do {
      Thread.yield();
      for (int i = 0; i < LOOKS_BETWEEN_YIELDS; i++) {
        int stopped = Libc.waitpid(s.state, -1, s.status, Libc.WALL | Libc.WNOTHREAD | Libc.WNOHANG);
        if (!work.isEmpty() || stopped > 0) {
          spins = Math.min(Math.max(spins, 0) + 1, SPIN_AGAIN);
          if (spins == SPIN_AGAIN && stopped > 0) {
            keepCpusAwake(true);
          }
          takeAll(stopped);
          return true;
        }
        if (stopped < 0) {
          // There is nothing to wait for.
          return false;
        }
      }
    } while (System.nanoTime() - start < patience);
    spins = Math.min(spins, 1) - 1;
    return false;
  }

  private void keepCpusAwake(boolean awake) {
    if (awakeCpus != null) {
      awakeCpus.keep(awake);
    }
  }

  private void dispatchFirst() {
    Report report = reports.removeFirst();
    TracedThread traced = thread(report.tid);
    try {
      if (traced == null) {
        newcomer(report);
      } else {
        traced.process().dispatch(traced, report.status);
      }
    } catch (ThreadGoneException e) {
      // Killed between its stop and our request (ptrace(2), "Death under ptrace"): its end is reported next.
      return;
    } catch (RuntimeException | Error e) {
      report(report + " could not be handled", e);
    }
  }

  /**
   * A tracee that nobody announced yet: the kernel reports a new thread's first stop and its creator's event
   * in either order. Whose a new thread is can be asked; with a new process, which may share its creator's
   * memory, the creator's event is waited for.
   */
  private void newcomer(Report report) {
    if (report.status instanceof WaitStatus.Ended) {
      unclaimed.remove(report.tid);
      return;
    }
    for (TracedProcess process : processes.values()) {
      if (process.hasThread(report.tid)) {
        process.dispatch(process.adopt(report.tid), report.status);
        return;
      }
    }
    unclaimed.put(report.tid, report.status);
  }

  /**
   * A process has ended, perhaps killed between a fork and its event, which is then never reported: its
   * children would stay stopped. A process that is still waited for by an event has its creator among the
   * traced.
   */
  void adoptOrphans(TracedProcess dead) {
    for (int child : List.copyOf(unclaimed.keySet())) {
      ProcessStatus status = ProcessStatus.of(child);
      if (status != null && !processes.containsKey(status.parentPid())) {
        WaitStatus first = Objects.requireNonNull(unclaimed.remove(child));
        // It may have been made with CLONE_VM by one of several in that memory.
        dead.adoptProcess(child,
            processes.values().stream().anyMatch(process -> process.sharesMemoryWith(child)));
        reports.add(new Report(child, first));
      }
    }
  }

  private static void report(String what, Throwable e) {
    System.getLogger(Tracer.class.getName()).log(System.Logger.Level.ERROR, what, e);
  }

  /**
   * Hands out the stops that were taken from the kernel already, some perhaps while the tracer thread waited
   * for something else. Tracer thread only; the main loop does the same when it gets there.
   */
  public void dispatchDeferred() {
    while (!reports.isEmpty()) {
      dispatchFirst();
    }
  }

  /**
   * Has the first stops of all threads and processes that are announced handled; they come at once. Tracer
   * thread only.
   *
   * <p>While the child of a vfork has not been handled its creator cannot be stopped, and nobody knows the
   * child.
   */
  public void awaitNewcomers() {
    for (TracedThread newcomer : List.copyOf(threads.values())) {
      if (!newcomer.isFirstStop()) {
        continue;
      }
      try {
        if (newcomer.stop() == null) {
          newcomer.awaitStop();
        }
        newcomer.handleStop();
      } catch (ThreadGoneException e) {
        // Killed before it ran; its end is reported in its turn.
      }
    }
  }

  // For TracedProcess and TracedThread, on the tracer thread.

  Scratch scratch() {
    if (!isTracerThread()) {
      throw new IllegalStateException("only the tracer thread may make ptrace requests; use Tracer.call");
    }
    if (scratch == null) {
      throw closedException();
    }
    return scratch;
  }

  void add(TracedThread t) {
    threads.put(t.tid(), t);
    recent[t.tid() % RECENT] = t;
  }

  void remove(TracedThread t) {
    threads.remove(t.tid(), t);
    if (recent[t.tid() % RECENT] == t) {
      recent[t.tid() % RECENT] = null;
    }
  }

  private @Nullable TracedThread thread(int id) {
    TracedThread known = recent[id % RECENT];
    if (known == null || known.tid() != id) {
      known = threads.get(id);
      recent[id % RECENT] = known;
    }
    return known;
  }

  /** A thread mostly reports again what it has reported before. */
  private Report report(int id, WaitStatus status) {
    Report report = recentReports[id % RECENT];
    if (report == null || report.tid != id || !report.status.equals(status)) {
      report = new Report(id, status);
      recentReports[id % RECENT] = report;
    }
    return report;
  }

  void add(TracedProcess process) {
    processes.put(process.pid(), process);
  }

  void remove(TracedProcess process) {
    processes.remove(process.pid(), process);
  }

  /** The process with an id that this tracer controls, or null. */
  @Nullable
  TracedProcess process(int pid) {
    return processes.get(pid);
  }

  /** Returns true if this tracer knows a thread with that id. */
  boolean isTracing(int id) {
    return threads.containsKey(id);
  }

  int tid() {
    return tid;
  }

  /** Forgets a process that has been killed and waited for. */
  void abandon(int pid) {
    TracedProcess process = processes.get(pid);
    if (process != null) {
      process.threads().forEach(process::forget);
    }
  }

  /** Has the first stop of a process that stopped before it was announced handed out now. */
  void claim(int child) {
    WaitStatus first = unclaimed.remove(child);
    if (first != null) {
      reports.add(new Report(child, first));
    }
  }

  /**
   * Hands a report out again later; it stays in front of those of another thread that has got the same id
   * since.
   */
  void defer(int stoppedTid, WaitStatus status) {
    reports.addFirst(new Report(stoppedTid, status));
  }

  /** Takes out of its turn what is already known of a thread: the oldest of its reports, or null. */
  @Nullable
  WaitStatus takeReport(int awaited) {
    for (Iterator<Report> all = reports.iterator(); all.hasNext();) {
      Report report = all.next();
      if (report.tid == awaited) {
        all.remove();
        return report.status;
      }
    }
    return null;
  }

  /**
   * Waits for the next stop, or the end, of one thread, without taking those of others.
   *
   * @throws PtraceException NOT_STOPPING after ten seconds, or at once if it waits for its child of vfork
   * @throws ThreadGoneException if there is no such tracee any more, or one that has ended without being
   *     reported yet: a main thread whose process lives on
   */
  WaitStatus await(int awaited) {
    WaitStatus known = takeReport(awaited);
    if (known != null) {
      return known;
    }
    Scratch s = scratch();
    long start = System.nanoTime();
    for (int round = 1;; round++) {
      boolean dead = round % LOOKS == 0 && isDead(awaited);
      int got = Libc.waitpid(s.state, awaited, s.status, Libc.WALL | Libc.WNOTHREAD | Libc.WNOHANG);
      if (got == awaited) {
        return WaitStatus.of(s.status.get(JAVA_INT, 0));
      }
      int errno = got < 0 ? Libc.errno(s.state) : 0;
      if (dead || errno != 0 && errno != Libc.EINTR) {
        throw new ThreadGoneException(dead ? Libc.ESRCH : errno,
            "thread " + awaited + " has ended meanwhile");
      }
      TracedThread thread = round % LOOKS == 0 ? threads.get(awaited) : null;
      if (thread != null && thread.process().waitsForChild(thread)) {
        throw new PtraceException(Reason.NOT_STOPPING, "thread " + awaited
            + " cannot be stopped while its child of vfork has not executed a program");
      }
      if (System.nanoTime() - start > STOP_DEADLINE) {
        throw new PtraceException(Reason.NOT_STOPPING, "thread " + awaited + " has not stopped for "
            + STOP_DEADLINE / 1_000_000_000L
            + " s; it is probably in an uninterruptible system call (state D)");
      }
      if (round > LOOKS) {
        keepCpusAwake(false);
        LockSupport.parkNanos(Math.min(1_000_000, 1_000L * round));
      } else {
        Thread.onSpinWait();
      }
    }
  }

  private static boolean isDead(int tid) {
    ProcessStatus status = ProcessStatus.of(tid);
    return status == null || status.isDead();
  }
}
