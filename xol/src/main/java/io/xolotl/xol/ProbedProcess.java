package io.xolotl.xol;

import io.xolotl.decoder.DecoderUnavailableException;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.xol.WaitingProbes.Absent;
import io.xolotl.xol.WaitingProbes.Follower;
import io.xolotl.xol.elf.Boundary;
import io.xolotl.xol.elf.FunctionBody;
import io.xolotl.xol.elf.NonlocalExit;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.site.Place;
import io.xolotl.xol.site.SiteException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A running process and one user of it: probes are registered on its instructions, and all its threads share
 * them, also those that it creates later. Closing it leaves the process running as if it had never been
 * probed.
 *
 * <p>A process that is attached to several times in one JVM has as many users. They share one session with
 * it, and do not notice one another: each has its own probes and its own options, and the session ends with
 * the last of them.
 *
 * <p>Any thread may use it, handlers included. A session closes when {@link #close} is called, and when the
 * JVM exits by itself, by SIGTERM or by SIGINT; handlers that run then are
 * {@linkplain ProbeHandler#onHit interrupted} after a second, and abandoned after another one if they run in
 * {@link HandlerContext#TASK}; those on the tracer thread are waited for. A JVM that is killed by SIGKILL
 * cannot restore anything: the breakpoints stay and the process dies of the next one.
 *
 * <p>Every method that needs the process throws {@link ProbeException}: with
 * {@link ProbeException.Reason#PROCESS_GONE} when it has ended, with {@link ProbeException.Reason#CLOSED}
 * after {@link #close}.
 */
// Long because all that a user does with a process begins here; a third of it is what the API promises.
public final class ProbedProcess implements AutoCloseable {

  private static final BiConsumer<Probe, SymbolException> ALL_OR_NONE = (_, why) -> {
    throw why;
  };

  private final Session session;
  private final ProbingOptions options;
  private final CompletableFuture<ProcessEnd> end;
  private final Unwindings unwindings = new Unwindings(this);

  /**
   * The user's probes, in order of registration, some over by now. Guarded by itself; written by the tracer
   * thread, so that a fork falls before or behind a registration.
   */
  private final Set<Probe> registrations = new LinkedHashSet<>();

  /** Probes that were over while handlers of theirs ran. Tracer thread only. */
  private final Set<Probe> unawaited = new HashSet<>();

  ProbedProcess(Session session, ProbingOptions options) {
    this.session = session;
    this.options = options;
    end = session.end().told().copy();
  }

  /**
   * Attaches to a running process. It goes on running; nothing of it is changed yet.
   *
   * @param pid the process
   * @return the process, for its user
   * @throws ProbeException if it cannot or may not be traced
   */
  public static ProbedProcess attach(int pid) {
    return attach(pid, ProbingOptions.defaults());
  }

  /**
   * Attaches to a running process.
   *
   * @param pid the process
   * @param options what to run handlers with
   * @return the process, for its user
   * @throws ProbeException if it cannot or may not be traced
   */
  public static ProbedProcess attach(int pid, ProbingOptions options) {
    Objects.requireNonNull(options, "options");
    return translated(() -> Sessions.attach(pid, options));
  }

  /**
   * Starts a program and holds it when its libraries are mapped and relocated but none of their code,
   * constructors included, has run. {@link #start} lets it go on.
   *
   * @param request what to start
   * @return the process, held
   * @throws ProbeException if it cannot be started
   */
  public static ProbedProcess launch(LaunchRequest request) {
    return launch(request, ProbingOptions.defaults(), LaunchStop.LIBRARIES_LOADED);
  }

  /**
   * Starts a program and holds it as {@link #launch(LaunchRequest)} does.
   *
   * @param request what to start
   * @param options what to run handlers with
   * @return the process, held
   * @throws ProbeException if it cannot be started
   */
  public static ProbedProcess launch(LaunchRequest request, ProbingOptions options) {
    return launch(request, options, LaunchStop.LIBRARIES_LOADED);
  }

  /**
   * Starts a program and holds it. {@link #start} lets it go on.
   *
   * @param request what to start
   * @param options what to run handlers with
   * @param stop how far it runs before it is held
   * @return the process, held
   * @throws ProbeException if it cannot be started
   */
  public static ProbedProcess launch(LaunchRequest request, ProbingOptions options, LaunchStop stop) {
    Objects.requireNonNull(request, "request");
    Objects.requireNonNull(options, "options");
    Objects.requireNonNull(stop, "stop");
    return translated(() -> Sessions.launch(request, options, stop));
  }

  /** How far a launched program runs before it is held. */
  public enum LaunchStop {
    /** Not at all: only the kernel has mapped the program and its dynamic linker. */
    FIRST_INSTRUCTION,
    /**
     * Until the dynamic linker has mapped and relocated the libraries that the program was linked with. A
     * program without a dynamic linker is held at its first instruction; with a dynamic linker that does not
     * tell debuggers (no symbol {@code _dl_debug_state}), at its entry point, when constructors have run.
     */
    LIBRARIES_LOADED
  }

  /** Lets a launched program run. Without effect if it runs already. */
  public void start() {
    inSession(() -> {
      session.start();
      return Optional.empty();
    });
  }

  /** {@return the process's id in this JVM's pid namespace} */
  public int pid() {
    return session.pid();
  }

  /** {@return ids of the threads that the process has now} */
  public List<Integer> threadIds() {
    return inSession(session::threadIds);
  }

  /** {@return the process's memory} */
  public ProcessMemory memory() {
    return session.memory();
  }

  /** {@return the process's mappings now} */
  public List<MemoryMapping> mappings() {
    return inSession(session::mappings);
  }

  /**
   * Completes when the process ends or this is closed. What depends on it without an executor of its own runs
   * on the thread that serves the session, and holds it up; when somebody waits for that for a second, it is
   * {@linkplain ProbeHandler#onHit interrupted} as a handler is.
   *
   * @return a copy: to complete it does nothing
   */
  public CompletableFuture<ProcessEnd> end() {
    return end.copy();
  }

  /**
   * Registers a probe. Threads that arrive at the instruction from now on run its handler.
   *
   * @param request what to probe and how
   * @return the probe
   * @throws ProbeException if it is refused; nothing is changed then
   */
  public Probe register(ProbeRequest request) {
    return register(List.of(request)).getFirst();
  }

  /**
   * Registers several probes, all or none.
   *
   * @param requests what to probe and how
   * @return the probes, in the order of the requests
   * @throws ProbeException if one of them is refused; nothing is changed then
   */
  public List<Probe> register(Collection<ProbeRequest> requests) {
    List<ProbeRequest> all = List.copyOf(requests);
    return inSession(() -> {
      List<Probe> probes = all.stream().map(request -> new Probe(this, request)).toList();
      activate(probes);
      return probes;
    });
  }

  /**
   * Registers those of several probes that can be, together: no hit of one of them is handled before all are
   * there.
   *
   * @param requests what to probe and how
   * @return what became of each
   * @throws ProbeException if none can be for a reason that concerns the process, and not a location
   */
  public Registration registerPossible(Collection<ProbeRequest> requests) {
    List<ProbeRequest> all = List.copyOf(requests);
    return inSession(() -> {
      var probes = new LinkedHashMap<Probe, ProbeRequest>();
      all.forEach(request -> probes.put(new Probe(this, request), request));
      Map<Probe, ProbeException> refused = new ConcurrentHashMap<>();
      var absent = new ArrayList<Absent>();
      Map<Probe, Place> places = session.locator().locate(probes.keySet(), absent,
          (probe, why) -> refused.put(probe, ProbeException.of(why)));
      session.register(this, probes.keySet(), places, absent, refused::put);
      var refusals = new ArrayList<Registration.Refused>();
      probes.forEach((probe, request) -> {
        ProbeException why = refused.get(probe);
        if (why != null) {
          refusals.add(new Registration.Refused(request, why));
        }
      });
      return new Registration(
          probes.keySet().stream().filter(probe -> !refused.containsKey(probe)).toList(),
          absent.stream().filter(each -> each.probe().isWaiting() && !refused.containsKey(each.probe()))
              .map(each -> new Registration.Waiting(each.probe(), ProbeException.of(each.why()))).toList(),
          List.copyOf(refusals));
    });
  }

  /**
   * Registers handlers at the entry and the return of a function's calls. Calls that are under way already
   * are not observed.
   *
   * @param request the function and the handlers
   * @param <T> what the two handlers share for each call
   * @return the probe
   * @throws ProbeException if its entry is refused; nothing is changed then
   */
  public <T extends @Nullable Object> ReturnProbe register(ReturnProbeRequest<T> request) {
    Objects.requireNonNull(request, "request");
    return inSession(() -> {
      var probe = new ReturnProbe(this, request);
      // What may be asked about at the first call is known then, so that no thread waits for it while files
      // are read.
      nonlocalExits();
      for (Place place : session.locator().locate(List.of(probe.entry()), new ArrayList<>(), ALL_OR_NONE)
          .values()) {
        // What is refused below is not to be changed around it before.
        if (place.trusted() || place.boundary() instanceof Boundary.Proven) {
          probe.watchExits(place.address());
        }
      }
      try {
        activate(List.of(probe.entry()));
      } catch (RuntimeException e) {
        probe.unregister();
        throw e;
      }
      return probe;
    });
  }

  Optional<FunctionBody> body(long address) {
    return inSession(() -> session.locator().body(address));
  }

  /** The places where code leaves several functions at once. */
  List<NonlocalExit> nonlocalExits() {
    return inSession(session.locator()::nonlocalExits);
  }

  /** Whether exceptions are caught at an address, or something is done when one passes. */
  boolean isLandingPad(long address) {
    return inSession(() -> session.locator().isLandingPad(address));
  }

  Unwindings unwindings() {
    return unwindings;
  }

  /** Activates those that can be, together, and returns how many these are. */
  int activatePossible(List<Probe> probes) {
    inSession(() -> {
      var absent = new ArrayList<Absent>();
      Map<Probe, Place> places = session.locator().locate(probes, absent, (_, _) -> {
        // It stays inactive.
      });
      session.register(this, probes, places, absent, (_, _) -> {
        // It stays inactive.
      });
      return probes;
    });
    return (int) probes.stream().filter(Probe::isActive).count();
  }

  void activate(List<Probe> probes) {
    inSession(() -> {
      var absent = new ArrayList<Absent>();
      session.register(this, probes, session.locator().locate(probes, absent, ALL_OR_NONE), absent,
          (_, why) -> {
            throw why;
          });
      return probes;
    });
  }

  /**
   * Removes several probes, each as {@link Probe#unregister} does. One call for many is far faster than many
   * calls.
   *
   * @param probes probes of this process; those that are over already are left out
   */
  public void unregister(Collection<Probe> probes) {
    for (Probe probe : probes) {
      if (probe.process() != this) {
        throw new IllegalArgumentException(probe + " was not registered with this object");
      }
    }
    end(probes);
  }

  /** The same for probes of this process; returns false if all of them were over. */
  boolean end(Collection<Probe> probes) {
    return inSession(() -> session.unregister(probes));
  }

  /**
   * {@return the probes that were registered here, and are active or wait for their module, in order of
   * registration; when the process has ended, those of its last moment, with their counts}
   */
  public List<Probe> probes() {
    return known().stream()
        .filter(probe -> probe.owner() == null && !probe.isInternal()).toList();
  }

  /**
   * {@return the return probes that were registered here and are active or wait for their module, in order of
   * registration}
   */
  public List<ReturnProbe> returnProbes() {
    return known().stream().map(Probe::owner).filter(Objects::nonNull).distinct().toList();
  }

  private List<Probe> known() {
    if (!(end.getNow(new ProcessEnd.Detached()) instanceof ProcessEnd.Detached)) {
      synchronized (registrations) {
        return List.copyOf(registrations);
      }
    }
    return registrations();
  }

  /** {@return what has happened in the session until now} */
  public Statistics statistics() {
    return session.statistics().now();
  }

  // For the engine, and all but the first method for the tracer thread only.

  ProbingOptions options() {
    return options;
  }

  Session session() {
    return session;
  }

  List<Probe> registrations() {
    synchronized (registrations) {
      return registrations.stream().filter(probe -> probe.isActive() || probe.isWaiting())
          .collect(Collectors.toCollection(ArrayList::new));
    }
  }

  void registered(Probe probe) {
    synchronized (registrations) {
      registrations.add(probe);
    }
  }

  void unregistered(Probe probe) {
    synchronized (registrations) {
      registrations.remove(probe);
    }
    unawaited.removeIf(each -> !each.isHandling());
    if (probe.isHandling()) {
      unawaited.add(probe);
    }
  }

  /** Probes that are over, and of which handlers may run. */
  List<Probe> unawaited() {
    var all = new ArrayList<>(unawaited);
    synchronized (registrations) {
      all.addAll(registrations);
    }
    all.removeIf(probe -> !probe.isHandling());
    return all;
  }

  boolean followsExec() {
    return options.forkPolicy() == ForkPolicy.FOLLOW_EXEC;
  }

  /** Registers probes again in the program that was just executed, as far as they may be there. */
  void registerAgain(List<Probe> former) {
    var probes = new ArrayList<Probe>();
    former.forEach(probe -> probe.againIn(this).ifPresent(probes::add));
    try {
      var absent = new ArrayList<Absent>();
      Map<Probe, Place> places = session.locator().locate(probes, absent, (probe, _) -> probe.deactivate());
      session.register(this, probes, places, absent, (probe, _) -> probe.deactivate());
    } catch (ProbeException | PtraceException e) {
      ProbeException why = e instanceof PtraceException p ? ProbeException.of(p) : (ProbeException) e;
      probes.forEach(probe -> session.failed(probe, why));
    }
  }

  void forgetRegistrations() {
    unwindings.forget();
    synchronized (registrations) {
      unawaited.addAll(registrations);
      registrations.clear();
    }
    unawaited.removeIf(probe -> !probe.isHandling());
  }

  void detached() {
    end.complete(new ProcessEnd.Detached());
  }

  /**
   * Describes an address for people: {@code libc.so.6:malloc+0x4}, without a symbol {@code libc.so.6+0x1234},
   * or {@code 0x7f0123456789}.
   *
   * @param address an address in the process
   * @return a text for people
   */
  public String describe(long address) {
    return inSession(() -> session.locator().describe(address));
  }

  /**
   * Finds out where a location is.
   *
   * @param location what {@link #register(ProbeRequest)} takes
   * @return an address in the process; of an IFUNC that of the implementation in use
   * @throws ProbeException if it names nothing, or several things
   */
  public long address(ProbeLocation location) {
    Objects.requireNonNull(location, "location");
    return inSession(() -> session.locator().address(location));
  }

  /**
   * Does something now, and whenever the dynamic linker has mapped or unmapped modules, before any of their
   * code runs: on the tracer thread, while the process is stopped at that place; as long as this process is
   * not closed and executes no other program.
   *
   * @param action must be short and must not block, but may register and unregister probes; what it throws
   *     the first time is thrown here, and it is not called again then
   * @return false if the process has no dynamic linker that reports it
   */
  public boolean onModulesChanged(Runnable action) {
    Objects.requireNonNull(action, "action");
    return inSession(() -> {
      var failed = new AtomicBoolean();
      boolean told = session.followModules(new Follower(this, () -> !failed.get() && !end.isDone(), action));
      try {
        session.inListener(action);
      } catch (RuntimeException | Error e) {
        failed.set(true);
        throw e;
      }
      return told;
    });
  }

  /** {@return file names of the modules that are mapped now} */
  public List<String> modules() {
    return inSession(session.locator()::modules);
  }

  /**
   * {@return the functions of a module, in ascending order of address}
   *
   * @param module names the module as {@link ProbeLocation.Symbol} does
   */
  public List<ModuleFunction> functions(String module) {
    Objects.requireNonNull(module, "module");
    return inSession(() -> session.locator().functions(module));
  }

  /**
   * Ends this use of the process: its probes are unregistered, as {@link Probe#unregister} does. If nobody
   * else in this JVM uses the process, the session ends: threads that execute a displaced instruction are
   * brought out first, and the process runs on as if it had never been probed. A launched program that was
   * never started starts. Waits for handlers that are running, unless it is called by one; then the session
   * ends when they have returned. Those that take longer than a second are
   * {@linkplain ProbeHandler#onHit interrupted}. Idempotent.
   *
   * @throws ProbeException with {@link ProbeException.Reason#SYSTEM_ERROR} if something could not be undone,
   *     which the message names; everything else is, and the process is let go
   */
  @Override
  public void close() {
    inSession(() -> {
      session.leave(this);
      return Optional.empty();
    });
  }

  /** Does something that needs the session, whose end by the process's own is told as that. */
  private <T> T inSession(Supplier<T> operation) {
    try {
      return translated(operation);
    } catch (ProbeException e) {
      if (e.reason() == ProbeException.Reason.CLOSED
          && !(end.getNow(new ProcessEnd.Detached()) instanceof ProcessEnd.Detached)) {
        throw new ProbeException(ProbeException.Reason.PROCESS_GONE, "process " + pid() + " has ended");
      }
      throw e;
    }
  }

  private static <T> T translated(Supplier<T> operation) {
    try {
      return operation.get();
    } catch (PtraceException e) {
      throw ProbeException.of(e);
    } catch (SiteException e) {
      throw ProbeException.of(e);
    } catch (SymbolException e) {
      throw ProbeException.of(e);
    } catch (DecoderUnavailableException e) {
      throw ProbeException.of(e);
    }
  }

  @Override
  public String toString() {
    return "probed process " + pid();
  }
}
