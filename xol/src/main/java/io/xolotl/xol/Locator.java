package io.xolotl.xol;

import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.elf.Boundary;
import io.xolotl.xol.elf.FunctionBody;
import io.xolotl.xol.elf.FunctionRange;
import io.xolotl.xol.elf.LoadedModule;
import io.xolotl.xol.elf.NonlocalExit;
import io.xolotl.xol.elf.Resolution;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.elf.SymbolResolver;
import io.xolotl.xol.site.Place;
import io.xolotl.xol.site.RestartableSequences;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Turns locations into addresses of a process and back, by the symbols of what it has mapped.
 *
 * <p>Any thread; each method looks at the mappings of the moment. Parsing symbols takes long, so it is done
 * in the thread that asks and not on the tracer thread; whoever parses holds the monitor.
 */
final class Locator {

  private final TracedProcess process;
  private final SymbolResolver symbols;

  Locator(TracedProcess process) {
    this.process = process;
    symbols = new SymbolResolver(process.pid(), List.of(), process.memory()::tryRead);
  }

  /**
   * Turns locations into addresses, and finds out where instructions start.
   *
   * @param absent is given the probes whose module is not mapped yet, if they may wait for it
   * @throws SymbolException if a location names nothing
   */
  synchronized Map<Probe, Place> locate(Collection<Probe> probes, List<Probe> absent) {
    symbols.update(process.mappings());
    Map<ProbeLocation.Symbol, Resolution> known = new HashMap<>();
    var places = new LinkedHashMap<Probe, Place>();
    for (Probe probe : probes) {
      try {
        places.put(probe, switch (probe.location()) {
          case ProbeLocation.Address(long address) -> place(probe, address, null);
          case ProbeLocation.Symbol(String module, String symbol, long offset) -> {
            Resolution function = known.computeIfAbsent(new ProbeLocation.Symbol(module, symbol, 0),
                s -> symbols.resolve(s.module(), s.symbol()));
            // Only a call shows where the implementation of an IFUNC of a stripped library is.
            yield place(probe, function.address() + offset, function.indirect() ? function.function() : null);
          }
        });
      } catch (SymbolException e) {
        if (!probe.request().whenMapped() || e.reason() != SymbolException.Reason.MODULE_NOT_FOUND) {
          throw e;
        }
        absent.add(probe);
      }
    }
    readAhead(places.values());
    return places;
  }

  /**
   * Whole files are read for {@link RestartableSequences}, which is on the tracer thread, and finds them read
   * then.
   */
  private void readAhead(Collection<Place> places) {
    LoadedModule module = null;
    for (Place place : places) {
      if (module == null || Long.compareUnsigned(place.address() - module.start(),
          module.end() - module.start()) >= 0) {
        symbols.abortHandlers(place.address());
        module = symbols.moduleAt(place.address());
      }
    }
  }

  private Place place(Probe probe, long address, @Nullable FunctionRange called) {
    ProbeRequest request = probe.request();
    // Who insists need not wait for a proof.
    return request.place(address,
        request.allowUnverifiedBoundary() ? Boundary.UNPROVEN : boundary(address, called));
  }

  private Boundary boundary(long address, @Nullable FunctionRange called) {
    try {
      return symbols.boundary(address, called);
    } catch (SymbolException e) {
      if (e.reason() == SymbolException.Reason.INTERRUPTED) {
        throw e;
      }
      // The module there cannot be read, so nothing proves anything: the engine refuses with that reason.
      return Boundary.UNPROVEN;
    }
  }

  /** All exits of the function around an address; empty if they are not known. */
  synchronized Optional<FunctionBody> body(long address) {
    symbols.update(process.mappings());
    try {
      return symbols.body(address);
    } catch (SymbolException e) {
      if (e.reason() == SymbolException.Reason.INTERRUPTED) {
        throw e;
      }
      // The module there cannot be read.
      return Optional.empty();
    }
  }

  /** The places where code leaves several functions at once. */
  synchronized List<NonlocalExit> nonlocalExits() {
    symbols.update(process.mappings());
    return symbols.nonlocalExits();
  }

  synchronized boolean isLandingPad(long address) {
    symbols.update(process.mappings());
    return symbols.isLandingPad(address);
  }

  synchronized String describe(long address) {
    symbols.update(process.mappings());
    return symbols.describe(address);
  }

  synchronized List<String> modules() {
    symbols.update(process.mappings());
    return symbols.moduleNames();
  }

  synchronized List<Function> functions(String module) {
    symbols.update(process.mappings());
    return symbols.functions(module).stream()
        .map(f -> new Function(f.module().name(), f.names(), f.start(), f.size()))
        .toList();
  }
}
