package io.xolotl.xol;

import io.xolotl.decoder.Effect;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.Tracer;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.site.Site;
import io.xolotl.xol.site.SiteException;
import io.xolotl.xol.site.Sites;
import io.xolotl.xol.tracee.Detour;
import io.xolotl.xol.tracee.Tracee;
import io.xolotl.xol.tracee.TrapAction;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;

/**
 * The life of a hit, from top to bottom: a thread has stopped at a breakpoint; whose it is; the handlers run;
 * the displaced instruction is executed, and the thread goes on. Breakpoints stay in memory meanwhile, so
 * that no other thread can pass one unseen. In interrupt context nothing is allocated on the way.
 *
 * <p>Owned by the tracer thread, but for {@link #all}.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
final class Hits {

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());
  private static final Probe[] NONE = {};

  private final Session session;
  private final Tracer tracer;
  private final Sites sites;
  private final ProbeTable table;
  private final TrapAction trapAction;
  private final Handlers handlers;
  private final SessionStatistics statistics;

  /**
   * All threads that handlers may run for on the executor. Written by the tracer thread, read by those who
   * wait.
   */
  private final Set<ProbeHit> all = ConcurrentHashMap.newKeySet();

  /**
   * Threads whose handlers run. An identity map has no node for each entry, to be allocated for each hit.
   */
  private final Set<ProbeHit> handling = Collections.newSetFromMap(new IdentityHashMap<>());

  Hits(Session session, Tracer tracer, Sites sites, ProbeTable table, TrapAction trapAction,
      Handlers handlers, SessionStatistics statistics) {
    this.session = session;
    this.tracer = tracer;
    this.sites = sites;
    this.table = table;
    this.trapAction = trapAction;
    this.handlers = handlers;
    this.statistics = statistics;
  }

  /** What is known of a thread. */
  ProbeHit of(TracedThread thread) {
    if (thread.attachment() instanceof ProbeHit known) {
      return known;
    }
    var hit = new ProbeHit(session, thread, this::handlerReturned);
    thread.attachment(hit);
    all.add(hit);
    return hit;
  }

  /** A thread has stopped for an int3, whoever has put that there. */
  void arrived(ProbeHit hit) {
    Tracee tracee = hit.tracee();
    tracee.readRegisters();
    long address = tracee.registers().rip() - 1;
    Site site = sites.at(address);
    if (site != null && !site.runsIn(tracee.registers())) {
      endInOtherCode(tracee, site);
      return;
    }
    if (site != null && site.isWatched() && table.endInSequence(tracee.thread(), site)) {
      goOnAt(tracee, address);
      return;
    }
    if (site != null && !sites.isFresh(site, tracee.thread())) {
      site = table.refreshed(site);
    }
    if (site == null) {
      arrivedAtNoSite(tracee, address);
      return;
    }
    trapAction.afterTrap(tracee.thread());
    tracee.registers().rip(address);
    tracee.pin(site.displacement.lease());
    handling.add(hit);
    hit.arrive(site, tracee.resumesPostponedHit() ? NONE : ProbeTable.at(site));
    nextHandler(hit);
  }

  /** Runs the handlers that are left of a hit, until one goes to the executor. */
  private void nextHandler(ProbeHit hit) {
    for (Probe probe = hit.nextProbe(); probe != null; probe = hit.nextProbe()) {
      if (!probe.isActive() || probe.isWornOut() || !handlers.accepts(probe, hit.tracee())) {
        continue;
      }
      long number = probe.countHit();
      if (probe.isUsers()) {
        hit.countHandler();
      }
      switch (probe.context()) {
        case INTERRUPT -> handlers.run(hit, probe, number);
        case TASK -> {
          if (handlers.handOver(hit, probe, number)) {
            return;
          }
        }
      }
    }
    finish(hit);
  }

  /**
   * Goes on with a hit whose handler ran elsewhere. A thread can be killed while its handler runs; its end
   * has been, or will be, reported. And another thread may have executed a program: of a process's first
   * thread that is reported to nobody, and its id is the other thread's now (ptrace(2), "execve(2) under
   * ptrace"), whose registers are none of the handler's. It is then in another stop than that of the
   * breakpoint.
   */
  private void handlerReturned(ProbeHit hit) {
    try {
      Tracee tracee = hit.tracee();
      if (!tracee.hasEnded() && tracee.thread().tid() == tracee.thread().process().pid()
          && !isAtBreakpoint(tracee)) {
        tracee.end();
      }
      nextHandler(hit);
    } catch (ThreadGoneException e) {
      return;
    }
  }

  private static boolean isAtBreakpoint(Tracee tracee) {
    try {
      tracee.readSignal();
      return tracee.signal().signal() == Signals.SIGTRAP && tracee.signal().code() == SignalInfo.SI_KERNEL;
    } catch (ThreadGoneException e) {
      return false;
    }
  }

  /** All handlers have returned. */
  private void finish(ProbeHit hit) {
    Tracee tracee = hit.tracee();
    Site site = hit.site();
    try {
      try {
        if (!tracee.hasEnded()) {
          // Still among those that are handled: a listener may end the session.
          writeWhatMayBeRefused(hit);
        }
      } finally {
        handling.remove(hit);
      }
      if (tracee.hasEnded()) {
        all.remove(hit);
      } else if (session.isClosing() || !site.isInstalled() || tracee.registers().rip() != site.address()) {
        // Skipped by a handler, or the instruction is in its place again.
        tracee.release();
        tracee.writeRegistersIfChanged();
        if (session.isClosing()) {
          tracee.settle(0);
        } else {
          tracee.resume(0);
        }
      } else {
        displace(tracee, site);
      }
    } finally {
      if (!tracee.isInCopy()) {
        tracee.release();
      }
      statistics.hit(hit.handlers(), System.nanoTime() - hit.stoppedAt());
      // Also where a request has failed: a session that closes waits for nothing else.
      session.hitFinished();
    }
  }

  /** Executes the instruction; from a copy the thread comes back by its next trap. */
  private void displace(Tracee tracee, Site site) {
    tracee.noteTrapFlag();
    switch (site.displacement.execute(tracee)) {
      case DONE -> {
        tracee.release();
        tracee.resumeBehind(site.effect() instanceof Effect.SystemCall);
      }
      case IN_COPY, FAULTED -> {
        // It runs.
      }
      case IMPOSSIBLE -> {
        endWithoutCopy(site);
        tracee.release();
        tracee.writeRegistersIfChanged();
        tracee.resume(0);
      }
    }
  }

  /** A trap of ours has stopped a thread in its copy. */
  void trappedInCopy(ProbeHit hit) {
    Tracee tracee = hit.tracee();
    trapAction.afterTrap(tracee.thread());
    Detour detour = tracee.detour();
    if (detour.trapped(tracee) == Detour.Progress.DONE) {
      if (hit.site().isWatched()) {
        // A listener that is told may end the session, and then the trap must not be taken for the program's.
        tracee.settle(0);
        // In front of a sequence it would be aborted, and come back here, each time.
        session.observeSequence(tracee.thread());
      }
      tracee.resumeBehind(detour.isSystemCall());
    }
  }

  // Where the life of a hit ends early.

  private void arrivedAtNoSite(Tracee tracee, long address) {
    if (sites.wasRemovedFrom(tracee.thread(), address) || sites.wasMovedTo(address)) {
      // The thread executed our int3 before it was taken out.
      goOnAt(tracee, address);
    } else {
      deliverTrap(tracee.thread());
    }
  }

  /** A thread has executed an int3 of ours, and the instruction is whole again. */
  private void goOnAt(Tracee tracee, long address) {
    trapAction.afterTrap(tracee.thread());
    tracee.registers().rip(address);
    tracee.writeRegistersIfChanged();
    tracee.resume(0);
  }

  /** A trap is the program's own. */
  void deliverTrap(TracedThread thread) {
    trapAction.beforeDelivery(thread);
    thread.cont(Signals.SIGTRAP);
  }

  /**
   * A thread has arrived at a site by a far branch, in code of another kind than the site's: there the bytes
   * are another instruction, about which nothing was decided. The probes end, and the thread executes what
   * the program has there.
   */
  private void endInOtherCode(Tracee tracee, Site site) {
    table.end(site, new ProbeException(ProbeException.Reason.OTHER_CODE, site.address(),
        "thread " + tracee.thread().tid() + " executes " + SiteException.hex(site.address())
            + " as code for cs=" + SiteException.hex(tracee.registers().get(UserRegister.CS)) + ", but '"
            + site.instruction.text() + "' was decoded as " + site.instruction.mode().widthBits()
            + "-bit code: the probe is removed"));
    goOnAt(tracee, site.address());
  }

  /**
   * The memory access of an emulated instruction faults, or grows the stack, as only the CPU can do it, and
   * seccomp allows no memory for a copy that it could execute: the probes end, and the instruction is
   * executed in its place.
   */
  private void endWithoutCopy(Site site) {
    Probe[] probes = ProbeTable.at(site);
    sites.withdraw(List.of(site));
    var end = new ProbeException(ProbeException.Reason.SECCOMP, site.address(),
        "'" + site.instruction.text() + "' at " + SiteException.hex(site.address()) + " in " + session
            + " accesses memory that is not mapped (yet), and seccomp allows no memory to be mapped for a"
            + " copy of it: the probe is removed");
    // When the thread has gone on: a listener may end the session.
    tracer.execute(() -> {
      for (Probe probe : probes) {
        table.failed(probe, end);
      }
    });
  }

  /**
   * The kernel refuses some of what handlers can make of vectors and segments, a base that is no user's
   * address for instance: the thread goes on without that. The other registers are left as they are
   * meanwhile, since PTRACE_SETREGSET sets what lies in front of that which it refuses.
   */
  private void writeWhatMayBeRefused(ProbeHit hit) {
    try {
      hit.flushVectorState();
    } catch (PtraceException e) {
      refused(hit, "vector registers", e);
    }
    Tracee tracee = hit.tracee();
    Registers wanted = tracee.registers();
    if (!wanted.isSegmentChanged()) {
      return;
    }
    var actual = new Registers();
    var segments = new Registers();
    tracee.thread().readRegisters(actual);
    segments.copyFrom(wanted);
    segments.setAllButSegments(actual);
    PtraceException refusal = null;
    try {
      tracee.thread().writeRegisters(segments);
    } catch (PtraceException e) {
      refusal = e;
    }
    tracee.thread().readRegisters(actual);
    actual.setAllButSegments(wanted);
    wanted.copyFrom(actual);
    if (refusal != null) {
      refused(hit, "segment registers", refusal);
    }
  }

  private void refused(ProbeHit hit, String what, PtraceException e) {
    if (e instanceof ThreadGoneException) {
      throw e;
    }
    long address = hit.site().address();
    handlers.reportError(Objects.requireNonNull(hit.latestProbe()),
        new ProbeException(ProbeException.Reason.SYSTEM_ERROR, address,
            "the " + what + " that handlers have set in thread " + hit.tracee().thread().tid() + " at "
                + SiteException.hex(address) + " are refused and dropped: " + e.getMessage()));
  }

  // For those who wait, and for the end.

  /** All threads that handlers may run for on the executor. Any thread. */
  Collection<ProbeHit> all() {
    return all;
  }

  /** Returns true if no handler runs. */
  boolean isIdle() {
    return handling.isEmpty();
  }

  /** A thread is gone. If its handler runs, that keeps what it has pinned. */
  void forget(TracedThread thread) {
    ProbeHit hit = of(thread);
    hit.tracee().end();
    if (!hit.tracee().isHandling()) {
      hit.tracee().release();
      all.remove(hit);
    }
  }

  /**
   * Nobody waits for handlers any more: lets the threads whose handlers run go on as if these had not been
   * called, but for what they did to memory.
   */
  void abandonAll() {
    abandon(_ -> true);
    handling.clear();
  }

  /** The same for threads of other processes than one. */
  void abandonAllBut(TracedProcess process) {
    abandon(hit -> hit.tracee().thread().process() != process);
  }

  private void abandon(Predicate<ProbeHit> which) {
    handling.stream().filter(which).forEach(Hits::abandon);
  }

  /** What fails is tried again, and then left for the other threads' sake. */
  private static void abandon(ProbeHit hit) {
    Tracee tracee = hit.tracee();
    tracee.end();
    try {
      Errands.insist(() -> {
        // The thread's own registers: those of the tracee are the handler's.
        var registers = new Registers();
        tracee.thread().readRegisters(registers);
        registers.rip(hit.site().address());
        tracee.thread().writeRegisters(registers);
        tracee.settle(0);
      });
    } catch (ThreadGoneException e) {
      // Its end is reported in its turn.
      return;
    } catch (PtraceException e) {
      LOGGER.log(System.Logger.Level.ERROR, tracee + " could not be moved back to the probed instruction", e);
    }
  }
}
