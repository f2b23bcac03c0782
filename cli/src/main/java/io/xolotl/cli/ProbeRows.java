package io.xolotl.cli;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.Probe;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CopyOnWriteArraySet;
import org.jspecify.annotations.Nullable;

/**
 * The probes of a command by what people asked for: one row for each place, whatever names it has, and
 * whichever processes and programs have it. Probes come on the tracer thread, too.
 */
final class ProbeRows {

  /** A place. */
  static final class Row {
    private final String location;
    private final int pid;
    private final Set<String> aliases = new CopyOnWriteArraySet<>();
    private final List<Probe> probes = new CopyOnWriteArrayList<>();

    private Row(String location, int pid) {
      this.location = location;
      this.pid = pid;
    }

    String location() {
      return location;
    }

    /** The process; 0 if the row is about all. */
    int pid() {
      return pid;
    }

    /** Other locations of it. */
    List<String> aliases() {
      return List.copyOf(aliases);
    }

    long hits() {
      return probes.stream().mapToLong(Probe::hits).sum();
    }

    /** The first probe that has a place; null as long as all wait. */
    @Nullable
    Probe placed() {
      return probes.stream().filter(ProbeRows::isPlaced).findFirst().orElse(null);
    }

    /** The address in the first process; empty as long as it is not known. */
    @Nullable
    Long address() {
      Probe placed = placed();
      return placed == null ? null : placed.address();
    }

    @Nullable
    Technique technique() {
      Probe placed = placed();
      return placed == null ? null : placed.technique();
    }
  }

  private final boolean byPid;
  /** By location and process. */
  private final Map<String, Row> rows = new LinkedHashMap<>();
  /** By process and address. */
  private final Map<String, Row> places = new LinkedHashMap<>();

  /** @param byPid whether each process has rows of its own */
  ProbeRows(boolean byPid) {
    this.byPid = byPid;
  }

  /**
   * Adds a probe.
   *
   * @param aliases other locations of it
   */
  synchronized void add(Probe probe, List<String> aliases) {
    int pid = byPid ? probe.process().pid() : 0;
    String location = probe.location().toString();
    String place = isPlaced(probe) ? probe.process().pid() + " " + probe.address() : null;
    Row at = place == null ? null : places.get(place);
    if (at != null && at.probes.stream().anyMatch(other -> isAt(other, probe))) {
      // Another name of what counts already.
      at.aliases.add(location);
      at.aliases.addAll(aliases);
      at.aliases.remove(at.location);
      return;
    }
    Row row = rows.computeIfAbsent(pid + " " + location, _ -> new Row(location, pid));
    row.probes.add(probe);
    row.aliases.addAll(aliases);
    if (place != null) {
      places.put(place, row);
    }
  }

  private static boolean isAt(Probe other, Probe probe) {
    return other.process() == probe.process() && other.isActive() && other.address() == probe.address();
  }

  private static boolean isPlaced(Probe probe) {
    return probe.placedAt().isPresent();
  }

  /** All rows, in the order in which they came. */
  synchronized List<Row> all() {
    return List.copyOf(rows.values());
  }

  /** Whether any probe has ever been at its place. */
  synchronized boolean anyPlaced() {
    return rows.values().stream().anyMatch(row -> row.placed() != null);
  }
}
