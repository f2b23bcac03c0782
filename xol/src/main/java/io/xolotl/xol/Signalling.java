package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedThread;
import java.util.ArrayDeque;
import java.util.Iterator;

/**
 * Holds signals back from threads that are in a slot, and hands them out afterwards, each with its origin.
 *
 * <p>A signal frame built there would hold the slot's address and, with a scratch register, a wrong value. At
 * most a few signals arrive in that time, since each is taken from the kernel's queue once; blocking them
 * instead would change what a displaced system call sees as its signal mask.
 *
 * <p>Only the signal of a signal-delivery-stop can be replaced (ptrace_signal() in kernel/signal.c). So the
 * first that was held takes the place of the trap that ends the displaced instruction; for each further one
 * the signal is sent again, and its origin put back when it arrives.
 */
final class Signalling {

  private Signalling() {}

  /** Keeps the signal that a thread in a slot has stopped for. */
  static void hold(ThreadState state) {
    if (state.held == null) {
      state.held = new ArrayDeque<>();
    }
    var copy = new SignalInfo();
    copy.copyFrom(state.signal);
    state.held.add(copy);
  }

  static boolean isHolding(ThreadState state) {
    return state.held != null && !state.held.isEmpty();
  }

  /**
   * What a thread must be resumed with, now that it is out of the slot and in a signal-delivery-stop.
   *
   * @return the number of the signal to deliver, or 0
   */
  static int release(ThreadState state) {
    ArrayDeque<SignalInfo> held = state.held;
    if (held == null || held.isEmpty()) {
      return 0;
    }
    SignalInfo first = held.removeFirst();
    try {
      requeueAll(state);
      state.traced().writeSignalInfo(first);
    } catch (PtraceException e) {
      held.addFirst(first);
      throw e;
    }
    return first.signal();
  }

  /**
   * Sends all held signals again: the thread's stop is taken by another one, a fault or the end of the
   * session.
   */
  static void requeueAll(ThreadState state) {
    ArrayDeque<SignalInfo> held = state.held;
    while (held != null && !held.isEmpty()) {
      SignalInfo info = held.getFirst();
      state.traced().send(info.signal());
      held.removeFirst();
      if (state.requeued == null) {
        state.requeued = new ArrayDeque<>();
      }
      state.requeued.add(info);
    }
  }

  /** Gives a signal that was sent again its origin back, just before it is delivered. */
  static void restoreOrigin(ThreadState state, int signal) {
    ArrayDeque<SignalInfo> requeued = state.requeued;
    if (requeued == null || requeued.isEmpty()) {
      return;
    }
    TracedThread thread = state.traced();
    thread.readSignalInfo(state.signal);
    if (state.signal.senderPid() != ProcessHandle.current().pid()) {
      return;
    }
    for (Iterator<SignalInfo> all = requeued.iterator(); all.hasNext();) {
      SignalInfo info = all.next();
      if (info.signal() == signal) {
        all.remove();
        thread.writeSignalInfo(info);
        state.signal.copyFrom(info);
        return;
      }
    }
  }

  /** Returns true if a signal reports what the thread did, and stands for the instruction at rip. */
  static boolean isFault(int signal, SignalInfo info) {
    return info.isFault() && Signals.isRaisedByInstruction(signal);
  }
}
