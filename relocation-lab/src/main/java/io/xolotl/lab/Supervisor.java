package io.xolotl.lab;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The program {@code supervisor} for one target, seen from this JVM: it starts the target in its own place as
 * parent, reports on its standard error what becomes of it, and ends with it. What is known of the target is
 * therefore known by hearsay, a moment later, or never if the supervisor was killed.
 *
 * <p>So its reports are kept as they come, by the thread that reads them, and who waits for the target's end
 * waits for its own, too. Any thread asks and waits.
 */
final class Supervisor {

  private final String description;
  private final Process process;
  /** Where the target's standard error goes. */
  private final Path errors;

  private final Monitor monitor = new Monitor();
  private int pid;
  private @Nullable String failure;
  private @Nullable ExitStatus exitStatus;
  private boolean ended;

  /**
   * Starts it.
   *
   * @param description what it starts, for messages
   */
  Supervisor(String description, List<String> command, Map<String, String> environment,
      @Nullable Path directory) {
    this.description = description;
    try {
      errors = Files.createTempFile("xolotl-target-", ".stderr");
      errors.toFile().deleteOnExit();
      var arguments = new ArrayList<String>();
      arguments.add(LabProgram.supervisor().toString());
      arguments.add(Long.toString(ProcessHandle.current().pid()));
      arguments.add(errors.toString());
      arguments.addAll(command);
      var builder = new ProcessBuilder(arguments);
      builder.environment().putAll(environment);
      if (directory != null) {
        builder.directory(directory.toFile());
      }
      process = start(builder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot start " + description, e);
    }
  }

  /**
   * Starts it, once more if need be: until it is executed, the JVM's own helper is there in its place, in the
   * foreground of the terminal, and a Ctrl-C that is meant for this JVM kills it (jspawnhelper of the JDK,
   * "Failed to exec spawn helper: signal 2").
   */
  private static Process start(ProcessBuilder builder) throws IOException {
    try {
      return builder.start();
    } catch (IOException first) {
      try {
        return builder.start();
      } catch (IOException e) {
        e.addSuppressed(first);
        throw e;
      }
    }
  }

  /** The target's standard input. */
  OutputStream input() {
    return process.getOutputStream();
  }

  /** The target's standard output. */
  InputStream output() {
    return process.getInputStream();
  }

  /** Starts to take its reports. */
  void listen() {
    LineReader.start("supervisor of " + description, process.getErrorStream(), this::report,
        () -> monitor.change(() -> ended = true));
  }

  private void report(String line) {
    String[] words = line.split(" ", 2);
    monitor.change(() -> {
      switch (words[0]) {
        case "started" -> pid = Integer.parseInt(words[1]);
        case "exited" -> exitStatus = new ExitStatus.Exited(Integer.parseInt(words[1]));
        case "killed" -> exitStatus = new ExitStatus.Killed(Integer.parseInt(words[1]));
        default -> failure = line;
      }
    });
  }

  /**
   * Waits until the target has executed its program.
   *
   * @throws AssertionError if it cannot be started
   */
  void awaitStart() throws InterruptedException {
    boolean reported = monitor.await(() -> pid != 0 || failure != null || ended, Await.PATIENCE);
    String problem = monitor.get(() -> {
      if (pid != 0) {
        return null;
      }
      return failure != null ? failure : reported ? "the supervisor ended" : "the supervisor is silent";
    });
    if (problem != null) {
      throw new AssertionError("cannot start " + description + ": " + problem);
    }
  }

  /** The target's process id; 0 as long as it is not known. */
  int pid() {
    return monitor.get(() -> pid);
  }

  /** How the target has ended; null if it has not, as far as is known. */
  @Nullable
  ExitStatus exitStatus() {
    return monitor.get(() -> exitStatus);
  }

  /** Waits until the target has ended; null if it does not in time, or nobody knows. */
  @Nullable
  ExitStatus awaitExit(Duration atMost) throws InterruptedException {
    monitor.await(() -> exitStatus != null || ended, atMost);
    return exitStatus();
  }

  /** Returns true if the target has not yet been reaped. */
  boolean isTargetAlive() {
    // The supervisor ends right after its target; its last words may still be on their way.
    return monitor.get(() -> exitStatus == null && !ended && process.isAlive());
  }

  /** What the target has printed on its standard error so far. */
  String stderr() {
    try {
      return Files.exists(errors) ? Files.readString(errors, StandardCharsets.ISO_8859_1) : "";
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Has it kill the target and all that descends from it, and waits for its end; returns false if it does not
   * end in time.
   */
  boolean end() {
    // Process.destroy() would also close the streams, and the last words in them would be lost.
    process.toHandle().destroy();
    return awaitEnd();
  }

  /** Not interruptible: a test that was interrupted by its time limit leaves nothing behind either. */
  private boolean awaitEnd() {
    long deadline = System.nanoTime() + Await.PATIENCE.toNanos();
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return process.waitFor(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Removes what it has written; it has ended. */
  void clean() {
    try {
      Files.deleteIfExists(errors);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
