package io.xolotl.xol;

import io.xolotl.decoder.DecoderUnavailableException;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.xol.elf.FunctionRange;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.elf.SymbolResolver;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A session with a running process: probes are registered on its instructions, and all its threads share them, also those
 * that it creates later. Closing it leaves the process running as if it had never been probed.
 *
 * <p>Any thread may use it, handlers included. A session closes when {@link #close} is called, and when the JVM exits by
 * itself, by SIGTERM or by SIGINT. A JVM that is killed by SIGKILL cannot restore anything: the breakpoints stay and
 * the process dies of the next one.
 *
 * <p>Every method that needs the process throws {@link ProbeException}: with {@link ProbeException.Reason#PROCESS_GONE}
 * when it has ended, with {@link ProbeException.Reason#CLOSED} after {@link #close}.
 */
public final class ProbedProcess implements AutoCloseable {

  private final Engine engine;
  private final Thread shutdownHook;

  /** Guarded by itself. Parsing symbols takes long, so it is kept off the tracer thread. */
  private final SymbolResolver symbols;

  private ProbedProcess(Engine engine) {
    this.engine = engine;
    symbols = new SymbolResolver(engine.pid(), List.of(),
        (address, destination, offset, length) -> engine.memory()
            .tryRead(address, destination, offset, length));
    shutdownHook = new Thread(engine::close, "xolotl-restore-" + engine.pid());
    try {
      Runtime.getRuntime().addShutdownHook(shutdownHook);
    } catch (IllegalStateException shuttingDown) {
      engine.close();
      throw new ProbeException(ProbeException.Reason.CLOSED, "this JVM is shutting down");
    }
    // Also of a session that nobody closes, because its process has ended.
    engine.released().thenRun(this::removeShutdownHook);
  }

  private void removeShutdownHook() {
    try {
      Runtime.getRuntime().removeShutdownHook(shutdownHook);
    } catch (IllegalStateException shuttingDown) {
      // The hook is running, or waits to: it finds the session closed.
      return;
    }
  }

  /**
   * Attaches to a running process. It goes on running; nothing of it is changed yet.
   *
   * @param pid the process
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
   * @throws ProbeException if it cannot or may not be traced
   */
  public static ProbedProcess attach(int pid, ProbingOptions options) {
    return translated(() -> new ProbedProcess(Engine.attach(pid, options)));
  }

  /**
   * Starts a program and holds it when its libraries are mapped and relocated but none of their code, constructors
   * included, has run. {@link #start} lets it go on.
   *
   * @param request what to start
   * @throws ProbeException if it cannot be started
   */
  public static ProbedProcess launch(LaunchRequest request) {
    return launch(request, ProbingOptions.defaults(), LaunchStop.LIBRARIES_LOADED);
  }

  /**
   * Starts a program and holds it. {@link #start} lets it go on.
   *
   * @param request what to start
   * @param options what to run handlers with
   * @param stop how far it runs before it is held
   * @throws ProbeException if it cannot be started
   */
  public static ProbedProcess launch(LaunchRequest request, ProbingOptions options, LaunchStop stop) {
    return translated(() -> new ProbedProcess(Engine.launch(request, options, stop)));
  }

  /** How far a launched program runs before it is held. */
  public enum LaunchStop {
    /** Not at all: only the kernel has mapped the program and its dynamic linker. */
    FIRST_INSTRUCTION,
    /**
     * Until the dynamic linker has mapped and relocated the libraries that the program was linked with. A program without
     * a dynamic linker is held at its first instruction; with a dynamic linker that does not tell debuggers (no symbol
     * {@code _dl_debug_state}), at its entry point, when constructors have run.
     */
    LIBRARIES_LOADED
  }

  /** Lets a launched program run. Without effect if it runs already. */
  public void start() {
    translated(() -> {
      engine.start();
      return Optional.empty();
    });
  }

  /** The process's id in this JVM's pid namespace. */
  public int pid() {
    return engine.pid();
  }

  /** Ids of the threads that the process has now. */
  public List<Integer> threadIds() {
    return translated(engine::threadIds);
  }

  /** The process's memory. */
  public ProcessMemory memory() {
    return engine.memory();
  }

  /** The process's mappings now. */
  public List<MemoryMapping> mappings() {
    return translated(engine::mappings);
  }

  /** Completes when the process ends or the session is closed. */
  public CompletableFuture<ProcessEnd> end() {
    return engine.end().copy();
  }

  /**
   * Registers a probe. Threads that arrive at the instruction from now on run its handler.
   *
   * @param request what to probe and how
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
    return translated(() -> {
      List<Probe> probes = requests.stream().map(request -> new Probe(this, request)).toList();
      var absent = new ArrayList<Probe>();
      engine.register(locate(probes, absent), absent, this::locateWaiting);
      return probes;
    });
  }

  /**
   * Registers handlers at the entry and the return of a function's calls. Calls that are under way already are not
   * observed.
   *
   * @param request the function and the handlers
   * @throws ProbeException if its entry is refused; nothing is changed then
   */
  public <T extends @Nullable Object> ReturnProbe register(ReturnProbeRequest<T> request) {
    return ReturnProbe.register(this, request);
  }

  void unregister(Probe probe) {
    engine.unregister(probe);
  }

  /**
   * Turns locations into addresses, and finds the functions that prove instruction boundaries.
   *
   * @param absent is given the probes whose module is not mapped yet, if they may wait for it
   */
  private List<Engine.Target> locate(Collection<Probe> probes, List<Probe> absent) {
    synchronized (symbols) {
      symbols.update(engine.mappings());
      Map<ProbeLocation.Symbol, Long> starts = new HashMap<>();
      var targets = new ArrayList<Engine.Target>(probes.size());
      for (Probe probe : probes) {
        try {
          long address = switch (probe.location()) {
            case ProbeLocation.Address(long a) -> a;
            case ProbeLocation.Symbol(String module, String symbol, long offset) -> starts.computeIfAbsent(
                new ProbeLocation.Symbol(module, symbol, 0),
                s -> symbols.resolve(s.module(), s.symbol()).address())
                + offset;
          };
          targets.add(new Engine.Target(probe, address, functionAround(address)));
        } catch (SymbolException e) {
          if (!probe.request().whenMapped() || e.reason() != SymbolException.Reason.MODULE_NOT_FOUND) {
            throw e;
          }
          absent.add(probe);
        }
      }
      return targets;
    }
  }

  /** Finds which of the waiting probes have their module now. Tracer thread. */
  private List<Engine.Target> locateWaiting(List<Probe> waiting) {
    var found = new ArrayList<Engine.Target>();
    for (Probe probe : waiting) {
      try {
        found.addAll(locate(List.of(probe), new ArrayList<>()));
      } catch (SymbolException e) {
        // Mapped, but without that function: the probe will never be active.
        engine.failed(probe, ProbeException.of(e));
      }
    }
    return found;
  }

  private Optional<FunctionRange> functionAround(long address) {
    try {
      return symbols.functionContaining(address);
    } catch (SymbolException e) {
      // The module there cannot be read, so no symbol proves anything: the engine refuses with that reason.
      return Optional.empty();
    }
  }

  /**
   * Describes an address for people: {@code libc.so.6:malloc+0x4}, without a symbol {@code libc.so.6+0x1234}, or
   * {@code 0x7f0123456789}.
   *
   * @param address an address in the process
   */
  public String describe(long address) {
    return translated(() -> {
      synchronized (symbols) {
        symbols.update(engine.mappings());
        return symbols.describe(address);
      }
    });
  }

  /** File names of the modules that are mapped now. */
  public List<String> modules() {
    return translated(() -> {
      synchronized (symbols) {
        symbols.update(engine.mappings());
        return symbols.moduleNames();
      }
    });
  }

  /**
   * The functions of a module, in ascending order of address.
   *
   * @param module names the module as {@link ProbeLocation.Symbol} does
   */
  public List<Function> functions(String module) {
    return translated(() -> {
      synchronized (symbols) {
        symbols.update(engine.mappings());
        return symbols.functions(module).stream()
            .map(f -> new Function(f.module().name(), f.names(), f.start(), f
                .size()))
            .toList();
      }
    });
  }

  /**
   * Ends the session: all probes are unregistered, threads that execute a displaced instruction are brought out first,
   * and the process runs on as if it had never been probed. A launched program that was never started starts. Waits for
   * handlers that are running, unless it is called by one; then the session ends when they have returned. Idempotent.
   */
  @Override
  public void close() {
    translated(() -> {
      engine.close();
      return Optional.empty();
    });
  }

  private static <T> T translated(Supplier<T> operation) {
    try {
      return operation.get();
    } catch (PtraceException e) {
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
