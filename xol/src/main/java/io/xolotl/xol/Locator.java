package io.xolotl.xol;

import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.WaitingProbes.Absent;
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
import java.util.function.BiConsumer;
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
   * @param absent is given the probes of which the place cannot be known yet, if they may wait for it
   * @param refused is given the probes whose location names nothing, and why; it may throw that
   */
  synchronized Map<Probe, Place> locate(Collection<Probe> probes, List<Absent> absent,
      BiConsumer<Probe, SymbolException> refused) {
    symbols.update(process.mappings());
    Map<ProbeLocation, Found> known = new HashMap<>();
    var places = new LinkedHashMap<Probe, Place>();
    for (Probe probe : probes) {
      try {
        places.put(probe, place(probe, found(probe.location(), known)));
      } catch (SymbolException e) {
        long chooser = e.reason() == SymbolException.Reason.IFUNC_UNRESOLVED ? chooser(probe.location()) : 0;
        if (probe.request().whenMapped()
            && (chooser != 0 || e.reason() == SymbolException.Reason.MODULE_NOT_FOUND)) {
          absent.add(new Absent(probe, chooser, e));
        } else if (e.reason() == SymbolException.Reason.INTERRUPTED) {
          throw e;
        } else {
          refused.accept(probe, probe.request().whenMapped() ? e : e.orWait());
        }
      }
    }
    readAhead(places.values());
    return places;
  }

  /** The function that chooses where a location is; 0 if there is none. */
  private long chooser(ProbeLocation location) {
    return switch (location) {
      case ProbeLocation.Symbol(String module, String symbol, _) -> symbols.chooser(module, symbol);
      case ProbeLocation.Written written -> {
        for (ProbeLocation reading : written.readings()) {
          try {
            yield chooser(reading);
          } catch (SymbolException e) {
            // It is not read so.
          }
        }
        yield 0;
      }
      case ProbeLocation.Address _, ProbeLocation.FileAddress _ -> 0;
    };
  }

  /**
   * Where a probe goes whose location is in a function that the process is about to call.
   *
   * @param function the implementation that an IFUNC stands for
   */
  synchronized Place placeInCalled(Probe probe, long function) {
    symbols.update(process.mappings());
    long offset = switch (probe.location()) {
      case ProbeLocation.Symbol(_, _, long behind) -> behind;
      case ProbeLocation.Written written -> offset(written);
      case ProbeLocation.Address _, ProbeLocation.FileAddress _ -> 0;
    };
    return place(probe, new Found(function + offset, symbols.called(function)));
  }

  private long offset(ProbeLocation.Written written) {
    for (ProbeLocation reading : written.readings()) {
      try {
        if (chooser(reading) != 0 && reading instanceof ProbeLocation.Symbol symbol) {
          return symbol.offset();
        }
      } catch (SymbolException e) {
        // It is not read so.
      }
    }
    return 0;
  }

  /**
   * Where a location is.
   *
   * @param called the function that starts there, if only a call shows where it is: the implementation of an
   *     IFUNC of a stripped library
   */
  private record Found(long address, @Nullable FunctionRange called) {}

  private Found found(ProbeLocation location, Map<ProbeLocation, Found> known) {
    Found before = known.get(location);
    if (before != null) {
      return before;
    }
    Found found = switch (location) {
      case ProbeLocation.Address(long address) -> new Found(address, null);
      case ProbeLocation.FileAddress(String module, long address) ->
        new Found(symbols.address(module, address), null);
      case ProbeLocation.Symbol(String module, String symbol, long offset) when offset != 0 -> {
        Found function = found(new ProbeLocation.Symbol(module, symbol, 0), known);
        yield new Found(function.address() + offset, function.called());
      }
      case ProbeLocation.Symbol(String module, String symbol, _) -> {
        Resolution function = symbols.resolve(module, symbol);
        yield new Found(function.address(), function.indirect() ? function.function() : null);
      }
      case ProbeLocation.Written written -> found(written, known);
    };
    known.put(location, found);
    return found;
  }

  /** What is written is what it can be read as in this process. */
  private Found found(ProbeLocation.Written written, Map<ProbeLocation, Found> known) {
    SymbolException why = null;
    for (ProbeLocation reading : written.readings()) {
      try {
        return found(reading, known);
      } catch (SymbolException e) {
        switch (e.reason()) {
          case MODULE_NOT_FOUND -> why = why == null ? e : why;
          // The module is there, so that is what was meant; with an offset, in the end.
          case SYMBOL_NOT_FOUND -> why = e;
          default -> throw e;
        }
      }
    }
    if (why == null) {
      throw new IllegalStateException("'" + written + "' cannot be read");
    }
    throw why;
  }

  /** The address of a location. */
  synchronized long address(ProbeLocation location) {
    symbols.update(process.mappings());
    return found(location, new HashMap<>()).address();
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

  private Place place(Probe probe, Found found) {
    ProbeRequest request = probe.request();
    // Who insists need not wait for a proof.
    return request.place(found.address(),
        request.allowUnverifiedBoundary() ? Boundary.UNPROVEN : boundary(found.address(), found.called()));
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

  /** The function that tells where {@code errno} of the C library is that a function belongs to. */
  synchronized long errnoFunction(long function) {
    symbols.update(process.mappings());
    return symbols.errnoFunction(function);
  }

  synchronized String describe(long address) {
    symbols.update(process.mappings());
    return symbols.describe(address);
  }

  synchronized List<String> modules() {
    symbols.update(process.mappings());
    return symbols.moduleNames();
  }

  private static List<ProbeLocation> locations(String module, FunctionRange function) {
    List<String> names = function.uniqueNames();
    return names.isEmpty()
        ? List.of(new ProbeLocation.FileAddress(module, function.start() - function.module().bias()))
        : names.stream().map(name -> (ProbeLocation) new ProbeLocation.Symbol(module, name, 0)).toList();
  }

  synchronized List<ModuleFunction> functions(String module) {
    symbols.update(process.mappings());
    return symbols.functions(module).stream()
        .map(f -> new ModuleFunction(f.module().name(), f.names(), f.start(), f.size(), locations(module, f)))
        .toList();
  }
}
