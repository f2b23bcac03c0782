package io.xolotl.cli;

import java.time.Duration;
import java.util.Locale;
import java.util.function.Supplier;

/** Tells a person from time to time how far fuzzing is, and on a terminal how long it will go on. */
final class FuzzProgress {

  private static final Duration REFRESH = Duration.ofMillis(500);
  private static final Duration REFRESH_OF_LOG = Duration.ofSeconds(10);
  private static final String ERASE_LINE = "\r\u001b[K";

  private final Shell shell;
  private final boolean terminal;
  private final long enough;
  private final Duration limit;
  private long shown;

  /**
   * Shows nothing yet.
   *
   * @param enough how much is to be done, or the largest number if only the time counts
   * @param limit of the time, if it counts
   */
  FuzzProgress(Shell shell, long enough, Duration limit) {
    this.shell = shell;
    this.enough = enough;
    this.limit = limit;
    terminal = shell.terminal().get().isPresent();
  }

  /** Shows how far it is, if that is due. Always returns true. */
  boolean show(long done, Duration elapsed, Supplier<String> text) {
    if (elapsed.toNanos() - shown < (terminal ? REFRESH : REFRESH_OF_LOG).toNanos()) {
      return true;
    }
    shown = elapsed.toNanos();
    if (terminal) {
      shell.messages().print(ERASE_LINE + text.get() + left(done, elapsed));
      shell.messages().flush();
    } else {
      shell.say(text.get());
    }
    return true;
  }

  private String left(long done, Duration elapsed) {
    double seconds = enough == Long.MAX_VALUE
        ? limit.minus(elapsed).toMillis() / 1e3
        : (enough - done) / Math.max(done / Math.max(elapsed.toNanos() / 1e9, 1e-3), 1e-3);
    return String.format(Locale.ROOT, ", %,.0f s left", Math.max(seconds, 0));
  }

  /** Takes the line away again. */
  void end() {
    if (shown > 0 && terminal) {
      shell.messages().print(ERASE_LINE);
      shell.messages().flush();
    }
  }
}
