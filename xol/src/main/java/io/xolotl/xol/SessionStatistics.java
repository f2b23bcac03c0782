package io.xolotl.xol;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/**
 * What has happened in a session. Written by the tracer thread, but for {@link #handlerErrors} and
 * {@link #lost}; read by any.
 */
final class SessionStatistics {

  private volatile long hits;
  private volatile long stoppedNanos;
  private final LongAdder handlerErrors = new LongAdder();
  private volatile long childrenNotProbed;
  /** Replaced as a whole, under the monitor. */
  private volatile Map<ProbeException.Reason, Long> lost = Map.of();

  /** A thread goes on behind a hit, for which handlers ran. */
  @SuppressWarnings("NonAtomicOperationOnVolatileField")
  void hit(int handlers, long nanos) {
    // One writer.
    hits += handlers;
    stoppedNanos += nanos;
  }

  /** A handler has thrown. Any thread. */
  void handlerError() {
    handlerErrors.increment();
  }

  @SuppressWarnings("NonAtomicOperationOnVolatileField")
  void childNotProbed() {
    childrenNotProbed++;
  }

  synchronized void lost(ProbeException.Reason why) {
    var more = new EnumMap<ProbeException.Reason, Long>(ProbeException.Reason.class);
    more.putAll(lost);
    more.merge(why, 1L, Long::sum);
    lost = more;
  }

  Statistics now() {
    return new Statistics(hits, stoppedNanos, handlerErrors.sum(), childrenNotProbed, Map.copyOf(lost));
  }
}
