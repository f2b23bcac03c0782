package io.xolotl.xol;

import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.elf.Boundary;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.program.DynamicLinker;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Probes whose module is not mapped yet, and return probes that look at all modules. While there are any the
 * session probes the function that the dynamic linker calls for debuggers at each change to its list of
 * libraries. Tracer thread only.
 */
@TracerThread
final class WaitingProbes {

  private final TracedProcess process;
  private final Locator locator;
  private final ProbeTable table;

  private final List<Probe> waiting = new ArrayList<>();
  private final Set<ReturnProbe> followers = new LinkedHashSet<>();
  /** On the linker's function; null if nobody has waited for a module. */
  private @Nullable Probe linkerProbe;

  WaitingProbes(TracedProcess process, Locator locator, ProbeTable table) {
    this.process = process;
    this.locator = locator;
    this.table = table;
  }

  private List<Probe> waiting() {
    waiting.removeIf(probe -> !probe.isWaiting());
    return List.copyOf(waiting);
  }

  /**
   * Lets probes wait for their modules, besides those that do already.
   *
   * @throws ProbeException if there is no dynamic linker that would tell
   */
  void watchLinkerFor(List<Probe> absent) {
    var all = new ArrayList<Probe>(waiting());
    all.addAll(absent);
    followers.removeIf(probe -> !probe.isActive());
    followers.forEach(probe -> all.add(probe.entry()));
    if (!all.isEmpty() && (linkerProbe == null || !linkerProbe.isActive())) {
      Probe any = all.getFirst();
      long debugState = DynamicLinker.of(process).debugState();
      if (debugState == 0) {
        throw new ProbeException(ProbeException.Reason.MODULE_NOT_FOUND,
            "process " + process.pid() + " has not mapped the module of " + any.location()
                + ", and has no dynamic linker that would report it later");
      }
      // If its user leaves, the session asks again for those that go on waiting.
      ProbeRequest request = ProbeRequest.at(debugState, hit -> mappingsChanged()).trustingBoundary();
      var probe = new Probe(any.process(), request);
      table.register(Map.of(probe, request.place(debugState, Boundary.UNPROVEN)));
      linkerProbe = probe;
    }
    waiting.addAll(absent);
  }

  /** Tells a return probe when modules have come, until it is over. */
  void follow(ReturnProbe probe) {
    followers.add(probe);
    try {
      watchLinkerFor(List.of());
    } catch (ProbeException e) {
      // No linker that would tell: no module that would come in the way in which others do.
      followers.remove(probe);
    }
  }

  /** Modules have come or gone. */
  void mappingsChanged() {
    table.retireUnmapped();
    followers.removeIf(probe -> !probe.isActive());
    List.copyOf(followers).forEach(ReturnProbe::modulesChanged);
    for (Probe probe : waiting()) {
      try {
        table.register(locator.locate(List.of(probe), new ArrayList<>()));
      } catch (ProbeException e) {
        table.failed(probe, e);
      } catch (SymbolException e) {
        // Mapped, but without that function: the probe will never be active.
        table.failed(probe, ProbeException.of(e));
      }
    }
    table.endInSequences();
  }

  /** Nobody waits any more. */
  void giveUp() {
    waiting.forEach(Probe::deactivate);
  }
}
