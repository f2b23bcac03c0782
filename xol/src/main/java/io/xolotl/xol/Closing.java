package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.site.SiteException;
import io.xolotl.xol.site.Sites;
import io.xolotl.xol.tracee.Tracee;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The end of a session: the program's bytes go back at once, then the handlers that run are waited for, and
 * then every thread is stopped, brought out of its copy and let go. What fails keeps nothing else from being
 * undone. Tracer thread, but for {@link #takeFailure}.
 */
@TracerThread
final class Closing {

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private final Session session;
  private final Tracer tracer;
  private final TracedProcess process;
  private final CodeArea area;
  private final Sites sites;
  private final WaitingProbes waiting;
  private final Hits hits;
  private final Lineage lineage;

  private boolean closing;
  /** Threads of the process are being stopped, to let it go. */
  private boolean departing;
  /** What could not be undone; for the first who waits for the end. Written before that is reported. */
  private final AtomicReference<@Nullable RuntimeException> failure = new AtomicReference<>();

  Closing(Session session, Tracer tracer, TracedProcess process, CodeArea area, Sites sites,
      WaitingProbes waiting, Hits hits, Lineage lineage) {
    this.session = session;
    this.tracer = tracer;
    this.process = process;
    this.area = area;
    this.sites = sites;
    this.waiting = waiting;
    this.hits = hits;
    this.lineage = lineage;
  }

  boolean isClosing() {
    return closing;
  }

  boolean isDeparting() {
    return departing;
  }

  /** Returns true if the process is let go, or has ended and all handlers have returned. */
  boolean isOver() {
    return session.end().isReached();
  }

  /** What could not be undone, for the first who asks; null if there is nothing. Any thread. */
  @Nullable
  RuntimeException takeFailure() {
    return failure.getAndSet(null);
  }

  /** Ends the session, as soon as no handler runs. Idempotent. */
  void begin() {
    if (!closing) {
      stopProbing();
      finishIfIdle();
    }
  }

  /** Takes all probes away. Idempotent. */
  void stopProbing() {
    if (closing) {
      return;
    }
    closing = true;
    if (session.isHeld()) {
      // Its stop may be the one that Startup has made, whose trap is not for the program.
      process.threads().forEach(thread -> hits.of(thread).tracee().settle(0));
    }
    removeProbes();
  }

  /** The process has ended by itself. */
  void processEnded() {
    closing = true;
    removeProbes();
  }

  private void removeProbes() {
    waiting.giveUp();
    sites.removeAll();
  }

  /** Nobody waits for handlers any more. */
  void abandonHandlers() {
    hits.abandonAll();
    finishIfIdle();
  }

  /** Called whenever something has happened that a session which closes waits for. */
  void finishIfIdle() {
    if (!closing || departing || !hits.isIdle() || isOver()) {
      return;
    }
    departing = true;
    try {
      letGoOfAll();
    } catch (RuntimeException e) {
      failure.set(e);
    } finally {
      session.finished();
    }
  }

  /** The session could not be opened. */
  void giveUp(RuntimeException why) {
    closing = true;
    departing = true;
    try {
      letGoOfAll();
    } catch (RuntimeException left) {
      why.addSuppressed(left);
    }
  }

  /**
   * Brings all threads out of the slots, unmaps these and detaches. Who waits in vfork(2) comes last: while
   * its child runs it cannot be stopped, and may go on at any moment; when the child is stopped it does
   * neither, and the memory is the child's to put right. Children that come meanwhile are cleaned and
   * detached at their first stop, and borrowers kept there.
   *
   * @throws RuntimeException the first of what could not be undone, when everything else is
   */
  private void letGoOfAll() {
    tracer.awaitNewcomers();
    var departures = new ArrayList<Departure>();
    List<TracedProcess> fresh = new ArrayList<>(lineage.takeBorrowers());
    fresh.add(process);
    while (!fresh.isEmpty()) {
      // Asked once of each: the answer may change.
      List<Departure> next = fresh.size() == 1
          ? List.of(departure(fresh.getFirst()))
          : fresh.stream().collect(Collectors.partitioningBy(Closing::waitsForChild)).values().stream()
              .flatMap(List::stream).map(this::departure).toList();
      next.forEach(Departure::stopAll);
      departures.addAll(next);
      fresh = lineage.takeBorrowers();
    }
    SiteException left = sites.removeForGood();
    RuntimeException first = left == null ? null : ProbeException.of(left);
    RuntimeException child = lineage.letGoOfUncleaned();
    first = first == null ? child : first;
    unmapSlots(departures);
    for (Departure departure : departures) {
      try {
        departure.detachAll();
      } catch (PtraceException e) {
        first = first == null ? e : first;
      }
    }
    if (first != null) {
      throw first;
    }
  }

  private static boolean waitsForChild(TracedProcess target) {
    return target.threads().stream().anyMatch(target::waitsForChild);
  }

  Departure departure(TracedProcess target) {
    return new Departure(target, thread -> hits.of(thread).tracee(), sites, area);
  }

  /** Unmaps the slots, unless a thread will come back into one, by itself. */
  void unmapSlots(List<Departure> departures) {
    List<Tracee> left = departures.stream().flatMap(departure -> departure.leftInSlots().stream()).toList();
    for (Tracee tracee : left) {
      try {
        tracee.detour().leaveBehind(tracee.memory());
      } catch (PtraceException e) {
        LOGGER.log(System.Logger.Level.ERROR,
            tracee + " could not be given a way out of its slot, which stays mapped", e);
      }
    }
    if (left.isEmpty()) {
      PtraceException sealed = null;
      for (Departure departure : departures) {
        if (!area.isEmpty()) {
          PtraceException refusal = departure.unmapSlots();
          sealed = refusal == null ? sealed : refusal;
        }
      }
      if (sealed != null && !area.isEmpty()) {
        area.sayThatItStays("process " + process.pid(), sealed);
      }
    }
  }
}
