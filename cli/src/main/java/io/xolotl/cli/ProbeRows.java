package io.xolotl.cli;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The probes of a command by what people asked for: one row for each place, whatever names it has, and
 * whichever processes and programs have it. Several probes at one place count once. Probes come, and
 * processes end, on the tracer thread, too.
 */
final class ProbeRows {

  /**
   * A place, at one moment.
   *
   * @param location as it was asked for
   * @param aliases other locations of it
   * @param pid the process; 0 if the row is about all
   * @param address in the first process that has had it; null as long as none has
   * @param technique likewise
   * @param waits whether a process may have it yet
   * @param hits in all processes and programs
   */
  record Row(String location, List<String> aliases, int pid, @Nullable Long address,
      @Nullable Technique technique, boolean waits, long hits) {}

  /** What is known of a row. */
  private static final class Known {
    final String location;
    final int pid;
    final Set<String> aliases = new LinkedHashSet<>();
    final List<Probe> probes = new ArrayList<>();
    /** Of processes that have ended, and programs that were left. */
    long past;
    @Nullable
    Long address;
    @Nullable
    Technique technique;

    Known(String location, int pid) {
      this.location = location;
      this.pid = pid;
    }

    void look() {
      for (Probe probe : probes) {
        if (address == null && probe.placedAt().isPresent()) {
          address = probe.address();
          technique = probe.technique();
        }
      }
    }

    /** Hits at each place once, whichever of the probes there came first. */
    long hits(@Nullable ProbedProcess only) {
      Map<Place, Long> most = new HashMap<>();
      for (Probe probe : probes) {
        if (probe.placedAt().isPresent() && (only == null || probe.process() == only)) {
          most.merge(Place.of(probe), probe.hits(), Math::max);
        }
      }
      return most.values().stream().mapToLong(Long::longValue).sum();
    }

    void take(Known other) {
      aliases.add(other.location);
      aliases.addAll(other.aliases);
      aliases.remove(location);
      probes.addAll(other.probes);
      past += other.past;
    }
  }

  private record Place(ProbedProcess process, long address) {
    static Place of(Probe probe) {
      return new Place(probe.process(), probe.address());
    }
  }

  private final boolean byPid;
  /** By location and process; several lead to one row where they are one place. */
  private final Map<String, Known> rows = new LinkedHashMap<>();
  private boolean anyPlaced;

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
    Known row = rows.computeIfAbsent(pid + " " + location, _ -> new Known(location, pid));
    if (!row.probes.contains(probe)) {
      row.probes.add(probe);
    }
    row.aliases.addAll(aliases);
    row.aliases.remove(row.location);
  }

  /** Makes one row of those that are at one place. */
  private void join() {
    Map<Place, Known> places = new HashMap<>();
    for (Map.Entry<String, Known> entry : rows.entrySet()) {
      Known row = entry.getValue();
      Known first = row;
      for (Probe probe : row.probes) {
        if (probe.placedAt().isPresent()) {
          Known there = places.get(Place.of(probe));
          first = there == null ? first : there;
        }
      }
      if (first != row) {
        first.take(row);
        Known joined = first;
        rows.replaceAll((_, each) -> each == row ? joined : each);
      }
      for (Probe probe : first.probes) {
        if (probe.placedAt().isPresent()) {
          places.put(Place.of(probe), first);
        }
      }
      first.look();
      anyPlaced |= first.address != null;
    }
  }

  /** The program of a process is over: its probes are forgotten, and their hits kept. */
  synchronized void end(ProbedProcess process) {
    join();
    for (Known row : new LinkedHashSet<>(rows.values())) {
      row.past += row.hits(process);
      row.probes.removeIf(probe -> probe.process() == process);
    }
  }

  /** All rows, in the order in which they came. */
  synchronized List<Row> all() {
    join();
    return new LinkedHashSet<>(rows.values()).stream()
        .map(row -> new Row(row.location, List.copyOf(row.aliases), row.pid, row.address, row.technique,
            row.probes.stream().anyMatch(Probe::isWaiting), row.past + row.hits(null)))
        .toList();
  }

  /** Whether any probe has ever been at its place. */
  synchronized boolean anyPlaced() {
    join();
    return anyPlaced;
  }
}
