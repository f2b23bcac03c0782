package io.xolotl.xol;

import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.elf.FunctionRange;
import io.xolotl.xol.elf.LoadedModule;
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
   * Turns locations into addresses, and finds the functions that prove instruction boundaries.
   *
   * @param absent is given the probes whose module is not mapped yet, if they may wait for it
   * @throws SymbolException if a location names nothing
   */
  synchronized Map<Probe, Place> locate(Collection<Probe> probes, List<Probe> absent) {
    symbols.update(process.mappings());
    Map<ProbeLocation.Symbol, FunctionRange> known = new HashMap<>();
    var places = new LinkedHashMap<Probe, Place>();
    for (Probe probe : probes) {
      try {
        places.put(probe, switch (probe.location()) {
          case ProbeLocation.Address(long address) ->
            probe.request().place(address, functionAround(address));
          case ProbeLocation.Symbol(String module, String symbol, long offset) -> {
            FunctionRange function = known.computeIfAbsent(new ProbeLocation.Symbol(module, symbol, 0),
                s -> symbols.resolve(s.module(), s.symbol()).function());
            long address = function.start() + offset;
            // Only a call shows where the implementation of an IFUNC of a stripped library is: it starts an
            // instruction.
            Optional<FunctionRange> around = functionAround(address).or(() -> Optional.of(function)
                .filter(f -> Long.compareUnsigned(address - f.start(), f.size()) < 0));
            yield probe.request().place(address, around);
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

  private Optional<FunctionRange> functionAround(long address) {
    try {
      return symbols.functionContaining(address);
    } catch (SymbolException e) {
      // The module there cannot be read, so no symbol proves anything: the engine refuses with that reason.
      return Optional.empty();
    }
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
