package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.site.SiteException;
import io.xolotl.xol.site.Sites;
import io.xolotl.xol.tracee.Tracee;
import io.xolotl.xol.tracee.TrapAction;
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

  /** In nanoseconds. */
  private static final long MOMENT = 250_000_000;

  private final Session session;
  private final Tracer tracer;
  private final TracedProcess process;
  private final CodeArea area;
  private final Sites sites;
  private final TrapAction trapAction;
  private final WaitingProbes waiting;
  private final Hits hits;
  private final Lineage lineage;
  /** Does something in a thread of the process itself. */
  private final CodeArea.InSomeThread ownThreads;

  private boolean closing;
  /** Until when a child of vfork is waited for; 0 before that begins. */
  private long childUntil;
  /** It is in the tracer's queue to look again. */
  private boolean looksAgain;
  private boolean givesBack;
  /** The process keeps our handler. */
  private boolean givenUp;
  /** Threads of the process are being stopped, to let it go. */
  private boolean departing;
  /** What could not be undone; for the first who waits for the end. Written before that is reported. */
  private final AtomicReference<@Nullable RuntimeException> failure = new AtomicReference<>();

  Closing(Session session, Tracer tracer, TracedProcess process, CodeArea area, Sites sites,
      TrapAction trapAction, CodeArea.InSomeThread ownThreads, WaitingProbes waiting, Hits hits,
      Lineage lineage) {
    this.session = session;
    this.tracer = tracer;
    this.process = process;
    this.area = area;
    this.sites = sites;
    this.trapAction = trapAction;
    this.ownThreads = ownThreads;
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
    if (!closing || departing || !hits.isIdle() || isOver() || !isActionGivenBack()) {
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

  /**
   * The process gets its action for SIGTRAP back in a thread of its own only, and none can be stopped while
   * all wait for children of vfork. Such a child mostly executes a program at once, and is given a moment for
   * that.
   *
   * @return false if the end has to wait
   */
  private boolean isActionGivenBack() {
    if (!trapAction.isInstalled() || givenUp || process.threads().isEmpty()) {
      return true;
    }
    if (givesBack) {
      // What is handled meanwhile comes here, too.
      return false;
    }
    givesBack = true;
    childUntil = childUntil == 0 ? System.nanoTime() + MOMENT : childUntil;
    try {
      ownThreads.run(thread -> {
        trapAction.giveBack(thread);
        return 0;
      });
      return true;
    } catch (ErrandException | PtraceException e) {
      boolean forbidden = e instanceof ErrandException errand && errand.isForbidden();
      if (forbidden || System.nanoTime() - childUntil > 0) {
        givenUp = true;
        LOGGER.log(System.Logger.Level.WARNING, process
            + " keeps our handler for SIGTRAP, which hands on to its own: " + e.getMessage());
        return true;
      }
    } finally {
      givesBack = false;
    }
    if (!looksAgain) {
      looksAgain = true;
      tracer.execute(() -> {
        looksAgain = false;
        finishIfIdle();
      });
    }
    return false;
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
    return new Departure(target, thread -> hits.of(thread).tracee(), sites, area, trapAction);
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
        // Each process has its own actions, also where they share the memory.
        PtraceException refusal = departure.giveActionBack();
        sealed = refusal == null ? sealed : refusal;
      }
      for (Departure departure : departures) {
        if (sealed == null && (!area.isEmpty() || trapAction.isInstalled())) {
          sealed = departure.unmapMemory(!givenUp);
        }
      }
      if (sealed != null && !area.isEmpty()) {
        area.sayThatItStays("process " + process.pid(), sealed);
      }
    }
  }
}
