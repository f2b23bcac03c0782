package io.xolotl.xol;

import io.xolotl.decoder.Effect;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.elf.Boundary;
import io.xolotl.xol.elf.FunctionBody;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.program.DynamicLinker;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Probes whose place is not known yet, and what looks at all modules. While there are any the session probes
 * the function that the dynamic linker calls for debuggers at each change to its list of libraries; for an
 * IFUNC that is not chosen, the returns of the function that chooses, which has the answer in rax. Tracer
 * thread only.
 */
@TracerThread
final class WaitingProbes {

  /**
   * A probe whose place is not known.
   *
   * @param chooser the function that chooses where it is; 0 if its module is not mapped
   * @param why what cannot be found
   */
  record Absent(Probe probe, long chooser, SymbolException why) {}

  /**
   * Somebody who looks at modules that come.
   *
   * @param user for whom
   * @param isThere whether it still does
   * @param action what is done when modules have come or gone
   */
  record Follower(ProbedProcess user, BooleanSupplier isThere, Runnable action) {}

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private final TracedProcess process;
  private final Locator locator;
  private final ProbeTable table;

  private final List<Absent> waiting = new ArrayList<>();
  /** Those who look at modules that come. */
  private final List<Follower> followers = new ArrayList<>();
  /** On the linker's function; null if nobody has waited for a module. */
  private @Nullable Probe linkerProbe;
  /** By the address of a function that chooses: where it returns. */
  private final Map<Long, List<Probe>> choosers = new HashMap<>();

  WaitingProbes(TracedProcess process, Locator locator, ProbeTable table) {
    this.process = process;
    this.locator = locator;
    this.table = table;
  }

  private List<Absent> waiting() {
    waiting.removeIf(absent -> !absent.probe().isWaiting());
    return List.copyOf(waiting);
  }

  /** What a copy of a probe waits for, in a child that was forked. */
  Optional<Absent> of(Probe original, Probe copy) {
    return waiting().stream().filter(absent -> absent.probe() == original).findFirst()
        .map(absent -> new Absent(copy, absent.chooser(), absent.why()));
  }

  /**
   * Watches what tells when a probe can be placed.
   *
   * @throws ProbeException if nothing would tell
   */
  void checkAwaited(Absent absent) {
    if (absent.chooser() == 0) {
      watchLinker(absent.probe().process(), "the module of " + absent.probe().location());
    } else {
      watchChooser(absent);
    }
  }

  /** If the user of the linker's probe has left, that of another who waits goes on; without any it goes. */
  void keepWatching() {
    for (Absent absent : waiting()) {
      try {
        checkAwaited(absent);
      } catch (ProbeException e) {
        table.failed(absent.probe(), e);
      }
    }
    followers().stream().findFirst().ifPresent(follower -> watchLinker(follower.user()));
    leaveChoosers();
    Probe unneeded = linkerProbe;
    if (unneeded != null && waiting.isEmpty() && followers.isEmpty()) {
      linkerProbe = null;
      table.unregister(List.of(unneeded));
    }
  }

  private List<Follower> followers() {
    followers.removeIf(follower -> !follower.isThere().getAsBoolean());
    return List.copyOf(followers);
  }

  /** Lets somebody look at modules that come; returns false if nothing tells of them. */
  boolean follow(Follower follower) {
    followers.add(follower);
    watchLinker(follower.user());
    return linkerProbe != null && linkerProbe.isActive();
  }

  private void watchLinker(ProbedProcess user) {
    try {
      watchLinker(user, "what comes later");
    } catch (ProbeException e) {
      // No linker that would tell: no module that would come in the way in which others do.
    }
  }

  private void watchLinker(ProbedProcess user, String what) {
    if (linkerProbe != null && linkerProbe.isActive()) {
      return;
    }
    long debugState = DynamicLinker.of(process).debugState();
    if (debugState == 0) {
      throw new ProbeException(ProbeException.Reason.MODULE_NOT_FOUND,
          "process " + process.pid() + " has not mapped " + what
              + ", and has no dynamic linker that would report it later");
    }
    linkerProbe = watch(user, debugState, hit -> mappingsChanged());
  }

  private Probe watch(ProbedProcess user, long address, ProbeHandler handler) {
    ProbeRequest request = ProbeRequest.at(address, handler).trustingBoundary();
    Probe probe = Probe.internal(user, request);
    table.register(Map.of(probe, request.place(address, Boundary.UNPROVEN)));
    return probe;
  }

  private void watchChooser(Absent absent) {
    List<Probe> known = choosers.getOrDefault(absent.chooser(), List.of());
    if (!known.isEmpty() && known.stream().allMatch(Probe::isActive)) {
      return;
    }
    FunctionBody body = locator.body(absent.chooser()).orElse(null);
    // At a jump out of it the answer is not there yet.
    if (body == null || !body.complete() || body.exits().isEmpty()
        || body.exits().stream().anyMatch(exit -> !(exit.effect() instanceof Effect.Return))) {
      throw ProbeException.of(absent.why());
    }
    var exits = new ArrayList<Probe>();
    try {
      for (FunctionBody.Exit exit : body.exits()) {
        exits.add(watch(absent.probe().process(), exit.address(),
            hit -> chosen(absent.chooser(), hit.truncated(hit.registers().rax()))));
      }
    } catch (ProbeException e) {
      table.unregister(exits);
      throw e;
    }
    choosers.put(absent.chooser(), exits);
  }

  /** Takes the probes away at functions whose choice nobody waits for. */
  private void leaveChoosers() {
    for (long chooser : List.copyOf(choosers.keySet())) {
      if (waiting.stream().noneMatch(absent -> absent.chooser() == chooser)) {
        table.unregister(choosers.getOrDefault(chooser, List.of()));
        choosers.remove(chooser);
      }
    }
  }

  /** A function has chosen an implementation, and is about to return its address. */
  private void chosen(long chooser, long implementation) {
    for (Absent absent : waiting()) {
      if (absent.chooser() == chooser) {
        try {
          table.register(Map.of(absent.probe(), locator.placeInCalled(absent.probe(), implementation)));
        } catch (ProbeException e) {
          table.failed(absent.probe(), e);
        } catch (SymbolException e) {
          table.failed(absent.probe(), ProbeException.of(e));
        }
      }
    }
    waiting();
    leaveChoosers();
  }

  /** Modules have come or gone. */
  private void mappingsChanged() {
    table.retireUnmapped();
    for (Follower follower : followers()) {
      try {
        follower.action().run();
      } catch (Throwable e) {
        // A user's, and perhaps in a language without checked exceptions. The others, and those who wait,
        // are told all the same.
        LOGGER.log(System.Logger.Level.ERROR, "what follows the modules of " + process + " failed", e);
      }
    }
    List<Absent> all = waiting();
    waiting.removeAll(all);
    place(all);
    leaveChoosers();
    table.endInSequences();
  }

  /**
   * Places those that can be, together, and lets the others wait.
   *
   * @param all probes that were {@linkplain #checkAwaited checked}, and are not among those that wait
   */
  void place(List<Absent> all) {
    if (all.isEmpty()) {
      return;
    }
    var still = new ArrayList<Absent>();
    // Told when all is done: a listener may close the session.
    Map<Probe, ProbeException> failed = new LinkedHashMap<>();
    try {
      table.register(locator.locate(all.stream().map(Absent::probe).toList(), still,
          // Mapped, but without that function: the probe will never be active.
          (probe, e) -> failed.put(probe, ProbeException.of(e))), failed::put);
    } catch (ProbeException e) {
      all.stream().map(Absent::probe).filter(Probe::isWaiting).forEach(probe -> failed.put(probe, e));
      still.clear();
    }
    for (Absent absent : still) {
      try {
        checkAwaited(absent);
        waiting.add(absent);
      } catch (ProbeException e) {
        failed.put(absent.probe(), e);
      }
    }
    failed.forEach(table::failed);
  }

  /** Nobody waits any more. */
  void giveUp() {
    waiting.forEach(absent -> absent.probe().deactivate());
    choosers.clear();
    followers.clear();
  }
}
