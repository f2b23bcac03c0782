package io.xolotl.cli;

import io.xolotl.ptrace.CxxNames;
import io.xolotl.xol.ModuleFunction;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What {@code -e} asks for: a location, or all functions whose names match. An exact name wins over a
 * pattern, since names may have {@code *} and {@code ?} in them.
 *
 * @param location as it was written
 */
record Wanted(ProbeLocation location) {

  /** C++ names that are read for one pattern, and characters of them. */
  private static final int MOST_READ = 1 << 18;
  private static final long MOST_CHARACTERS = 1 << 28;

  /**
   * Where a process has it.
   *
   * @param locations one, or those that match; none if none matches
   * @param pattern whether they match
   */
  record Found(List<Place> locations, boolean pattern) {}

  /**
   * A location.
   *
   * @param aliases other locations of the function, or names that it shares with others
   */
  record Place(ProbeLocation location, List<String> aliases) {}

  /**
   * Looks for it in a process.
   *
   * @return empty if it is a pattern in a module that is not there
   * @throws ProbeException if its module cannot be read, or may be any of several
   */
  Optional<Found> in(ProbedProcess process) {
    List<ProbeLocation.Symbol> patterns = patterns();
    if (patterns.isEmpty() || isThere(process)) {
      return Optional.of(new Found(List.of(new Place(location, List.of())), false));
    }
    for (ProbeLocation.Symbol pattern : patterns) {
      try {
        return Optional.of(new Found(matching(process.functions(pattern.module()), pattern), true));
      } catch (ProbeException e) {
        if (e.reason() != ProbeException.Reason.MODULE_NOT_FOUND) {
          throw e;
        }
      }
    }
    return Optional.empty();
  }

  private boolean isThere(ProbedProcess process) {
    try {
      process.address(location);
      return true;
    } catch (ProbeException e) {
      return switch (e.reason()) {
        case SYMBOL_NOT_FOUND, MODULE_NOT_FOUND -> false;
        // It is something, and its registration says what is wrong with it.
        default -> true;
      };
    }
  }

  /** All ways to read it as a pattern. */
  private List<ProbeLocation.Symbol> patterns() {
    List<ProbeLocation> readings = location instanceof ProbeLocation.Written written
        ? written.readings()
        : List.of(location);
    var patterns = new ArrayList<ProbeLocation.Symbol>();
    for (ProbeLocation reading : readings) {
      if (reading instanceof ProbeLocation.Symbol symbol && Names.isGlob(symbol.symbol())) {
        patterns.add(symbol);
      }
    }
    return patterns;
  }

  /** Whether it may stand for several. */
  boolean isPattern() {
    return !patterns().isEmpty();
  }

  /** The functions of which a name matches a pattern; a C++ name, if that looks like one. */
  static List<ModuleFunction> matching(List<ModuleFunction> functions, String pattern) {
    Pattern glob = Names.glob(pattern);
    var budget = new Budget(pattern.contains("::") || pattern.contains("<") ? MOST_READ : 0, MOST_CHARACTERS);
    return functions.stream()
        .filter(function -> function.names().stream().anyMatch(name -> budget.matches(glob, name))).toList();
  }

  /** How many C++ names may still be read: they are anyone's, and may be long. */
  private static final class Budget {
    private int names;
    private long characters;

    Budget(int names, long characters) {
      this.names = names;
      this.characters = characters;
    }

    boolean matches(Pattern glob, String name) {
      if (glob.matcher(name).matches()) {
        return true;
      }
      if (names <= 0 || characters <= 0 || !name.startsWith("_Z")) {
        return false;
      }
      if (Thread.currentThread().isInterrupted()) {
        throw new Failure("ended while names were read, before there was a result");
      }
      names--;
      String demangled = CxxNames.demangled(name).orElse("");
      characters -= demangled.length();
      return CxxNames.forms(demangled).stream().anyMatch(form -> glob.matcher(form).matches());
    }
  }

  private static List<Place> matching(List<ModuleFunction> functions, ProbeLocation.Symbol pattern) {
    var result = new ArrayList<Place>();
    for (ModuleFunction function : matching(functions, pattern.symbol())) {
      List<ProbeLocation> locations = function.locations().stream()
          .map(location -> behind(location, pattern.offset())).toList();
      // Names that are others' too are no locations.
      List<String> aliases = locations.getFirst() instanceof ProbeLocation.FileAddress
          ? function.names()
          : locations.stream().skip(1).map(ProbeLocation::toString).toList();
      result.add(new Place(locations.getFirst(), aliases));
    }
    return result;
  }

  private static ProbeLocation behind(ProbeLocation location, long offset) {
    return switch (location) {
      case ProbeLocation.Symbol(String module, String symbol, _) ->
        new ProbeLocation.Symbol(module, symbol, offset);
      case ProbeLocation.FileAddress(String module, long address) ->
        new ProbeLocation.FileAddress(module, address + offset);
      case ProbeLocation.Address _, ProbeLocation.Written _ -> location;
    };
  }
}
