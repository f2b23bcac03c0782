package io.xolotl.cli;

import io.xolotl.xol.ForkPolicy;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ProbingOptions;
import io.xolotl.xol.ProcessListener;
import io.xolotl.xol.Registration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;

/**
 * The probes of a command, in its process and in all that comes from it: children, the programs that they
 * execute, and modules that are loaded later.
 */
final class Probing implements ProcessListener {

  private static final int MOST_SAID = 8;

  private final ProbeOptions options;
  private final ProbeOptions.Handlers handlers;
  private final Shell shell;
  private final ProbeRows rows;
  private final Set<ProbedProcess> children = ConcurrentHashMap.newKeySet();
  private final AtomicLong notProbedByEnded = new AtomicLong();
  private volatile boolean closed;
  /** Patterns of which it was said what is refused: of one program is enough. */
  private final Set<Wanted> saidPatterns = ConcurrentHashMap.newKeySet();
  /** By the text of a location: other names of it. */
  private final Map<String, List<String>> aliases = new ConcurrentHashMap<>();
  /** How many locations have been said to be lost. Guarded by itself, as a list. */
  private final List<String> saidLost = new ArrayList<>();

  /** @param byPid whether each process has rows of its own */
  Probing(ProbeOptions options, ProbeOptions.Handlers handlers, Shell shell, boolean byPid) {
    this.options = options;
    this.handlers = handlers;
    this.shell = shell;
    rows = new ProbeRows(byPid);
  }

  ProbeRows rows() {
    return rows;
  }

  /** How the process is to be opened. */
  ProbingOptions of(ProbingOptions some) {
    return options.follows()
        ? some.withForkPolicy(ForkPolicy.FOLLOW_EXEC).withProcessListener(this)
        : some;
  }

  /**
   * Registers all probes of a process together. What is refused is said, and no error as long as anything is
   * probed, or waits to be.
   *
   * @throws Failure if nothing can be probed
   */
  void register(ProbedProcess process) {
    shell.interruption().cuttingShort(() -> {
      registerAll(process);
      return process;
    });
  }

  private void registerAll(ProbedProcess process) {
    // By the text of the location: what several patterns match is registered once.
    var requests = new LinkedHashMap<String, ProbeRequest>();
    var patterns = new HashMap<ProbeRequest, Wanted>();
    var matching = new HashMap<Wanted, Integer>();
    var pending = new ArrayList<Wanted>();
    var problems = new ArrayList<String>();
    for (Wanted wanted : options.wanted()) {
      Wanted.Found found = null;
      try {
        found = wanted.in(process).orElse(null);
      } catch (ProbeException e) {
        if (options.wanted().size() == 1) {
          throw e;
        }
        problems.add(wanted.location() + " is not probed: " + e.getMessage());
        continue;
      }
      if (found == null) {
        pending.add(wanted);
        continue;
      }
      if (found.locations().isEmpty()) {
        problems.add("no function matches '" + wanted.location() + "'; './xolotl list' shows what there is");
      }
      matching.put(wanted, found.locations().size());
      for (Wanted.Place place : found.locations()) {
        String location = place.location().toString();
        if (!requests.containsKey(location)) {
          ProbeRequest request = options.request(place.location(), handlers, !found.pattern());
          requests.put(location, request);
          aliases.put(location, place.aliases());
          if (found.pattern()) {
            patterns.put(request, wanted);
          }
        }
      }
    }
    Registration registration = process.registerPossible(requests.values());
    registration.probes().forEach(this::add);
    boolean told = pending.isEmpty() || follow(process, pending);
    if (registration.probes().isEmpty() && (pending.isEmpty() || !told)) {
      pending.forEach(wanted -> problems.add(wanted.location() + " has no module, and nothing tells of any"));
      fail(registration.refused(), patterns, problems);
    }
    problems.forEach(shell::say);
    sayRefused(registration.refused(), patterns, matching);
    for (Registration.Waiting waiting : registration.waiting()) {
      shell.say(waiting.probe().location()
          + (waiting.why().reason() == ProbeException.Reason.IFUNC_UNRESOLVED
              ? " waits until the process has chosen its implementation"
              : " waits until its module is loaded: " + waiting.why().getMessage()));
    }
    for (Wanted wanted : pending) {
      shell.say(wanted.location() + (told
          ? " waits until its module is loaded"
          : " is not probed: its module is not there, and nothing tells when it is loaded"));
    }
  }

  /** Tries patterns again whenever modules come; returns false if nothing tells of them. */
  private boolean follow(ProbedProcess process, List<Wanted> patterns) {
    var pending = new CopyOnWriteArrayList<>(patterns);
    return process.onModulesChanged(() -> pending.removeIf(wanted -> isRegistered(wanted, process)));
  }

  private static void fail(List<Registration.Refused> refused, Map<ProbeRequest, Wanted> patterns,
      List<String> unmatched) {
    if (refused.size() == 1 && patterns.isEmpty()) {
      throw refused.getFirst().why();
    }
    throw new Failure(refused.isEmpty()
        ? String.join("; ", unmatched)
        : "none of the functions can be probed, so there is nothing to do: " + reasons(refused));
  }

  /** Tries a pattern whose module was not there; on the tracer thread. */
  private boolean isRegistered(Wanted wanted, ProbedProcess process) {
    try {
      Wanted.Found found = wanted.in(process).orElse(null);
      if (found == null) {
        return false;
      }
      // Others may have brought the same, as the program before.
      Set<String> there = process.probes().stream().map(probe -> probe.location().toString())
          .collect(Collectors.toSet());
      var patterns = new LinkedHashMap<ProbeRequest, Wanted>();
      for (Wanted.Place place : found.locations()) {
        if (!there.contains(place.location().toString())) {
          patterns.put(options.request(place.location(), handlers, false), wanted);
          aliases.put(place.location().toString(), place.aliases());
        }
      }
      Registration registration = process.registerPossible(patterns.keySet());
      registration.probes().forEach(this::add);
      if (saidPatterns.add(wanted)) {
        sayRefused(registration.refused(), patterns, Map.of(wanted, found.locations().size()));
      }
    } catch (ProbeException e) {
      shell.say(wanted.location() + " is not probed: " + e.getMessage());
    }
    return true;
  }

  private void add(Probe probe) {
    rows.add(probe, aliases.getOrDefault(probe.location().toString(), List.of()));
  }

  private void sayRefused(List<Registration.Refused> refused, Map<ProbeRequest, Wanted> patterns,
      Map<Wanted, Integer> matching) {
    Map<Wanted, List<Registration.Refused>> byPattern = new HashMap<>();
    for (Registration.Refused each : refused) {
      Wanted pattern = patterns.get(each.request());
      if (pattern == null) {
        shell.say(each.request().location() + " is not probed: " + each.why().getMessage());
      } else {
        byPattern.computeIfAbsent(pattern, _ -> new ArrayList<>()).add(each);
      }
    }
    byPattern.forEach((pattern, some) -> shell.say(some.size() + " of the " + matching.get(pattern)
        + " functions that match " + pattern.location() + " are not probed: " + reasons(some)));
  }

  private static String reasons(List<Registration.Refused> refused) {
    var counts = new EnumMap<ProbeException.Reason, Integer>(ProbeException.Reason.class);
    refused.forEach(each -> counts.merge(each.why().reason(), 1, Integer::sum));
    return counts.entrySet().stream().map(entry -> entry.getValue() + " " + Names.of(entry.getKey()))
        .collect(Collectors.joining(", "));
  }

  /** A probe is over, or will never be, for a reason of the process's. On the tracer thread. */
  void lost(Probe probe, ProbeException why) {
    synchronized (saidLost) {
      String location = probe.location().toString();
      if (saidLost.contains(location) || saidLost.size() >= MOST_SAID) {
        return;
      }
      saidLost.add(location);
    }
    shell.say(probe.location() + " in process " + probe.process().pid() + " is not probed any more: "
        + why.getMessage());
  }

  // On the tracer thread.

  @Override
  public void followed(ProbedProcess parent, ProbedProcess child) {
    if (closed) {
      child.close();
      return;
    }
    children.add(child);
    child.probes().forEach(this::add);
    followPatterns(child);
    child.end().thenRun(() -> ended(child));
  }

  @Override
  public void executed(ProbedProcess process) {
    rows.end(process);
    process.probes().forEach(this::add);
    followPatterns(process);
  }

  /** A program may have what the one before had not. */
  private void followPatterns(ProbedProcess process) {
    List<Wanted> patterns = options.wanted().stream().filter(Wanted::isPattern).toList();
    if (!patterns.isEmpty()) {
      follow(process, patterns);
    }
  }

  /** A child is over, and its sessions with it: what it has counted stays. */
  private void ended(ProbedProcess child) {
    if (children.remove(child)) {
      rows.end(child);
      notProbedByEnded.addAndGet(child.statistics().childrenNotProbed());
    }
  }

  /** Lets all children go, and those that come meanwhile. */
  void close() {
    closed = true;
    while (!children.isEmpty()) {
      for (ProbedProcess child : children) {
        child.close();
        ended(child);
      }
    }
  }

  /** How many processes that came from one ran without probes. */
  long childrenNotProbed(ProbedProcess process) {
    return process.statistics().childrenNotProbed() + notProbedByEnded.get()
        + children.stream().mapToLong(child -> child.statistics().childrenNotProbed()).sum();
  }

  /** Says so to people, if there were any. */
  void sayChildrenNotProbed(ProbedProcess process) {
    long count = childrenNotProbed(process);
    if (count != 0) {
      shell.say(count + (count == 1 ? " process" : " processes") + " that "
          + (options.follows() ? "came from it" : "it created") + " ran without probes"
          + (options.follows() ? "" : "; --follow probes them"));
    }
  }
}
