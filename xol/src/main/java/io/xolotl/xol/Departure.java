package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.WaitStatus;
import io.xolotl.ptrace.WaitStatus.Created;
import io.xolotl.ptrace.WaitStatus.Executed;
import io.xolotl.ptrace.WaitStatus.Exiting;
import io.xolotl.ptrace.WaitStatus.GroupStop;
import io.xolotl.ptrace.WaitStatus.Interrupted;
import io.xolotl.ptrace.WaitStatus.Other;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.site.Sites;
import io.xolotl.xol.tracee.HeldSignals;
import io.xolotl.xol.tracee.InterruptedCalls;
import io.xolotl.xol.tracee.Tracee;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Lets a process go: its breakpoints are out of memory already; now every thread is stopped, brought out of
 * its slot, and detached with the signal it was about to receive. Tracer thread only; used once.
 *
 * <p>A thread that cannot be stopped (state D) or is gone is left out: the kernel detaches it when the tracer
 * thread ends. What fails with a thread is tried again once; the first failure that remains is thrown when
 * all that can be done is done.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
final class Departure {

  private final TracedProcess process;
  private final Function<TracedThread, Tracee> tracees;
  private final Sites sites;
  private final CodeArea area;

  /** Stopped threads that are as the program must find them, and the signal that each is resumed with. */
  private final Map<TracedThread, Integer> ready = new LinkedHashMap<>();
  private final Set<TracedThread> unreachable = new HashSet<>();
  private final Set<TracedThread> failed = new HashSet<>();
  private @Nullable PtraceException failure;

  Departure(TracedProcess process, Function<TracedThread, Tracee> tracees, Sites sites,
      CodeArea area) {
    this.process = process;
    this.tracees = tracees;
    this.sites = sites;
    this.area = area;
  }

  /**
   * Threads and processes are created while others are being stopped, so this goes on until a pass finds no
   * thread that runs and nobody new.
   */
  void stopAll() {
    boolean found = true;
    while (found) {
      process.tracer().awaitNewcomers();
      found = false;
      for (TracedThread thread : process.threads()) {
        if (ready.containsKey(thread) || unreachable.contains(thread)) {
          continue;
        }
        found = true;
        try {
          stop(thread);
        } catch (PtraceException e) {
          if (e.isBeyondReach()) {
            unreachable.add(thread);
          } else if (!failed.add(thread)) {
            unreachable.add(thread);
            remember(e);
          }
        }
      }
      process.tracer().dispatchDeferred();
    }
  }

  /** Lets a thread go that has stopped only now; in it the slots are unmapped that it was in. */
  void letGo(TracedThread thread) {
    stop(thread);
    if (ready.containsKey(thread) && process.threads().size() == 1 && !area.isEmpty()) {
      PtraceException sealed = unmapSlots();
      if (sealed != null) {
        area.sayThatItStays(process.toString(), sealed);
      }
    }
    detachAll();
  }

  private void remember(PtraceException e) {
    failure = failure == null ? e : failure;
  }

  private void stop(TracedThread thread) {
    Tracee tracee = tracees.apply(thread);
    if (thread.stop() == null) {
      tracee.interrupted(true);
      thread.interruptAndWait();
    }
    if (thread.isFirstStop()) {
      // Its creator's displaced system call may have started it in a slot.
      thread.handleStop();
    }
    if (!thread.isAtUserBoundary()) {
      // In a system call that has created a process or thread: the next pass stops it on its way to user
      // mode.
      thread.handleStop();
      return;
    }
    thread.takeJobControl();
    thread.takePendingTrap();
    tracee.leaveIfOutside();
    ready.put(thread, settle(tracee));
  }

  /** Brings a stopped thread out of the engine's hands; returns the signal to resume it with. */
  private int settle(Tracee tracee) {
    HeldSignals held = tracee.heldSignals();
    if (tracee.isSettled()) {
      return held.isEmpty() ? tracee.resumeWith() : held.takeFirst();
    }
    return switch (Objects.requireNonNull(tracee.thread().stop())) {
      case WaitStatus.Signal(int signal) -> settle(tracee, signal);
      case Interrupted _, GroupStop _, Created _, Executed _, Exiting _, Other _ -> {
        InterruptedCalls.restart(tracee);
        tracee.leaveCopy();
        held.requeueAll();
        yield 0;
      }
    };
  }

  private int settle(Tracee tracee, int signal) {
    HeldSignals held = tracee.heldSignals();
    tracee.readSignal();
    boolean fault = tracee.isFault(signal);
    if (tracee.isInCopy()) {
      if (fault && signal != Signals.SIGTRAP) {
        tracee.detour().faulted(tracee, signal);
        held.requeueAll();
        return signal;
      }
      if (fault && tracee.isInterrupted()) {
        // The trap of the step was queued when the interrupt ended the call.
        InterruptedCalls.restart(tracee);
      }
      tracee.leaveCopy();
      if (!fault) {
        held.hold(tracee.signal());
      }
      // Out of it; what fails from here on must not be taken for a breakpoint when it is tried again.
      tracee.settle(0);
      return held.takeFirst();
    }
    if (fault && signal == Signals.SIGTRAP && tracee.signal().code() == SignalInfo.SI_KERNEL) {
      tracee.readRegisters();
      long address = tracee.registers().rip() - 1;
      if (sites.wasRemovedFrom(tracee.thread(), address)) {
        tracee.registers().rip(address);
        tracee.writeRegistersIfChanged();
        return 0;
      }
    }
    held.restoreOrigin(signal, tracee.signal());
    InterruptedCalls.beforeDelivery(tracee, signal);
    return signal;
  }

  /**
   * Threads that could not be stopped and come back into a slot. Its displaced instruction is a system call,
   * then, in which the thread is.
   */
  List<Tracee> leftInSlots() {
    return unreachable.stream().filter(thread -> process.threads().contains(thread)).map(tracees)
        .filter(Tracee::isInCopy).toList();
  }

  /**
   * Unmaps the slots in one of the threads that are stopped, if there is one that may; returns why none may,
   * or null.
   */
  @Nullable
  PtraceException unmapSlots() {
    PtraceException refusal = null;
    PtraceException sealed = null;
    // Tried again, for what fails once: in another thread if there is one.
    for (TracedThread thread : Stream.concat(ready.keySet().stream(), ready.keySet().stream()).toList()) {
      if (thread.stop() == null) {
        // Killed in the attempt.
        continue;
      }
      try {
        area.unmap(thread);
        return null;
      } catch (ThreadGoneException e) {
        // Another thread can do it, unless the whole process is killed.
        continue;
      } catch (PtraceException e) {
        if (e.reason() == PtraceException.Reason.SECCOMP) {
          sealed = e;
        } else if (refusal != null) {
          remember(e);
          return null;
        } else {
          refusal = e;
        }
      }
    }
    return sealed;
  }

  /** Detaches all threads that are stopped. */
  void detachAll() {
    ready.forEach((thread, signal) -> {
      try {
        detach(thread, signal);
      } catch (ThreadGoneException e) {
        // Killed meanwhile: there is nothing to detach.
        return;
      } catch (PtraceException e) {
        remember(e);
      }
    });
    if (failure != null) {
      throw failure;
    }
  }

  private static void detach(TracedThread thread, int signal) {
    try {
      thread.detach(signal);
    } catch (ThreadGoneException e) {
      throw e;
    } catch (PtraceException e) {
      thread.detach(signal);
    }
  }
}
