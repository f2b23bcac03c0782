package io.xolotl.xol;

import io.xolotl.decoder.Decoder;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.ProcessStatus;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Register;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TraceHandler;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.Tracer;
import io.xolotl.ptrace.WaitStatus;
import io.xolotl.xol.elf.FunctionRange;
import io.xolotl.xol.elf.SymbolException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The inside of a session: what happens at each stop of each thread of the process.
 *
 * <p>Everything here belongs to the tracer thread, except the methods that say so; those hand their work to
 * it. The life of a hit:
 *
 * <pre>
 *   int3 ──► breakpoint ──► HANDLING ──► nextHandler … ──► finishHit ──► emulated ─────────────► FREE
 *                             ▲    │ TASK: executor             │
 *                             └────┘                            └──► STEPPING, TRAPPING ──► trapped ──► FREE
 * </pre>
 *
 * <p>Breakpoints stay in memory while a thread executes its copy, so no other thread can pass one unseen.
 */
final class Engine implements TraceHandler {

  /**
   * A probe with the address that its location stands for.
   *
   * @param probe not active yet
   * @param address of the instruction
   * @param function the function there, if a symbol tells
   */
  record Target(Probe probe, long address, Optional<FunctionRange> function) {
    ProbeRequest request() {
      return probe.request();
    }
  }

  private static final Probe[] NONE = {};
  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private static final ThreadLocal<Boolean> IN_HANDLER = ThreadLocal.withInitial(() -> false);

  private final Tracer tracer;
  private final CompletableFuture<ProcessEnd> end = new CompletableFuture<>();
  /** Completes when the process is let go, or has ended. */
  private final CompletableFuture<Boolean> released = new CompletableFuture<>();
  private final Thread shutdownHook = new ExitHook();

  /**
   * The sessions that the tracer serves, this one among them: a child that is followed stays with its
   * parent's.
   */
  private final Set<Engine> family;

  /** What runs of the users' on the tracer thread. */
  private final UserCode userCode;

  /**
   * All threads that handlers may run for on the executor. Written by the tracer thread, read by those who
   * wait.
   */
  private final Set<ProbeHit> hits = ConcurrentHashMap.newKeySet();

  // Set once by the first work on the tracer thread, before anyone else sees this object.
  private @Nullable TracedProcess process;
  private @Nullable Sites sites;
    private @Nullable Locator locator;
  private @Nullable TrapAction trapAction;

  /** Who uses the session. The last that leaves closes it. */
  private final Set<ProbedProcess> users = new LinkedHashSet<>();

  /**
   * Other processes that run in the same memory, until they execute another program or exit: children of
   * vfork, but also siblings, and whoever has created the process so.
   */
  private final Set<TracedProcess> borrowers = new LinkedHashSet<>();

  /** Forked children that could not be cleaned, each with its thread, which is kept stopped. */
  private final Map<TracedProcess, TracedThread> uncleaned = new LinkedHashMap<>();

  /** Threads in phase HANDLING. An identity map has no node for each entry, to be allocated for each hit. */
  private final Set<ProbeHit> handling = Collections.newSetFromMap(new IdentityHashMap<>());

  /** A launched program that was not started yet. */
  private boolean held;
  private boolean closing;
  /** Threads of the process are being stopped, to let it go. */
  private boolean departing;
  /** Written before {@link #released} completes: nobody else needs the tracer. */
  private volatile boolean lastOfTracer;
  /**
   * What could not be undone at the end; for the first who waits for it. Written before {@link #released}
   * completes.
   */
  private final AtomicReference<@Nullable RuntimeException> failure = new AtomicReference<>();

  private Engine(Tracer tracer, Set<Engine> family, UserCode userCode) {
    this.tracer = tracer;
    this.family = family;
    this.userCode = userCode;
    family.add(this);
  }

  /** Opens a session with its first user. Any thread. */
  static ProbedProcess attach(int pid, ProbingOptions options) {
    return opened("xolotl-tracer-" + pid, options,
        engine -> TracedProcess.attach(engine.tracer, pid, engine));
  }

  /** Opens a session with its first user. Any thread. */
  static ProbedProcess launch(LaunchRequest request, ProbingOptions options,
      ProbedProcess.LaunchStop stop) {
    ProbedProcess user = opened("xolotl-tracer", options, engine -> {
      TracedProcess launched = TracedProcess.launch(engine.tracer, request, engine);
      engine.held = true;
      if (stop == ProbedProcess.LaunchStop.LIBRARIES_LOADED) {
        try {
          Startup.runToLibraries(launched.threads().getFirst());
        } catch (RuntimeException e) {
          // Nobody else knows of it.
          launched.kill();
          throw e;
        }
      }
      return launched;
    });
    Sessions.enter(user.engine());
    return user;
  }

  private static ProbedProcess opened(String name, ProbingOptions options,
      Function<Engine, TracedProcess> how) {
    // Before anything is attached to.
    Objects.requireNonNull(Decoder.forThisCpu());
    Tracer tracer = Tracer.start(name, options.tracerAffinity(), options.idleCpus());
    var engine = new Engine(tracer, new LinkedHashSet<>(), new UserCode(true));
    ProbedProcess user;
    try {
      user = engine.call(() -> {
        engine.use(how.apply(engine));
        if (!engine.held) {
          // Only now, since it hands out stops.
          engine.completeAttach();
        }
        return engine.newUser(options);
      });
    } catch (RuntimeException | Error e) {
      tracer.close();
      throw e;
    }
    if (!engine.restoreAtShutdown()) {
      engine.close();
      throw new ProbeException(ProbeException.Reason.CLOSED, "this JVM is shutting down");
    }
    return user;
  }

  /** Tracer thread, once. */
  private void use(TracedProcess traced) {
    process = traced;
    sites = new Sites(traced, this::inSomeThread);
    locator = new Locator(traced);
    trapAction = new TrapAction(traced);
  }

  /** Tracer thread. */
  private ProbedProcess newUser(ProbingOptions options) {
    var user = new ProbedProcess(this, options);
    users.add(user);
    return user;
  }

  /** Has the process restored when the JVM exits; false if it does so already. */
  private boolean restoreAtShutdown() {
    try {
      Runtime.getRuntime().addShutdownHook(shutdownHook);
    } catch (IllegalStateException shuttingDown) {
      return false;
    }
    // Also of a session that nobody closes, because its process has ended.
    released.thenRun(this::removeShutdownHook);
    return true;
  }

  private void removeShutdownHook() {
    try {
      Runtime.getRuntime().removeShutdownHook(shutdownHook);
    } catch (IllegalStateException shuttingDown) {
      // The hook is running, or waits to: it finds the session closed.
      return;
    }
  }

  /** Threads and processes that the process was just creating, and processes that run in its memory. */
  private void completeAttach() {
    try {
      process().completeAttach(thread -> hit(thread).tracee().interrupted(true));
      process().attachBorrowers(borrowers::add, thread -> hit(thread).tracee().interrupted(true));
      borrowers.removeIf(borrower -> borrower.threads().isEmpty());
    } catch (RuntimeException e) {
      closing = true;
      departing = true;
      try {
        letGoOfAll();
      } catch (RuntimeException left) {
        e.addSuppressed(left);
      }
      throw e;
    }
  }

  /** Whoever has come to run in the process's memory without an event, before anything is written there. */
  private void attachNewcomers() {
    process().attachNewcomers(borrowers::add, thread -> hit(thread).tracee().interrupted(true));
    borrowers.removeIf(borrower -> borrower.threads().isEmpty());
  }

  private TracedProcess process() {
    return Objects.requireNonNull(process);
  }

  private Sites sites() {
    return Objects.requireNonNull(sites);
  }

  private TrapAction trapAction() {
    return Objects.requireNonNull(trapAction);
  }

  // For ProbedProcess and Probe. Any thread.

  /** Does something on the tracer thread, and looks after what holds that up. */
  <T extends @Nullable Object> T call(Callable<T> action) {
    return tracer.call(action, UserCode.INTERVAL, this::lookAtTracer);
  }

  private void lookAtTracer() {
    userCode.look(null);
  }

  /** One wait for handlers in task context. Used by the thread that waits. */
  private final class TaskWait {
    private final @Nullable Probe awaited;
    /** When no handler was seen to run although some were handed over; 0 if one ran at the last look. */
    private long since;
    private long due;

    /** A wait for the handlers of a probe, or for those of the session. */
    TaskWait(@Nullable Probe awaited) {
      this.awaited = awaited;
    }

    /** Called about every {@link UserCode#INTERVAL}; true if a handler is given up. */
    boolean look() {
      boolean said = false;
      boolean running = false;
      Probe unbegun = null;
      for (ProbeHit hit : hits) {
        said |= hit.task.look(awaited);
        Probe probe = hit.handedOver;
        if (probe != null && (awaited == null || awaited == probe)) {
          running |= hit.task.run() != 0;
          unbegun = probe;
        }
      }
      if (unbegun == null || running) {
        // Those that run are looked at, and the others wait for these.
        since = 0;
        return said;
      }
      return isGivenUp(unbegun, System.nanoTime());
    }

    /**
     * An executor whose threads are all busy, with handlers of other sessions perhaps, begins none of ours.
     */
    private boolean isGivenUp(Probe unbegun, long now) {
      if (since == 0) {
        since = now;
        due = UserCode.GIVEN_UP;
      }
      if (now - since >= due) {
        due *= 2;
        LOGGER.log(System.Logger.Level.WARNING, UserCode.Kind.HANDLER.of(unbegun) + " has not begun for "
            + TimeUnit.NANOSECONDS.toSeconds(now - since)
            + " s, and is waited for: the task executor has no thread for it");
      }
      return due > UserCode.GIVEN_UP;
    }
  }

  int pid() {
    return process().pid();
  }

  ProcessMemory memory() {
    return process().memory();
  }

  List<MemoryMapping> mappings() {
    return process().mappings();
  }

  Locator locator() {
    return Objects.requireNonNull(locator);
  }

  /** Completes when the process is let go, or has ended and all handlers have returned. */
  CompletableFuture<Boolean> released() {
    return released;
  }

  CompletableFuture<ProcessEnd> end() {
    return end;
  }

  List<Integer> threadIds() {
    return call(() -> process().threads().stream().map(TracedThread::tid).toList());
  }

  void start() {
    call(() -> {
      if (held && !closing) {
        process().threads().getFirst().cont(0);
        held = false;
      }
      return held;
    });
  }

  /** Makes another user of the session, unless it ends. */
  Optional<ProbedProcess> join(ProbingOptions options) {
    return unlessEnded(() -> {
      // The process may have ended, and its id be another's.
      tracer.dispatchDeferred();
      return closing ? null : newUser(options);
    });
  }

  /**
   * Activates probes of a user, all or none.
   *
   * @param targets what has an address
   * @param absent probes that are activated later, when their module is mapped
   */
  void register(ProbedProcess user, List<Target> targets, List<Probe> absent) {
    call(() -> {
      if (users.contains(user) && process().threads().isEmpty()) {
        throw gone();
      }
      if (closing || !users.contains(user)) {
        throw new ProbeException(ProbeException.Reason.CLOSED,
            "the session with process " + pid() + " is closed");
      }
      attachNewcomers();
      if (trapAction().hasUnknownHandler()) {
        learnTrapAction();
      }
      // First what may refuse, so that all or none are registered.
      sites().await(absent, this::mappingsChanged);
      try {
        sites().register(targets);
      } catch (RuntimeException e) {
        absent.forEach(Probe::deactivate);
        throw e;
      } finally {
        sites().endInSequences(this::failed);
      }
      targets.forEach(target -> user.registered(target.probe()));
      absent.forEach(user::registered);
      if (!absent.isEmpty()) {
        // It may have been mapped since the look-up, before the dynamic linker was watched.
        mappingsChanged();
      }
      return true;
    });
  }

  private void learnTrapAction() {
    try {
      inSomeThread(thread -> {
        trapAction().learn(thread);
        return 0;
      });
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.SECCOMP) {
        throw e;
      }
      throw new ProbeException(ProbeException.Reason.SECCOMP,
          "process " + pid() + " has a handler for SIGTRAP, which a hit could cost it, "
              + "and which cannot be put back: " + e.getMessage());
    }
  }

  /** Tracer thread. */
  private void mappingsChanged() {
    sites().retireUnmapped();
    for (Probe probe : sites().waiting()) {
      try {
        sites().register(locator().locate(List.of(probe), new ArrayList<>()));
      } catch (ProbeException e) {
        failed(probe, e);
      } catch (PtraceException e) {
        if (e.reason() != PtraceException.Reason.SECCOMP) {
          throw e;
        }
        failed(probe, ProbeException.of(e));
      } catch (SymbolException e) {
        // Mapped, but without that function: the probe will never be active.
        failed(probe, ProbeException.of(e));
      }
    }
    sites().endInSequences(this::failed);
  }

  /** A probe that waited for its module is refused now that it is mapped. Tracer thread. */
  private void failed(Probe probe, ProbeException refusal) {
    probe.deactivate();
    reportError(userCode, probe, refusal);
  }

  void unregister(Collection<Probe> probes) {
    unlessEnded(() -> {
      sites().unregister(probes);
      probes.forEach(probe -> probe.process().unregistered(probe));
      return true;
    });
    if (mayWait()) {
      probes.forEach(this::awaitHandlers);
    }
  }

  private void awaitHandlers(Probe probe) {
    probe.awaitHandlers(UserCode.INTERVAL, new TaskWait(probe)::look);
  }

  /** Ends the use by one user, and the session with the last. */
  void leave(ProbedProcess user) {
    Optional<List<Probe>> left = unlessEnded(() -> {
      users.remove(user);
      if (users.isEmpty()) {
        beginClose();
        return null;
      }
      List<Probe> own = user.registrations();
      sites().unregister(own);
      sites().await(List.of(), this::mappingsChanged);
      inUserCode(UserCode.Kind.END, this, user::detached);
      own.addAll(user.unawaited());
      return own;
    });
    if (mayWait()) {
      left.ifPresentOrElse(own -> own.forEach(this::awaitHandlers), this::awaitEnd);
    }
  }

  /** Ends the session for all its users. */
  void close() {
    unlessEnded(() -> {
      beginClose();
      return true;
    });
    if (mayWait()) {
      awaitEnd();
    }
  }

  /**
   * Restores the process when the JVM exits. Where a handler on the tracer thread exits, that thread starts
   * the hooks and waits for their ends, and can do nothing for them: it does it all when it starts this one.
   */
  private final class ExitHook extends Thread {
    ExitHook() {
      super(Engine.this::closeAtExit, "xolotl-restore");
    }

    @Override
    public void start() {
      UserCode.jvmExits();
      if (!tracer.isTracerThread()) {
        super.start();
        return;
      }
      try {
        // All sessions of the thread first: a hit handed out meanwhile must run no handler, which might exit
        // again.
        List.copyOf(family).forEach(Engine::stopProbing);
        abandonHandlers();
      } catch (RuntimeException e) {
        // Thrown on, it would keep the other sessions from being restored.
        LOGGER.log(System.Logger.Level.ERROR, "process " + pid() + " could not be restored", e);
      }
    }
  }

  /** The JVM exits, and what handlers wait for may never come. */
  private void closeAtExit() {
    unlessEnded(() -> {
      beginClose();
      return true;
    });
    var wait = new TaskWait(null);
    while (!isReleased()) {
      lookAtTracer();
      if (wait.look()) {
        unlessEnded(() -> {
          abandonHandlers();
          return true;
        });
        break;
      }
    }
    awaitEnd();
  }

  /**
   * Lets the threads whose handlers run go on as if these had not been called, but for what they did to
   * memory.
   */
  private void abandonHandlers() {
    handling.forEach(this::abandon);
    handling.clear();
    finishCloseIfIdle();
  }

  /** What fails is tried again, and then left for the other threads' sake. */
  private void abandon(ProbeHit hit) {
    hit.tracee().end();
    Runnable putBack = () -> {
      // The thread's own registers: those of its state are the handler's.
      var registers = new Registers();
      hit.tracee().thread().readRegisters(registers);
      registers.rip(Objects.requireNonNull(hit.site).address());
      hit.tracee().thread().writeRegisters(registers);
      hit.tracee().settle(0);
    };
    try {
      try {
        putBack.run();
      } catch (PtraceException e) {
        putBack.run();
      }
    } catch (ThreadGoneException e) {
      // Its end is reported in its turn.
      return;
    } catch (PtraceException e) {
      LOGGER.log(System.Logger.Level.ERROR, hit.tracee().thread() + " could not be put back", e);
    }
  }

  private void awaitEnd() {
    awaitReleased();
    RuntimeException left = failure.getAndSet(null);
    if (left != null) {
      throw left;
    }
  }

  /** Does something on the tracer thread; nothing if the session has ended, and its probes with it. */
  private <T extends @Nullable Object> Optional<T> unlessEnded(Callable<T> action) {
    try {
      return Optional.ofNullable(call(action));
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.CLOSED) {
        throw e;
      }
      // The process has ended, or another thread has closed the session.
      return Optional.empty();
    }
  }

  /**
   * Waits until the process is let go.
   *
   * @throws ProbeException in a handler of the session, which is one of those that it waits for
   */
  void awaitReleased() {
    if (!mayWait()) {
      throw new ProbeException(ProbeException.Reason.CLOSED,
          "the session with process " + pid() + " is closing, and waits for this handler");
    }
    var wait = new TaskWait(null);
    while (!isReleased()) {
      lookAtTracer();
      wait.look();
    }
    if (lastOfTracer) {
      // A listener that has closed the session may still run.
      tracer.close(UserCode.INTERVAL, this::lookAtTracer);
    }
  }

  /** Waits a while for the process to be let go. */
  private boolean isReleased() {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return released.get(UserCode.INTERVAL.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
          return false;
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (ExecutionException e) {
          throw new IllegalStateException("nothing completes it exceptionally", e);
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Neither a handler nor what a user hangs on {@link #end}, which runs on the tracer thread, can wait for
   * handlers.
   */
  private boolean mayWait() {
    return !IN_HANDLER.get() && !tracer.isTracerThread();
  }

  private ProbeException gone() {
    return new ProbeException(ProbeException.Reason.PROCESS_GONE, "process " + pid() + " has ended");
  }

  // What the process does. Tracer thread.

  private ProbeHit hit(TracedThread thread) {
    if (thread.attachment() instanceof ProbeHit known) {
      return known;
    }
    var hit = new ProbeHit(this, thread);
    thread.attachment(hit);
    hits.add(hit);
    return hit;
  }

  @Override
  public void stopped(TracedThread thread, WaitStatus.Stopped status) {
    ProbeHit hit = hit(thread);
    if (released.isDone()) {
      // It could not be stopped when the session ended, and others live on with the tracer.
      departure(thread.process()).letGo(thread);
      return;
    }
    switch (status) {
      case WaitStatus.Signal(int signal) -> signalled(hit, signal);
      case WaitStatus.Interrupted _ -> {
        observeSequence(thread);
        insist(() -> {
          hit.tracee().leaveIfOutside();
          resume(hit.tracee());
        });
      }
      case WaitStatus.GroupStop _ -> insist(() -> {
        hit.tracee().leaveIfOutside();
        thread.listen();
      });
      case WaitStatus.Created _ -> {
        // From vfork(2) it comes back when nobody may trace it any more.
        hit.tracee().leaveIfOutside();
        resume(hit.tracee());
        if (!closing) {
          lookForNewcomers();
        }
      }
      case WaitStatus.Executed _, WaitStatus.Exiting _, WaitStatus.Other _ -> insist(() -> resume(hit.tracee()));
    }
  }

  /**
   * A stopped thread names the restartable sequence that it is in. That is looked at where no hit pays for
   * it, and at hits only where it may be the only sign.
   */
  private void observeSequence(TracedThread thread) {
    if (!closing) {
      sites().observe(thread);
      sites().endInSequences(this::failed);
    }
  }

  /**
   * Somebody has been created with an event; others may have been without. They would die of the next
   * breakpoint.
   */
  private void lookForNewcomers() {
    try {
      attachNewcomers();
    } catch (ThreadGoneException e) {
      // There are none any more.
      return;
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.ADDRESS_SPACE_SHARED) {
        throw e;
      }
      LOGGER.log(System.Logger.Level.WARNING, e.getMessage());
    }
  }

  /** Lets a thread go on that stopped for nothing it did itself. */
  private static void resume(Tracee tracee) {
    if (tracee.isInterrupted()) {
      InterruptedCalls.restart(tracee);
      tracee.interrupted(false);
    }
    if (tracee.isInCopy()) {
      tracee.detour().resume(tracee, 0);
    } else {
      tracee.thread().cont(0);
    }
  }

  private void signalled(ProbeHit hit, int signal) {
    Tracee tracee = hit.tracee();
    if (signal == Signals.SIGTRAP || tracee.isInCopy()) {
      tracee.readSignal();
      if (signal == Signals.SIGTRAP && tracee.signal().code() == SignalInfo.SI_KERNEL) {
        tracee.leaveAtBreakpoint();
      }
      tracee.leaveIfOutside();
    }
    if (signal != Signals.SIGTRAP) {
      observeSequence(tracee.thread());
    }
    boolean fault = (signal == Signals.SIGTRAP || tracee.isInCopy()) && tracee.isFault(signal);
    if (fault && signal == Signals.SIGTRAP) {
      trap(hit);
      return;
    }
    if (tracee.isInCopy()) {
      signalledInCopy(tracee, signal, fault);
      return;
    }
    tracee.heldSignals().restoreOrigin(signal, tracee.signal());
    InterruptedCalls.beforeDelivery(tracee, signal);
    tracee.thread().cont(signal);
  }

  private static void signalledInCopy(Tracee tracee, int signal, boolean fault) {
    TracedThread thread = tracee.thread();
    HeldSignals held = tracee.heldSignals();
    if (fault) {
      tracee.detour().faulted(tracee, signal);
      held.requeueAll();
      thread.cont(signal);
      return;
    }
    held.restoreOrigin(signal, tracee.signal());
    if (thread.isJobControl(signal)) {
      // It builds no frame, and must not be held: see TracedThread.takeJobControl.
      tracee.detour().resume(tracee, signal);
    } else if (tracee.detour().isBeforeSystemCall(tracee)) {
      // Taken out of the kernel's queue it would not interrupt the call, which may block forever.
      tracee.detour().leave(tracee);
      tracee.postpone();
      held.requeueAll();
      thread.cont(signal);
    } else {
      held.hold(tracee.signal());
      tracee.divert(tracee.detour().whenSignalled());
      tracee.detour().resume(tracee, 0);
    }
  }

  private void trap(ProbeHit hit) {
    Tracee tracee = hit.tracee();
    if (tracee.isInCopy()) {
      trapAction().afterTrap(tracee.thread());
      Detour detour = tracee.detour();
      if (detour.trapped(tracee) == Detour.Progress.DONE) {
        if (Objects.requireNonNull(hit.site).watched) {
          // In front of a sequence it would be aborted, and come back here, each time.
          observeSequence(tracee.thread());
        }
        tracee.resumeBehind(detour.isSystemCall());
      }
    } else if (tracee.signal().code() == SignalInfo.SI_KERNEL) {
      breakpoint(hit);
    } else {
      // The program's own trap flag or debug register.
      deliverTrap(tracee.thread());
    }
  }

  private void deliverTrap(TracedThread thread) {
    trapAction().beforeDelivery(thread);
    thread.cont(Signals.SIGTRAP);
  }

  private void breakpoint(ProbeHit hit) {
    hit.tracee().readRegisters();
    long address = hit.tracee().registers().rip() - 1;
    Site site = sites().at(address);
    if (site != null && !site.runsIn(hit.tracee().registers())) {
      endInOtherCode(hit, site);
      return;
    }
    if (site != null && site.watched && sites().endInSequence(hit.tracee().thread(), site, this::failed)) {
      goOnAt(hit, address);
      return;
    }
    if (site != null && !site.isFresh(hit.tracee().thread())) {
      site = refreshed(site);
    }
    if (site != null) {
      trapAction().afterTrap(hit.tracee().thread());
      hit.tracee().registers().rip(address);
      hit.site = site;
      hit.tracee().pin(site.displacement.lease());
      handling.add(hit);
      hit.chain = hit.tracee().resumesPostponedHit() ? NONE : site.probes;
      hit.next = 0;
      nextHandler(hit);
      return;
    }
    if (sites().wasRemovedFrom(hit.tracee().thread(), address) || sites().wasMovedTo(address)) {
      // The thread executed our int3 before it was taken out.
      goOnAt(hit, address);
    } else {
      deliverTrap(hit.tracee().thread());
    }
  }

  /** A thread has executed an int3 of ours, and the instruction is whole again. */
  private void goOnAt(ProbeHit hit, long address) {
    trapAction().afterTrap(hit.tracee().thread());
    hit.tracee().registers().rip(address);
    hit.tracee().writeRegistersIfChanged();
    hit.tracee().resume(0);
  }

  /**
   * A thread has arrived at a site by a far branch, in code of another kind than the site's: there the bytes
   * are another instruction, about which nothing was decided. The probes end, and the thread executes what
   * the program has there.
   */
  private void endInOtherCode(ProbeHit hit, Site site) {
    Probe[] probes = site.probes;
    sites().withdraw(site);
    for (Probe probe : probes) {
      failed(probe, new ProbeException(ProbeException.Reason.OTHER_CODE, site.address(),
          "thread " + hit.tracee().thread().tid() + " executes 0x" + Long.toHexString(site.address())
              + " as code for cs=0x"
              + Long.toHexString(hit.tracee().registers().get(Register.CS)) + ", but '"
              + site.instruction.text() + "' was decoded as " + site.instruction.mode().widthBits()
              + "-bit code: the probe is removed"));
    }
    goOnAt(hit, site.address());
  }

  /**
   * Displaces what the program has put behind a breakpoint, or ends its probes: the thread executes what is
   * there then.
   */
  private @Nullable Site refreshed(Site stale) {
    Probe[] probes = stale.probes;
    try {
      return sites().refresh(stale);
    } catch (ProbeException e) {
      sites().withdraw(stale);
      for (Probe probe : probes) {
        failed(probe, e);
      }
      return null;
    }
  }

  /**
   * The memory access of an emulated instruction faults, or grows the stack, as only the CPU can do it, and
   * seccomp allows no memory for a copy that it could execute: the probes end, and the instruction is
   * executed in its place.
   */
  private void endWithoutCopy(Site site) {
    Probe[] probes = site.probes;
    sites().withdraw(site);
    var end = new ProbeException(ProbeException.Reason.SECCOMP, site.address(),
        "'" + site.instruction.text() + "' at 0x" + Long.toHexString(site.address()) + " in process " + pid()
            + " accesses memory that is not there, or not yet, and the process is under seccomp, so that "
            + "nothing can be mapped in it to execute a copy: the probe is removed");
    // When the thread has gone on: a listener may end the session.
    tracer.execute(() -> List.of(probes).forEach(probe -> failed(probe, end)));
  }

  /** Runs the handlers that are left of a hit, until one goes to the executor. */
  private void nextHandler(ProbeHit hit) {
    while (hit.next < hit.chain.length) {
      Probe probe = hit.chain[hit.next++];
      if (!probe.isActive() || !accepts(probe, hit)) {
        continue;
      }
      long number = probe.countHit();
      switch (probe.context()) {
        case INTERRUPT -> runHandler(userCode, hit, probe, number);
        case TASK -> {
          if (handOver(hit, probe, number)) {
            return;
          }
        }
      }
    }
    finishHit(hit);
  }

  /** Returns true if the hit concerns a probe that is limited to threads or by a condition. */
  private boolean accepts(Probe probe, ProbeHit hit) {
    ProbeRequest request = probe.request();
    if (!request.threads().isEmpty() && !request.threads().contains(hit.tracee().thread().tid())) {
      return false;
    }
    if (request.condition().isEmpty()) {
      return true;
    }
    Throwable thrown;
    userCode.enter(UserCode.Kind.CONDITION, probe);
    try {
      return request.condition().get().test(hit.tracee().registers());
    } catch (Throwable t) {
      // As with handlers: it must not stop the process that it looks at.
      thrown = t;
    } finally {
      userCode.exit();
    }
    reportError(userCode, probe, thrown);
    return false;
  }

  private boolean handOver(ProbeHit hit, Probe probe, long number) {
    probe.handlerScheduled();
    hit.handedOver = probe;
    try {
      // An executor may start a thread for it.
      inUserCode(UserCode.Kind.EXECUTOR, probe, () -> probe.process().options().taskExecutor().execute(() -> {
        try {
          runHandler(hit.task, hit, probe, number);
        } finally {
          hit.handedOver = null;
          probe.handlerReturned();
          returned(hit);
        }
      }));
      return true;
    } catch (RuntimeException | Error e) {
      // Rejected, or no memory for a thread: the probed program goes on all the same.
      hit.handedOver = null;
      probe.handlerReturned();
      reportError(userCode, probe, e);
      return false;
    }
  }

  /** On the executor. */
  private void returned(ProbeHit hit) {
    try {
      tracer.execute(() -> guarded(hit, this::handlerReturned));
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.CLOSED) {
        throw e;
      }
      // The JVM exits, and has not waited for this handler.
    }
  }

  /**
   * Goes on with a hit whose handler ran elsewhere. Meanwhile another thread may have executed a program: of
   * a process's first thread that is reported to nobody, and its id is the other thread's now (ptrace(2),
   * "execve(2) under ptrace"), whose registers are none of the handler's. It is then in another stop than
   * that of the breakpoint.
   */
  private void handlerReturned(ProbeHit hit) {
    TracedThread thread = hit.tracee().thread();
    Tracee tracee = hit.tracee();
    if (!tracee.hasEnded() && thread.tid() == thread.process().pid()) {
      try {
        tracee.readSignal();
        if (tracee.signal().signal() != Signals.SIGTRAP || tracee.signal().code() != SignalInfo.SI_KERNEL) {
          tracee.end();
        }
      } catch (ThreadGoneException e) {
        tracee.end();
      }
    }
    nextHandler(hit);
  }

  /** Does something of a user's on the tracer thread that may start threads. */
  private void inUserCode(UserCode.Kind kind, Object whose, Runnable action) {
    userCode.enter(kind, whose);
    try {
      tracer.unpinned(action);
    } finally {
      userCode.exit();
    }
  }

  private static void reportError(UserCode code, Probe probe, Throwable thrown) {
    // A run of its own: it is not to be interrupted for what the handler did.
    code.enter(UserCode.Kind.ERROR_LISTENER, probe);
    try {
      probe.process().options().errorListener().accept(probe, thrown);
    } catch (Throwable t) {
      // A listener must not stop the process either.
      ProbingOptions.log(probe, thrown);
      ProbingOptions.log(probe, t);
    } finally {
      code.exit();
    }
  }

  /** A thread can be killed while its handler runs; its end has been, or will be, reported. */
  private static void guarded(ProbeHit hit, Consumer<ProbeHit> action) {
    try {
      action.accept(hit);
    } catch (ThreadGoneException e) {}
  }

  private static void runHandler(UserCode code, ProbeHit hit, Probe probe, long number) {
    hit.begin(probe, number);
    boolean outer = IN_HANDLER.get();
    IN_HANDLER.set(true);
    Throwable thrown = null;
    try {
      code.enter(UserCode.Kind.HANDLER, probe);
      try {
        probe.handler().onHit(hit);
      } catch (Throwable t) {
        // Whatever a handler throws, an Error too, must not stop the process that it looks at.
        thrown = t;
      } finally {
        code.exit();
      }
      if (thrown != null) {
        reportError(code, probe, thrown);
      }
    } finally {
      IN_HANDLER.set(outer);
      hit.end();
    }
  }

  private void finishHit(ProbeHit hit) {
    Tracee tracee = hit.tracee();
    Site site = Objects.requireNonNull(hit.site);
    try {
      try {
        if (!tracee.hasEnded()) {
          // Still among those that are handled: a listener may end the session.
          flushWhatMayBeRefused(hit);
        }
      } finally {
        handling.remove(hit);
      }
      if (tracee.hasEnded()) {
        hits.remove(hit);
      } else if (closing || !site.installed || tracee.registers().rip() != site.address()) {
        // Skipped by a handler, or the instruction is in its place again.
        tracee.release();
        tracee.writeRegistersIfChanged();
        if (closing) {
          tracee.settle(0);
        } else {
          tracee.resume(0);
        }
      } else {
        displace(tracee, site);
      }
    } finally {
      if (!tracee.isInCopy()) {
        tracee.release();
      }
      // Also where a request has failed: a session that closes waits for nothing else.
      finishCloseIfIdle();
    }
  }

  private void displace(Tracee tracee, Site site) {
    tracee.noteTrapFlag();
    switch (site.displacement.execute(tracee)) {
      case DONE -> {
        tracee.release();
        tracee.resumeBehind(SystemCalls.isSystemCall(site.instruction));
      }
      case IN_COPY, FAULTED -> {
        // It runs.
      }
      case IMPOSSIBLE -> {
        endWithoutCopy(site);
        tracee.release();
        tracee.writeRegistersIfChanged();
        tracee.resume(0);
      }
    }
  }

  /**
   * The kernel refuses some of what handlers can make of vectors and segments, a base that is no user's
   * address for instance: the thread goes on without that. The other registers are left as they are
   * meanwhile, since PTRACE_SETREGSET sets what lies in front of that which it refuses.
   */
  private void flushWhatMayBeRefused(ProbeHit hit) {
    try {
      hit.flushVectorState();
    } catch (PtraceException e) {
      refused(hit, "vector registers", e);
    }
    Registers wanted = hit.tracee().registers();
    if (!wanted.isSegmentChanged()) {
      return;
    }
    var actual = new Registers();
    var segments = new Registers();
    hit.tracee().thread().readRegisters(actual);
    segments.copyFrom(wanted);
    segments.setAllButSegments(actual);
    PtraceException refusal = null;
    try {
      hit.tracee().thread().writeRegisters(segments);
    } catch (PtraceException e) {
      refusal = e;
    }
    hit.tracee().thread().readRegisters(actual);
    actual.setAllButSegments(wanted);
    wanted.copyFrom(actual);
    if (refusal != null) {
      refused(hit, "segment registers", refusal);
    }
  }

  private void refused(ProbeHit hit, String what, PtraceException e) {
    if (e instanceof ThreadGoneException) {
      throw e;
    }
    long address = Objects.requireNonNull(hit.site).address();
    reportError(userCode, hit.chain[hit.next - 1],
        new ProbeException(ProbeException.Reason.SYSTEM_ERROR, address,
            "what handlers have made of the " + what + " of thread " + hit.tracee().thread().tid() + " at 0x"
                + Long.toHexString(address) + " is refused, and dropped: " + e.getMessage()));
  }

  @Override
  public void threadStarted(TracedThread thread) {
    bringOutOfSlot(thread);
    if (departing) {
      // It is let go with the others.
      return;
    }
    if (thread.stop() instanceof WaitStatus.GroupStop) {
      thread.listen();
    } else {
      thread.cont(0);
    }
  }

  /** The clone system call was itself displaced: its child starts behind the copy. */
  private void bringOutOfSlot(TracedThread thread) {
    if (sites().hasSlots()) {
      var registers = new Registers();
      thread.readRegisters(registers);
      Copy copy = sites().copyAt(registers.rip());
      if (copy != null) {
        copy.bringOut(thread, registers);
      }
    }
  }

  @Override
  public void processCreated(TracedProcess parent, TracedProcess child, TracedThread thread,
      boolean sharesMemory) {
    bringOutOfSlot(thread);
    boolean borrows = sharesMemory && !released.isDone();
    if (borrows) {
      borrowers.add(child);
    } else if (!sharesMemory) {
      // fork(2): the child has copies of the breakpoints and of the slots.
      try {
        cleanInsistently(child, thread);
      } catch (ThreadGoneException e) {
        // Killed before it ran.
        throw e;
      } catch (ProbeException | PtraceException e) {
        uncleaned.put(child, thread);
        LOGGER.log(System.Logger.Level.ERROR, child + ", a child of " + process()
            + ", is kept stopped, because it would die of the breakpoints it has inherited: "
            + e.getMessage());
        return;
      }
    }
    notifyUsers(user -> user.options().processListener().created(user, child.pid()));
    if (!borrows) {
      follow(child, thread, true);
    } else if (!departing && thread.stop() != null) {
      // When the session departs it waits, so that somebody can unmap the slots: its creator cannot be
      // stopped.
      thread.handleStop();
    }
  }

  /** What fails once is tried again. */
  private void cleanInsistently(TracedProcess child, TracedThread thread) {
    try {
      sites().clean(child, thread);
    } catch (ThreadGoneException e) {
      throw e;
    } catch (ProbeException | PtraceException e) {
      sites().clean(child, thread);
    }
  }

  /**
   * Lets children go that could not be cleaned before; one that still cannot be is left stopped by SIGSTOP.
   */
  private @Nullable RuntimeException letGoOfUncleaned() {
    RuntimeException first = null;
    for (var each : uncleaned.entrySet()) {
      TracedThread thread = each.getValue();
      try {
        try {
          sites().clean(each.getKey(), thread);
        } catch (ProbeException | PtraceException e) {
          thread.send(Signals.SIGSTOP);
          first = first != null
              ? first
              : new ProbeException(ProbeException.Reason.BREAKPOINT_LEFT, each.getKey()
                  + ", a child of " + process()
                  + ", is left stopped (SIGSTOP), because it would die of the breakpoints"
                  + " it has inherited: " + e.getMessage());
        }
        thread.detach(0);
      } catch (ThreadGoneException e) {
        // Killed meanwhile.
        continue;
      } catch (PtraceException e) {
        first = first != null ? first : e;
      }
    }
    uncleaned.clear();
    return first;
  }

  @Override
  public void executed(TracedThread thread, List<TracedThread> former) {
    // Also of those whose handlers run nothing more is reported.
    former.forEach(this::forget);
    if (thread.process() != process()) {
      // A borrower has its own memory now, and nothing of ours is in it.
      borrowers.remove(thread.process());
      if (isDescendant(thread.process())) {
        follow(thread.process(), thread, false);
      } else {
        thread.detach(0);
      }
      return;
    }
    letGoOfBorrowers();
    sites().forgetAll();
    trapAction().forget();
    users.forEach(ProbedProcess::forgetRegistrations);
    thread.finishSystemCall();
    notifyUsers(user -> user.options().processListener().executed(user));
    resumeIfStopped(thread);
  }

  /** Siblings, and whoever has created the process, share its memory but are none that it has created. */
  private boolean isDescendant(TracedProcess borrower) {
    if (borrower.wasCreated()) {
      return true;
    }
    ProcessStatus status = ProcessStatus.of(borrower.pid());
    return status != null && status.parentPid() == pid();
  }

  /** A listener may have closed the session, and so have let the thread go. */
  private static void resumeIfStopped(TracedThread thread) {
    if (thread.stop() != null) {
      thread.handleStop();
    }
  }

  /**
   * Makes a session with a child for the users who want to follow it, or lets it go.
   *
   * @param thread the child's only one, stopped before its first instruction, or inside the execve that gave
   *     it memory of its own
   * @param withProbes whether it gets its parent's probes, at the same addresses
   */
  private void follow(TracedProcess child, TracedThread thread, boolean withProbes) {
    List<ProbedProcess> followers = closing
        ? List.of()
        : users.stream().filter(user -> user.options().forkPolicy() == ForkPolicy.FOLLOW).toList();
    if (followers.isEmpty()) {
      thread.detach(0);
      return;
    }
    var engine = new Engine(tracer, family, userCode);
    if (!engine.restoreAtShutdown()) {
      family.remove(engine);
      thread.detach(0);
      return;
    }
    child.handler(engine);
    engine.use(child);
    Sessions.enter(engine);
    thread.finishSystemCall();
    try {
      // All of them first: the last user that leaves ends the session, and a listener may close its own.
      Map<ProbedProcess, ProbedProcess> children = new LinkedHashMap<>();
      followers.forEach(parent -> children.put(parent, engine.newUser(parent.options())));
      if (withProbes) {
        children.forEach((parent, user) -> engine.copyProbes(parent.registrations(), user));
      }
      children.forEach((parent, user) -> notified(
          () -> user.options().processListener().followed(parent, user)));
    } finally {
      resumeIfStopped(thread);
    }
  }

  private void copyProbes(List<Probe> originals, ProbedProcess user) {
    var placed = new ArrayList<Target>();
    var waiting = new ArrayList<Probe>();
    for (Probe original : originals) {
      original.copyFor(user).ifPresent(copy -> {
        if (original.isActive()) {
          placed.add(new Target(copy, original.address(), Optional.empty()));
        } else {
          waiting.add(copy);
        }
      });
    }
    try {
      register(user, placed, waiting);
    } catch (ProbeException | PtraceException e) {
      if (originals.size() > 1) {
        // One of them is refused: the others are not lost for that.
        originals.forEach(original -> copyProbes(List.of(original), user));
        return;
      }
      ProbeException refusal = e instanceof PtraceException p ? ProbeException.of(p) : (ProbeException) e;
      placed.forEach(target -> failed(target.probe(), refusal));
      waiting.forEach(probe -> failed(probe, refusal));
    }
  }

  private void notifyUsers(Consumer<ProbedProcess> call) {
    for (ProbedProcess user : List.copyOf(users)) {
      // One may have left in a call for another.
      if (users.contains(user)) {
        notified(() -> call.accept(user));
      }
    }
  }

  /** Whatever a listener throws must not stop the process that it hears of. */
  private void notified(Runnable call) {
    try {
      inUserCode(UserCode.Kind.PROCESS_LISTENER, this, call);
    } catch (Throwable t) {
      LOGGER.log(System.Logger.Level.ERROR, "a listener failed", t);
    }
  }

  /** The memory that the process leaves behind lives on if others run in it. */
  private void restoreForBorrowers() {
    if (!borrowers.isEmpty()) {
      sites().leaveTo(borrowers);
    }
  }

  /**
   * The process executes a program, and leaves them alone in its former memory: nobody probes them any more.
   */
  private void letGoOfBorrowers() {
    restoreForBorrowers();
    // Nobody waits for their handlers.
    handling.stream().filter(hit -> hit.tracee().thread().process() != process()).forEach(this::abandon);
    try {
      while (!borrowers.isEmpty()) {
        List<Departure> departures = borrowers.stream().map(this::departure).toList();
        borrowers.clear();
        departures.forEach(Departure::stopAll);
        unmapSlots(departures);
        departures.forEach(Departure::detachAll);
      }
    } catch (PtraceException e) {
      // The process itself goes on all the same.
      LOGGER.log(System.Logger.Level.ERROR, "a process that shared the memory of process " + pid()
          + " could not be let go", e);
    }
  }

  /** Unmaps the slots, unless a thread will come back into one, by itself. */
  private void unmapSlots(List<Departure> departures) {
    List<Tracee> left = departures.stream().flatMap(departure -> departure.leftInSlots().stream())
        .toList();
    for (Tracee tracee : left) {
      try {
        tracee.detour().leaveBehind(tracee.memory());
      } catch (PtraceException e) {
        LOGGER.log(System.Logger.Level.ERROR, tracee + " stays in its slot", e);
      }
    }
    if (left.isEmpty()) {
      PtraceException sealed = null;
      for (Departure departure : departures) {
        if (sites().hasSlots()) {
          PtraceException refusal = departure.unmapSlots();
          sealed = refusal == null ? sealed : refusal;
        }
      }
      if (sealed != null && sites().hasSlots()) {
        sites().sayThatSlotsStay("process " + pid(), sealed);
      }
    }
  }

  /** A thread is gone. */
  private void forget(TracedThread thread) {
    ProbeHit hit = hit(thread);
    hit.tracee().end();
    if (!hit.tracee().isHandling()) {
      hit.tracee().release();
      hits.remove(hit);
    }
  }

  @Override
  public void ended(TracedThread thread, WaitStatus.Ended status) {
    forget(thread);
    if (!thread.process().threads().isEmpty()) {
      return;
    }
    if (thread.process() != process()) {
      borrowers.remove(thread.process());
      uncleaned.remove(thread.process());
      finishCloseIfIdle();
      return;
    }
    closing = true;
    restoreForBorrowers();
    sites().removeAll();
    inUserCode(UserCode.Kind.END, this, () -> end.complete(switch (status) {
      case WaitStatus.Exited(int code) -> new ProcessEnd.Exited(code);
      case WaitStatus.Killed(int signal, boolean _) -> new ProcessEnd.Killed(signal);
    }));
    finishCloseIfIdle();
  }

  @Override
  public void interrupting(TracedThread thread) {
    hit(thread).tracee().interrupted(true);
  }

  /**
   * Does something in a thread that is stopped on its way to user mode: in one that is stopped anyway, or
   * else in one that is interrupted for it. Borrowers first: while they run, the thread that created them
   * cannot be stopped. Where seccomp does not allow it in one, others are tried.
   */
  private long inSomeThread(ToLongFunction<TracedThread> action) {
    var unreachable = new HashSet<TracedThread>();
    PtraceException last = null;
    while (true) {
      tracer.awaitNewcomers();
      List<TracedThread> candidates = allThreads();
      candidates.removeAll(unreachable);
      if (candidates.isEmpty()) {
        throw last != null ? last : gone();
      }
      TracedThread candidate = candidates.stream().filter(TracedThread::isAtUserBoundary).findFirst()
          .orElse(candidates.getFirst());
      if (candidate.isAtUserBoundary()) {
        try {
          return action.applyAsLong(candidate);
        } catch (PtraceException e) {
          if (e.reason() != PtraceException.Reason.SECCOMP) {
            throw e;
          }
          last = e;
          unreachable.add(candidate);
          continue;
        }
      }
      try {
        hit(candidate).tracee().interrupted(true);
        candidate.interruptAndWait();
        if (candidate.isAtUserBoundary()) {
          candidate.takePendingTrap();
          return action.applyAsLong(candidate);
        }
      } catch (PtraceException e) {
        if (!e.isBeyondReach() && e.reason() != PtraceException.Reason.SECCOMP) {
          throw e;
        }
        last = e;
        unreachable.add(candidate);
      } finally {
        // In a system call that creates a process, say: it is handled, and then another look is taken.
        insist(candidate::handleStop);
      }
    }
  }

  /** What fails leaves it stopped, and is tried again: nobody else would let it go on. */
  private static void insist(Runnable letGoOn) {
    try {
      letGoOn.run();
    } catch (ThreadGoneException e) {
      throw e;
    } catch (PtraceException e) {
      letGoOn.run();
    }
  }

  private List<TracedThread> allThreads() {
    var all = new ArrayList<TracedThread>();
    for (TracedProcess borrower : borrowers) {
      all.addAll(borrower.threads());
    }
    all.addAll(process().threads());
    return all;
  }

  // The end of a session. Tracer thread.

  private void beginClose() {
    if (!closing) {
      stopProbing();
      finishCloseIfIdle();
    }
  }

  private void stopProbing() {
    if (closing) {
      return;
    }
    closing = true;
    if (held) {
      // Its stop may be the one that Startup has made, whose trap is not for the program.
      process().threads().forEach(thread -> hit(thread).tracee().settle(0));
    }
    sites().removeAll();
  }

  /** Called whenever something has happened that a session which closes waits for. */
  private void finishCloseIfIdle() {
    if (!closing || departing || !handling.isEmpty() || released.isDone()) {
      return;
    }
    departing = true;
    try {
      letGoOfAll();
    } catch (RuntimeException e) {
      failure.set(e);
    } finally {
      finished();
    }
  }

  private void finished() {
    family.remove(this);
    lastOfTracer = family.isEmpty();
    // What users hang on it may start threads.
    inUserCode(UserCode.Kind.END, this, () -> end.complete(new ProcessEnd.Detached()));
    released.complete(true);
    if (lastOfTracer) {
      tracer.close();
    }
  }

  /**
   * Brings all threads out of the slots, unmaps these and detaches. Who waits in vfork(2) comes last: while
   * its child runs it cannot be stopped, and may go on at any moment; when the child is stopped it does
   * neither, and the memory is the child's to put right. Children that come meanwhile are cleaned and
   * detached at their first stop, and borrowers kept there.
   *
   * @throws RuntimeException the first of what could not be undone, when everything else is
   */
  private void letGoOfAll() {
    tracer.awaitNewcomers();
    var departures = new ArrayList<Departure>();
    List<TracedProcess> fresh = new ArrayList<>(borrowers);
    fresh.add(process());
    while (!fresh.isEmpty()) {
      borrowers.clear();
      // Asked once of each: the answer may change.
      List<Departure> next = fresh.size() == 1
          ? List.of(departure(fresh.getFirst()))
          : fresh.stream().collect(Collectors.partitioningBy(Engine::waitsForChild)).values().stream()
              .flatMap(List::stream).map(this::departure).toList();
      next.forEach(Departure::stopAll);
      departures.addAll(next);
      fresh = new ArrayList<>(borrowers);
    }
    RuntimeException first = sites().removeForGood();
    RuntimeException child = letGoOfUncleaned();
    first = first == null ? child : first;
    unmapSlots(departures);
    for (Departure departure : departures) {
      try {
        departure.detachAll();
      } catch (PtraceException e) {
        first = first == null ? e : first;
      }
    }
    if (first != null) {
      throw first;
    }
  }

  private static boolean waitsForChild(TracedProcess target) {
    return target.threads().stream().anyMatch(target::waitsForChild);
  }

  private Departure departure(TracedProcess target) {
    return new Departure(target, thread -> hit(thread).tracee(), sites());
  }

  @Override
  public String toString() {
    return "process " + pid();
  }
}
