package io.xolotl.xol;

import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.program.SupportedProcess;
import io.xolotl.xol.site.Place;
import io.xolotl.xol.site.Preparation;
import io.xolotl.xol.site.SequenceGuard;
import io.xolotl.xol.site.Site;
import io.xolotl.xol.site.SiteException;
import io.xolotl.xol.site.Sites;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Which probes are at a site: an array that is attached to it, copied when it changes, since a hit goes
 * through the probes that it found. Tracer thread only.
 */
@TracerThread
final class ProbeTable {

  private static final Probe[] NONE = {};
  private static final int MOST_ROUNDS = 16;

  private final TracedProcess process;
  private final Sites sites;
  private final Preparation preparation;
  private final SequenceGuard sequences;
  private final Handlers handlers;
  private final SessionStatistics statistics;
  private final BiConsumer<Site, SiteException> whenInSequence = (site, why) -> end(site,
      ProbeException.of(why));

  ProbeTable(TracedProcess process, Sites sites, Preparation preparation, SequenceGuard sequences,
      Handlers handlers, SessionStatistics statistics) {
    this.process = process;
    this.sites = sites;
    this.preparation = preparation;
    this.sequences = sequences;
    this.handlers = handlers;
    this.statistics = statistics;
  }

  static Probe[] at(Site site) {
    return site.attachment() instanceof Probe[] probes ? probes : NONE;
  }

  /**
   * Registers all or none: everything that can be refused is, before the first breakpoint is written.
   *
   * @throws ProbeException if one of them cannot be probed
   */
  void register(Map<Probe, Place> places) {
    register(places, (_, why) -> {
      throw why;
    });
  }

  /**
   * Registers all that can be, together.
   *
   * @param refused is given each of the others, and why; it may throw that
   * @throws ProbeException if none can be
   */
  void register(Map<Probe, Place> places, BiConsumer<Probe, ProbeException> refused) {
    SupportedProcess.refusal(process.pid()).ifPresent(refusal -> {
      throw new ProbeException(ProbeException.Reason.UNSUPPORTED_PROCESS, refusal);
    });
    Map<Probe, Place> rest = new LinkedHashMap<>(places);
    for (int round = 1; !rest.isEmpty(); round++) {
      try {
        tryToRegister(rest, refused);
        return;
      } catch (SiteException e) {
        // The program has changed its code there meanwhile; nothing is registered.
        List<Probe> there = rest.entrySet().stream()
            .filter(entry -> entry.getValue().address() == e.address())
            .map(Map.Entry::getKey).toList();
        ProbeException why = translated(e);
        if (there.isEmpty()) {
          throw why;
        }
        // A program that changes its code each time is not to be followed for ever.
        for (Probe probe : round < MOST_ROUNDS ? there : List.copyOf(rest.keySet())) {
          rest.remove(probe);
          refused.accept(probe, why);
        }
      } catch (RuntimeException e) {
        throw translated(e);
      }
    }
  }

  /** Takes those out that are refused before anything is written. */
  private void tryToRegister(Map<Probe, Place> places, BiConsumer<Probe, ProbeException> refused) {
    List<Probe> probes = List.copyOf(places.keySet());
    Preparation.Prepared prepared = preparation.prepare(List.copyOf(places.values()), (why, i) -> {
      places.remove(probes.get(i));
      refused.accept(probes.get(i), translated(why));
    });
    try {
      for (int i = 0; i < probes.size(); i++) {
        Site site = prepared.chosen().get(i);
        if (site != null) {
          site.attachment(with(at(site), probes.get(i)));
          probes.get(i).activate(site);
        }
      }
      sites.install(prepared.fresh());
    } catch (RuntimeException e) {
      // Not over: others may be registered without what has failed.
      takeOut(probes, Probe::suspend);
      sites.discard(prepared.fresh());
      throw e;
    }
  }

  private ProbeException translated(RuntimeException e) {
    if (Sites.mappingsOf(process).isEmpty()) {
      return ProbeException.gone(process.pid());
    }
    return switch (e) {
      case SiteException refusal -> ProbeException.of(refusal);
      case ErrandException failure -> ProbeException.of(failure, process.pid());
      case ProbeException known -> known;
      default -> throw e;
    };
  }

  private static Probe[] with(Probe[] known, Probe fresh) {
    Probe[] all = Arrays.copyOf(known, known.length + 1);
    int place = known.length;
    for (; place > 0 && known[place - 1].isLast() && !fresh.isLast(); place--) {
      all[place] = known[place - 1];
    }
    all[place] = fresh;
    return all;
  }

  /**
   * Without effect on those that were unregistered already, or whose program is gone.
   *
   * @throws ProbeException if a breakpoint cannot be taken out of memory: it has no effect any more, and goes
   *     when the session ends
   */
  void unregister(Collection<Probe> probes) {
    takeOut(probes, Probe::deactivate);
  }

  private void takeOut(Collection<Probe> probes, Consumer<Probe> how) {
    var unused = new ArrayList<Site>();
    var left = new ArrayList<Site>();
    for (Probe probe : probes) {
      boolean placed = probe.isActive();
      how.accept(probe);
      Site site = placed ? sites.at(probe.address()) : null;
      if (site != null && removeFrom(site, probe) && !site.isGuard()) {
        unused.add(site);
        Site guard = site.leaveGuard();
        if (guard != null && at(guard).length == 0) {
          left.add(guard);
        }
      }
    }
    try {
      sites.remove(unused);
      // Behind those that they guarded.
      sites.remove(left);
    } catch (SiteException e) {
      throw ProbeException.of(e);
    }
  }

  /** Takes a probe from a site; returns true if it was the last there. */
  private static boolean removeFrom(Site site, Probe probe) {
    Probe[] known = at(site);
    Probe[] rest = Arrays.stream(known).filter(each -> each != probe).toArray(Probe[]::new);
    site.attachment(rest);
    return rest.length == 0 && known.length > 0;
  }

  /** Ends the probes whose memory is unmapped. */
  void retireUnmapped() {
    sites.retireUnmapped();
  }

  /** Nobody can hit a site any more. */
  static void deactivate(Site site) {
    for (Probe probe : at(site)) {
      probe.deactivate();
    }
    // Where the breakpoint cannot be taken out the site stays, and may get others.
    site.attachment(NONE);
  }

  /** Takes a site out, and tells the users of its probes why. */
  void end(Site site, ProbeException why) {
    Probe[] probes = at(site);
    sites.withdraw(List.of(site));
    for (Probe probe : probes) {
      failed(probe, why);
    }
  }

  /** A probe is over, or will never be active, for a reason that its user has not asked for. */
  void failed(Probe probe, ProbeException why) {
    probe.deactivate();
    statistics.lost(why.reason());
    handlers.reportError(probe, why);
  }

  /**
   * A thread has hit a breakpoint behind which the program has changed its code: displaces what is there now,
   * or ends the probes.
   *
   * @return the site with the same probes as it is now; null if there is none any more, and the thread
   *     executes what is there
   */
  @Nullable
  Site refreshed(Site stale) {
    List<MemoryMapping> mappings = process.mappings();
    if (!sites.isIntact(stale, mappings)) {
      sites.withdraw(List.of(stale));
      return null;
    }
    Probe[] probes = at(stale);
    try {
      ProbeRequest request = probes.length == 0 ? null : probes[0].request();
      Optional<Technique> technique = request == null ? Optional.empty() : request.technique();
      Site fresh = preparation.renew(stale, request == null ? stale.policy : request.policy(), technique,
          mappings);
      fresh.attachment(probes);
      sites.replace(stale, fresh);
      for (Probe probe : probes) {
        probe.activate(fresh);
      }
      return fresh;
    } catch (SiteException e) {
      end(stale, ProbeException.of(e));
    } catch (ErrandException e) {
      // It says nothing of the thread that has hit, which must go on.
      String why = ProbeException.of(e, process.pid()).getMessage();
      end(stale, ProbeException.of(Preparation.changed(stale.address(), why)));
    }
    return null;
  }

  // Restartable sequences.

  /** Takes note of what a stopped thread says of restartable sequences, and ends the probes in such. */
  void observeSequence(TracedThread thread) {
    sequences.observe(thread);
    endInSequences();
  }

  /** Ends the probes in sequences that have become known. */
  void endInSequences() {
    sequences.endInSequences(whenInSequence);
  }

  /** Returns true if a thread that has hit a site is in a sequence; its probes end, and those around it. */
  boolean endInSequence(TracedThread thread, Site site) {
    return sequences.endInSequence(thread, site, whenInSequence);
  }

  /** The address space is gone: the process has ended or executed another program. */
  void forgetAll() {
    sites.forgetAll();
    sequences.forget();
  }
}
