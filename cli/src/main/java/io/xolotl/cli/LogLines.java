package io.xolotl.cli;

import java.text.MessageFormat;
import java.util.ResourceBundle;
import org.jspecify.annotations.Nullable;

/**
 * Prints what the library logs as the command prints its own messages, a line each on standard error. The
 * handlers of java.util.logging are closed when the JVM begins to exit, by a hook of its own, while ours
 * still restore processes.
 */
public final class LogLines extends System.LoggerFinder {

  /** For {@link java.util.ServiceLoader}. */
  public LogLines() {
    // Nothing to set up.
  }

  @Override
  public System.Logger getLogger(String name, Module module) {
    return new Lines(name);
  }

  private record Lines(String name) implements System.Logger {
    @Override
    public String getName() {
      return name;
    }

    @Override
    public boolean isLoggable(Level level) {
      return level.getSeverity() >= Level.WARNING.getSeverity() && level != Level.OFF;
    }

    @Override
    public void log(Level level, @Nullable ResourceBundle bundle, @Nullable String message,
        @Nullable Throwable thrown) {
      if (isLoggable(level)) {
        String line = (message + (thrown == null ? "" : ": " + thrown)).replace('\n', ' ');
        System.err.println("xolotl: " + Visible.of(line));
      }
    }

    @Override
    public void log(Level level, @Nullable ResourceBundle bundle, @Nullable String format,
        Object... parameters) {
      // Null from log(Level, String).
      boolean plain = format == null || parameters == null || parameters.length == 0;
      log(level, bundle, plain ? format : MessageFormat.format(format, parameters), (Throwable) null);
    }
  }
}
