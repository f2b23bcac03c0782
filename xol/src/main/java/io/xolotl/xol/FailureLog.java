package io.xolotl.xol;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What the handlers of one probe throw, as {@link System.Logger} hears of it: the first of each class with
 * its stack trace, then the 10th, 100th and so on in a line, and at the end their number. A handler that
 * throws at each hit would write megabytes a second otherwise. Any thread.
 */
final class FailureLog {

  /** Classes that are told apart; a handler may make up classes without end. */
  private static final int MOST_CLASSES = 16;

  private final Map<Class<?>, AtomicLong> counts = new ConcurrentHashMap<>();

  /** A handler of the probe has thrown. */
  void add(Probe probe, Throwable thrown) {
    Class<?> type = thrown.getClass();
    if (!counts.containsKey(type) && counts.size() >= MOST_CLASSES) {
      // Threads that find the last place at the same time all get one: there are a few more classes then.
      type = Throwable.class;
    }
    long count = counts.computeIfAbsent(type, _ -> new AtomicLong()).incrementAndGet();
    if (count == 1) {
      logger().log(System.Logger.Level.ERROR, "handler of the probe at " + probe.location() + " failed",
          thrown);
    } else if (isPowerOfTen(count)) {
      logger().log(System.Logger.Level.ERROR,
          "handler of the probe at " + probe.location() + " has failed " + count + " times with "
              + name(type));
    }
  }

  /** The probe is over; what was not said yet is. */
  void end(Probe probe) {
    counts.forEach((type, count) -> {
      long total = count.get();
      if (!isPowerOfTen(total)) {
        logger().log(System.Logger.Level.ERROR, "handler of the probe at " + probe.location() + " failed "
            + total + " times in all with " + name(type));
      }
    });
  }

  private static System.Logger logger() {
    return System.getLogger(Probe.class.getName());
  }

  private static String name(Class<?> type) {
    return type == Throwable.class ? "other exceptions" : type.getName();
  }

  private static boolean isPowerOfTen(long number) {
    long power = 1;
    while (power < number && power <= Long.MAX_VALUE / 10) {
      power *= 10;
    }
    return power == number;
  }
}
