package io.xolotl.xol;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.TraceHandler;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.WaitingProbes.Absent;
import io.xolotl.xol.WaitingProbes.Follower;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.program.ErrnoLocation;
import io.xolotl.xol.site.Place;
import io.xolotl.xol.site.Preparation;
import io.xolotl.xol.site.RestartableSequences;
import io.xolotl.xol.site.SequenceGuard;
import io.xolotl.xol.site.Sites;
import io.xolotl.xol.tracee.Tracee;
import io.xolotl.xol.tracee.TrapAction;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The session with one process: who uses it, and from when to when it lasts. Linux allows one tracer a
 * process, and ties it to one thread; so what users ask for, in whatever thread, is handed to the tracer
 * thread here.
 */
// Long because it is the one door to the tracer thread: each request of a user is a few lines here.
final class Session {

  private final Tracer tracer;
  private final TracedProcess process;

  /**
   * The sessions that the tracer serves, this one among them: a child that is followed stays with its
   * parent's.
   */
  private final Set<Session> family;
  private final UserCode onTracer;

  private final Handlers handlers;
  private final Errands errands;
  private final TrapAction trapAction;
  private final Locator locator;
  private final Sites sites;
  private final ProbeTable table;
  private final WaitingProbes waiting;
  private final Hits hits;
  private final Lineage lineage;
  private final Closing closing;
  private final Stops stops;

  private final SessionEnd end;
  private final SessionStatistics statistics = new SessionStatistics();

  /** The last that leaves closes the session. Tracer thread only. */
  private final Set<ProbedProcess> users = new LinkedHashSet<>();

  /** A launched program that was not started yet. Tracer thread only. */
  private boolean held;

  /**
   * A session without users.
   *
   * @param process perhaps not attached to yet
   * @param family the sessions that the tracer serves; this one joins them
   * @param onTracer what runs of the users' on the tracer thread
   */
  Session(Tracer tracer, TracedProcess process, Set<Session> family, UserCode onTracer) {
    this.tracer = tracer;
    this.process = process;
    this.family = family;
    this.onTracer = onTracer;
    Set<TracedProcess> borrowers = new LinkedHashSet<>();
    handlers = new Handlers(tracer, onTracer, statistics);
    errands = new Errands(tracer, process, Collections.unmodifiableSet(borrowers), this::tracee);
    trapAction = new TrapAction(process);
    locator = new Locator(process);
    var area = new CodeArea(process, errands);
    sites = new Sites(process, area, ProbeTable::deactivate);
    var sequences = new RestartableSequences(process);
    table = new ProbeTable(process, sites, new Preparation(process, sites, area, sequences),
        new SequenceGuard(sites, sequences), handlers, statistics);
    waiting = new WaitingProbes(process, locator, table);
    hits = new Hits(this, tracer, sites, table, trapAction, handlers, statistics);
    end = new SessionEnd(tracer, handlers, hits.all());
    lineage = new Lineage(this, process, borrowers, area, sites, table, waiting, trapAction, hits, handlers);
    closing = new Closing(this, tracer, process, area, sites, waiting, hits, lineage);
    stops = new Stops(this, hits, lineage, closing);
    family.add(this);
  }

  private Tracee tracee(TracedThread thread) {
    return hits.of(thread).tracee();
  }

  TraceHandler stops() {
    return stops;
  }

  Closing closing() {
    return closing;
  }

  // The beginning. Tracer thread.

  /** The process is launched, and waits for {@link #start}. */
  void hold() {
    held = true;
  }

  boolean isHeld() {
    return held;
  }

  /** Attaches to whoever was missed when the process was attached to. */
  void completeAttach() {
    lineage.completeAttach();
  }

  ProbedProcess newUser(ProbingOptions options) {
    var user = new ProbedProcess(this, options);
    users.add(user);
    return user;
  }

  /** Has the process restored when the JVM exits; returns false if it does so already. Any thread. */
  boolean restoreAtExit() {
    var hook = new ExitHook(this, family);
    if (!hook.register()) {
      return false;
    }
    // Also of a session that nobody closes, because its process has ended.
    end.thenRun(hook::unregister);
    return true;
  }

  // For ProbedProcess and Probe. Any thread.

  /** Does something on the tracer thread, and looks after what holds that up. */
  <T extends @Nullable Object> T call(Callable<T> action) {
    return tracer.call(action, UserCode.INTERVAL, handlers::look);
  }

  boolean isTracerThread() {
    return tracer.isTracerThread();
  }

  int pid() {
    return process.pid();
  }

  ProcessMemory memory() {
    return process.memory();
  }

  List<MemoryMapping> mappings() {
    return process.mappings();
  }

  Locator locator() {
    return locator;
  }

  SessionEnd end() {
    return end;
  }

  List<Integer> threadIds() {
    return call(() -> process.threads().stream().map(TracedThread::tid).toList());
  }

  void start() {
    call(() -> {
      if (held && !isClosing()) {
        process.threads().getFirst().cont(0);
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
      return isClosing() ? null : newUser(options);
    });
  }

  /**
   * Activates probes of a user together.
   *
   * @param probes all of them, in order
   * @param places where those are that have an address
   * @param absent probes that are activated later, when their place is known
   * @param refused is given those that cannot be, and why; if it throws that, none is activated
   */
  void register(ProbedProcess user, Collection<Probe> probes, Map<Probe, Place> places, List<Absent> absent,
      BiConsumer<Probe, ProbeException> refused) {
    call(() -> {
      if (users.contains(user) && process.threads().isEmpty()) {
        throw ProbeException.gone(pid());
      }
      if (isClosing() || !users.contains(user)) {
        throw new ProbeException(ProbeException.Reason.CLOSED,
            "the session with process " + pid() + " is closed");
      }
      lineage.attachNewcomers();
      Set<Probe> refusals = refuseWithoutThread(probes, refused);
      if (trapAction.hasUnknownHandler()) {
        learnTrapAction();
      }
      // First what may refuse, so that all or none are registered.
      var awaited = new ArrayList<Absent>();
      for (Absent each : absent) {
        if (refusals.contains(each.probe())) {
          continue;
        }
        try {
          waiting.checkAwaited(each);
          awaited.add(each);
        } catch (ProbeException e) {
          refused.accept(each.probe(), e);
        }
      }
      try {
        places.keySet().removeAll(refusals);
        table.register(places, refused);
      } finally {
        table.endInSequences();
      }
      Set<Probe> waits = awaited.stream().map(Absent::probe).collect(Collectors.toSet());
      probes.stream().filter(probe -> probe.isActive() || waits.contains(probe)).forEach(user::registered);
      // It may have been mapped since the look-up, before the dynamic linker was watched.
      waiting.place(awaited);
      return true;
    });
  }

  /** Those that a user has limited to threads which do not exist. */
  private Set<Probe> refuseWithoutThread(Collection<Probe> probes,
      BiConsumer<Probe, ProbeException> refused) {
    var without = new HashSet<Probe>();
    Set<Integer> known = null;
    for (Probe probe : probes) {
      // The parts of a return probe are for threads of which some may have ended since.
      if (probe.isUsers() && !probe.request().threads().isEmpty()) {
        known = known == null ? lineage.threadIds() : known;
        for (int thread : probe.request().threads()) {
          if (!known.contains(thread) && without.add(probe)) {
            refused.accept(probe, new ProbeException(ProbeException.Reason.NO_SUCH_THREAD,
                "process " + pid() + " has no thread " + thread));
          }
        }
      }
    }
    return without;
  }

  /**
   * Finds the errno of a thread of the process. Its data is read on the calling thread, since the program may
   * make that take long (userfaultfd(2)).
   */
  OptionalLong errno(long errnoFunction, Registers thread) {
    return ErrnoLocation.of(errnoFunction,
        (address, length) -> call(() -> sites.programText(address, length)), thread, memory());
  }

  /** Does something of a user's on the tracer thread. */
  void inListener(Runnable action) {
    call(() -> {
      handlers.inUserCode(UserCode.Kind.PROCESS_LISTENER, this, action);
      return true;
    });
  }

  /**
   * Tells somebody of modules that come later.
   *
   * @return false if the dynamic linker tells of none, or the session ends
   */
  boolean followModules(Follower follower) {
    return unlessEnded(() -> !isClosing() && waiting.follow(follower)).orElse(false);
  }

  private void learnTrapAction() {
    try {
      errands.run(thread -> {
        trapAction.learn(thread);
        return 0;
      });
    } catch (ErrandException e) {
      if (!e.isForbidden()) {
        throw ProbeException.of(e, pid());
      }
      throw new ProbeException(ProbeException.Reason.SECCOMP,
          "process " + pid() + " has a handler for SIGTRAP, which it could lose at a hit, "
              + "and which could not be restored: " + e.getMessage());
    }
  }

  /** Unregisters probes; returns false if all of them were over. */
  boolean unregister(Collection<Probe> probes) {
    boolean any = unlessEnded(() -> {
      boolean some = probes.stream().anyMatch(probe -> probe.isActive() || probe.isWaiting());
      table.unregister(probes);
      probes.forEach(probe -> probe.process().unregistered(probe));
      if (!isClosing()) {
        waiting.keepWatching();
      }
      return some;
    }).orElse(false);
    if (end.mayBeAwaited()) {
      probes.forEach(end::awaitHandlers);
    }
    return any;
  }

  /** Ends the use by one user, and the session with the last. */
  void leave(ProbedProcess user) {
    Optional<List<Probe>> left = unlessEnded(() -> {
      users.remove(user);
      if (users.isEmpty()) {
        closing.begin();
        return null;
      }
      List<Probe> own = user.registrations();
      table.unregister(own);
      waiting.keepWatching();
      handlers.inUserCode(UserCode.Kind.END, this, user::detached);
      own.addAll(user.unawaited());
      return own;
    });
    if (end.mayBeAwaited()) {
      left.ifPresentOrElse(own -> own.forEach(end::awaitHandlers), this::awaitEnd);
    }
  }

  /** Ends the session for all its users. */
  void close() {
    unlessEnded(() -> {
      closing.begin();
      return true;
    });
    if (end.mayBeAwaited()) {
      awaitEnd();
    }
  }

  /** The JVM exits, and what handlers wait for may never come. */
  void closeAtExit() {
    unlessEnded(() -> {
      closing.begin();
      return true;
    });
    end.awaitAtExit(() -> unlessEnded(() -> {
      closing.abandonHandlers();
      return true;
    }));
    awaitEnd();
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

  private void awaitEnd() {
    end.await(this);
    RuntimeException left = closing.takeFailure();
    if (left != null) {
      throw left;
    }
  }

  // For the parts of the session. Tracer thread.

  boolean isClosing() {
    return closing.isClosing();
  }

  /** Something has happened that a session which closes waits for. */
  void hitFinished() {
    closing.finishIfIdle();
  }

  /**
   * A stopped thread names the restartable sequence that it is in. That is looked at where no hit pays for
   * it, and at hits only where it may be the only sign.
   */
  void observeSequence(TracedThread thread) {
    if (!isClosing()) {
      table.observeSequence(thread);
    }
  }

  void failed(Probe probe, ProbeException why) {
    table.failed(probe, why);
  }

  void notifyUsers(Consumer<ProbedProcess> call) {
    handlers.notifyUsers(this, users, call);
  }

  /** What is to be registered again in the program that the process has executed. */
  Map<ProbedProcess, List<Probe>> registrationsToRepeat() {
    var result = new LinkedHashMap<ProbedProcess, List<Probe>>();
    if (!isClosing()) {
      users.stream().filter(ProbedProcess::followsExec)
          .forEach(user -> result.put(user, user.registrations()));
    }
    return result;
  }

  SessionStatistics statistics() {
    return statistics;
  }

  /** The process executes another program. */
  void forgetRegistrations() {
    users.forEach(ProbedProcess::forgetRegistrations);
  }

  /** The users who want to follow children. */
  List<ProbedProcess> followers() {
    return isClosing()
        ? List.of()
        : users.stream().filter(user -> user.options().forkPolicy() != ForkPolicy.DETACH).toList();
  }

  /** Makes a session with a child, which is handled by it from now on; null if the JVM exits. */
  @Nullable
  Session ofChild(TracedProcess child) {
    var session = new Session(tracer, child, family, onTracer);
    if (!session.restoreAtExit()) {
      family.remove(session);
      return null;
    }
    child.handler(session.stops);
    Sessions.enter(session);
    return session;
  }

  /** The process has ended by itself. */
  void processEnded(ProcessEnd how) {
    closing.processEnded();
    handlers.inUserCode(UserCode.Kind.END, this, () -> end.told().complete(how));
    closing.finishIfIdle();
  }

  /** The process is let go, or has ended and no handler runs any more. */
  void finished() {
    family.remove(this);
    boolean last = family.isEmpty();
    // What users hang on it may start threads.
    handlers.inUserCode(UserCode.Kind.END, this, () -> end.told().complete(new ProcessEnd.Detached()));
    end.reached(last);
  }

  @Override
  public String toString() {
    return "process " + pid();
  }
}
