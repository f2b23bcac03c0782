package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TraceHandler;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.WaitStatus;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.HeldSignals;
import io.xolotl.xol.tracee.InterruptedCalls;
import io.xolotl.xol.tracee.Tracee;
import java.util.List;

/**
 * What the threads of the process do, as the tracer reports it: decides whose each stop is, and hands it on.
 * Tracer thread only.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
final class Stops implements TraceHandler {

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private final Session session;
  private final Hits hits;
  private final Lineage lineage;
  private final Closing closing;

  Stops(Session session, Hits hits, Lineage lineage, Closing closing) {
    this.session = session;
    this.hits = hits;
    this.lineage = lineage;
    this.closing = closing;
  }

  @Override
  public void stopped(TracedThread thread, WaitStatus.Stopped status) {
    ProbeHit hit = hits.of(thread);
    Tracee tracee = hit.tracee();
    if (closing.isOver()) {
      // It could not be stopped when the session ended, and others live on with the tracer.
      closing.departure(thread.process()).letGo(thread);
      return;
    }
    switch (status) {
      case WaitStatus.Signal(int signal) -> signalled(hit, signal);
      case WaitStatus.Interrupted _ -> {
        session.observeSequence(thread);
        Errands.insist(() -> {
          tracee.leaveIfOutside();
          resume(tracee);
        });
      }
      case WaitStatus.GroupStop _ -> Errands.insist(() -> {
        tracee.leaveIfOutside();
        thread.listen();
      });
      case WaitStatus.Created _ -> {
        // From vfork(2) it comes back when nobody may trace it any more.
        tracee.leaveIfOutside();
        resume(tracee);
        lookForNewcomers();
      }
      case WaitStatus.Executed _, WaitStatus.Exiting _, WaitStatus.Other _ ->
        Errands.insist(() -> resume(tracee));
    }
  }

  /** Lets a thread go on that stopped for nothing it did itself. */
  private static void resume(Tracee tracee) {
    if (tracee.isInterrupted()) {
      InterruptedCalls.restart(tracee);
      tracee.interrupted(false);
    }
    if (tracee.isInCopy()) {
      tracee.detour().resume(tracee, 0);
    } else {
      tracee.thread().cont(0);
    }
  }

  private void signalled(ProbeHit hit, int signal) {
    Tracee tracee = hit.tracee();
    if (signal == Signals.SIGTRAP || tracee.isInCopy()) {
      tracee.readSignal();
      if (signal == Signals.SIGTRAP && tracee.signal().code() == SignalInfo.SI_KERNEL) {
        tracee.leaveAtBreakpoint();
      }
      tracee.leaveIfOutside();
    }
    if (signal != Signals.SIGTRAP) {
      session.observeSequence(tracee.thread());
    }
    boolean fault = (signal == Signals.SIGTRAP || tracee.isInCopy()) && tracee.isFault(signal);
    if (fault && signal == Signals.SIGTRAP) {
      if (tracee.isInCopy()) {
        hits.trappedInCopy(hit);
      } else if (tracee.signal().code() == SignalInfo.SI_KERNEL) {
        hits.arrived(hit);
      } else {
        // The program's own trap flag or debug register.
        hits.deliverTrap(tracee.thread());
      }
    } else if (tracee.isInCopy()) {
      signalledInCopy(tracee, signal, fault);
    } else {
      tracee.heldSignals().restoreOrigin(signal, tracee.signal());
      InterruptedCalls.beforeDelivery(tracee, signal);
      tracee.thread().cont(signal);
    }
  }

  private static void signalledInCopy(Tracee tracee, int signal, boolean fault) {
    TracedThread thread = tracee.thread();
    HeldSignals held = tracee.heldSignals();
    if (fault) {
      tracee.detour().faulted(tracee, signal);
      held.requeueAll();
      thread.cont(signal);
      return;
    }
    held.restoreOrigin(signal, tracee.signal());
    if (thread.isJobControl(signal)) {
      // It builds no frame, and must not be held: see TracedThread.takeJobControl.
      tracee.detour().resume(tracee, signal);
    } else if (tracee.detour().isBeforeSystemCall(tracee)) {
      // Taken out of the kernel's queue it would not interrupt the call, which may block forever.
      tracee.detour().leave(tracee);
      tracee.postpone();
      held.requeueAll();
      thread.cont(signal);
    } else {
      held.hold(tracee.signal());
      tracee.divert(tracee.detour().whenSignalled());
      tracee.detour().resume(tracee, 0);
    }
  }

  /**
   * Somebody has been created with an event; others may have been without. They would die of a breakpoint.
   */
  private void lookForNewcomers() {
    if (session.isClosing()) {
      return;
    }
    try {
      lineage.attachNewcomers();
    } catch (ThreadGoneException e) {
      // There are none any more.
      return;
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.ADDRESS_SPACE_SHARED) {
        throw e;
      }
      LOGGER.log(System.Logger.Level.WARNING, e.getMessage());
    }
  }

  @Override
  public void interrupting(TracedThread thread) {
    hits.of(thread).tracee().interrupted(true);
  }

  @Override
  public void threadStarted(TracedThread thread) {
    lineage.threadStarted(thread);
  }

  @Override
  public void processCreated(TracedProcess parent, TracedProcess child, TracedThread thread,
      boolean sharesMemory) {
    lineage.processCreated(child, thread, sharesMemory);
  }

  @Override
  public void executed(TracedThread thread, List<TracedThread> former) {
    lineage.executed(thread, former);
  }

  @Override
  public void ended(TracedThread thread, WaitStatus.Ended status) {
    hits.forget(thread);
    if (thread.process().threads().isEmpty()) {
      lineage.processEnded(thread.process(), status);
    }
  }
}
