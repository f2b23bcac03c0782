package io.xolotl.xol;

import java.util.Collection;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** One wait for handlers in task context. Used by the thread that waits. */
final class TaskWait {

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private final Collection<ProbeHit> hits;
  private final @Nullable Probe awaited;
  /** When no handler was seen to run although some were handed over; 0 if one ran at the last look. */
  private long since;
  private long due;

  /**
   * A wait.
   *
   * @param hits all threads that handlers may run for
   * @param awaited the probe whose handlers are waited for; null for all
   */
  TaskWait(Collection<ProbeHit> hits, @Nullable Probe awaited) {
    this.hits = hits;
    this.awaited = awaited;
  }

  /** Called about every {@link UserCode#INTERVAL}; returns true if a handler is given up. */
  boolean look() {
    boolean said = false;
    boolean running = false;
    Probe unbegun = null;
    for (ProbeHit hit : hits) {
      said |= hit.task.look(awaited);
      Probe probe = hit.handedOver;
      if (probe != null && (awaited == null || awaited == probe)) {
        running |= hit.task.run() != 0;
        unbegun = probe;
      }
    }
    if (unbegun == null || running) {
      // Those that run are looked at, and the others wait for these.
      since = 0;
      return said;
    }
    return isGivenUp(unbegun, System.nanoTime());
  }

  /** An executor whose threads are all busy, with handlers of other sessions perhaps, begins none of ours. */
  private boolean isGivenUp(Probe unbegun, long now) {
    if (since == 0) {
      since = now;
      due = UserCode.GIVEN_UP;
    }
    if (now - since >= due) {
      due *= 2;
      LOGGER.log(System.Logger.Level.WARNING, UserCode.Kind.HANDLER.of(unbegun) + " has not begun for "
          + TimeUnit.NANOSECONDS.toSeconds(now - since)
          + " s, because the task executor has no thread for it");
    }
    return due > UserCode.GIVEN_UP;
  }
}
