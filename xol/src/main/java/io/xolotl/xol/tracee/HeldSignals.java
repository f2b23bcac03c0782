package io.xolotl.xol.tracee;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.TracerThread;
import java.util.ArrayDeque;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;

/**
 * The signals that one thread must not get while it is in a copy: a signal frame built there would hold the
 * copy's address and, with a scratch register, a wrong value. They are held back, and handed out afterwards,
 * each with its origin.
 *
 * <p>At most a few arrive in that time, since each is taken from the kernel's queue once; blocking them
 * instead would change what a displaced system call sees as its signal mask.
 *
 * <p>Only the signal of a signal-delivery-stop can be replaced (ptrace_signal() in kernel/signal.c). So the
 * first that was held takes the place of the trap that ends the displaced instruction; for each further one
 * the signal is sent again, and its origin put back when it arrives. Owned by the tracer thread.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
public final class HeldSignals {

  private final TracedThread thread;

  /** Oldest first; null until there is one. */
  private @Nullable ArrayDeque<SignalInfo> held;

  /** Those that were sent again, and have not arrived; null until there is one. */
  private @Nullable ArrayDeque<SignalInfo> requeued;

  HeldSignals(TracedThread thread) {
    this.thread = thread;
  }

  public boolean isEmpty() {
    return held == null || held.isEmpty();
  }

  /** Keeps a signal that the thread has stopped for. */
  public void hold(SignalInfo signal) {
    if (held == null) {
      held = new ArrayDeque<>();
    }
    var copy = new SignalInfo();
    copy.copyFrom(signal);
    held.add(copy);
  }

  /**
   * Puts the first in the place of the signal that the thread has stopped for, out of the copy.
   *
   * @return the number of the signal to resume the thread with, or 0
   */
  public int takeFirst() {
    ArrayDeque<SignalInfo> waiting = held;
    if (waiting == null || waiting.isEmpty()) {
      return 0;
    }
    SignalInfo first = waiting.removeFirst();
    try {
      requeueAll();
      thread.writeSignalInfo(first);
    } catch (PtraceException e) {
      waiting.addFirst(first);
      throw e;
    }
    return first.signal();
  }

  /** Sends all again: the thread's stop is taken by another one, a fault or the end of the session. */
  public void requeueAll() {
    ArrayDeque<SignalInfo> waiting = held;
    while (waiting != null && !waiting.isEmpty()) {
      SignalInfo info = waiting.getFirst();
      thread.send(info.signal());
      waiting.removeFirst();
      if (requeued == null) {
        requeued = new ArrayDeque<>();
      }
      requeued.add(info);
    }
  }

  /**
   * Gives a signal that was sent again its origin back, just before it is delivered.
   *
   * @param signal the number of what the thread has stopped for
   * @param information where to read what the kernel knows of it
   */
  public void restoreOrigin(int signal, SignalInfo information) {
    ArrayDeque<SignalInfo> sent = requeued;
    if (sent == null || sent.isEmpty()) {
      return;
    }
    thread.readSignalInfo(information);
    if (information.senderPid() != ProcessHandle.current().pid()) {
      return;
    }
    for (Iterator<SignalInfo> all = sent.iterator(); all.hasNext();) {
      SignalInfo info = all.next();
      if (info.signal() == signal) {
        all.remove();
        thread.writeSignalInfo(info);
        information.copyFrom(info);
        return;
      }
    }
  }
}
