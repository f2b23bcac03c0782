package io.xolotl.lab;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What a target has printed on its standard output, and how far a test has read it. A test waits for a line
 * that may have come long ago or may never come, and wants all of them in the message when it fails.
 *
 * <p>So every line is kept, with a mark behind those that were waited for. Lines are added by the thread that
 * reads them; any thread waits.
 */
final class OutputLines {

  private final Monitor monitor = new Monitor();
  private final List<String> lines = new ArrayList<>();
  /** Index of the first line that {@link #await} has not yet returned or passed. */
  private int unread;
  private boolean ended;

  void add(String line) {
    monitor.change(() -> lines.add(line));
  }

  void end() {
    monitor.change(() -> ended = true);
  }

  /** All lines so far. */
  List<String> all() {
    return monitor.get(() -> List.copyOf(lines));
  }

  boolean hasEnded() {
    return monitor.get(() -> ended);
  }

  /**
   * Waits for a line. Those before it are passed over.
   *
   * @return the line; null if the output has ended without one
   * @throws TimeoutException if there is none in time
   */
  @Nullable
  String await(Predicate<String> wanted, Duration atMost) throws InterruptedException, TimeoutException {
    int[] found = {-1};
    boolean decided = monitor.await(() -> {
      found[0] = take(wanted);
      return found[0] >= 0 || ended;
    }, atMost);
    if (!decided) {
      throw new TimeoutException();
    }
    return found[0] < 0 ? null : monitor.get(() -> lines.get(found[0]));
  }

  private int take(Predicate<String> wanted) {
    for (int i = unread; i < lines.size(); i++) {
      if (wanted.test(lines.get(i))) {
        unread = i + 1;
        return i;
      }
    }
    return -1;
  }
}
