package io.xolotl.lab;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A running program for a test to probe: its pid, its input and output, and its certain end.
 *
 * <p>The target is not a child of this JVM, whose reaper would take its ptrace stops away from the tracer,
 * but of a small program, its {@link Supervisor}. Closing this, or the death of this JVM in whatever way,
 * kills the target and all that descends from it, and reaps them.
 *
 * {@snippet :
 * try (var target = TargetProcess.start(program, "8", "20000")) {
 *   // probe target.address("work"), then
 *   target.send("go");
 *   target.awaitOk();
 * }
 * }
 *
 * <p>Instances may be used by any thread.
 */
public final class TargetProcess implements AutoCloseable {

  private final String description;
  private final @Nullable BundledProgram program;
  private final Supervisor supervisor;
  private final OutputLines output = new OutputLines();

  private TargetProcess(List<String> command, Map<String, String> environment, @Nullable Path directory,
      @Nullable BundledProgram program) {
    this.description = String.join(" ", command);
    this.program = program;
    supervisor = new Supervisor(description, command, environment, directory);
  }

  /**
   * Starts a bundled program and waits until it says that it is ready.
   *
   * @param program the program
   * @param arguments its arguments
   * @return the process
   * @throws AssertionError if the program does not get ready
   * @throws RuntimeException what {@link BundledProgram#missing} says if the program is not there
   */
  public static TargetProcess start(BundledProgram program, String... arguments) {
    if (!program.isAvailable()) {
      throw program.missing();
    }
    var command = new ArrayList<String>();
    command.add(program.path().toString());
    command.addAll(List.of(arguments));
    TargetProcess target = start(command, Map.of(), null, program);
    try {
      target.awaitLine("ready ");
    } catch (AssertionError e) {
      target.close();
      throw e;
    }
    return target;
  }

  /**
   * Starts any program, in this JVM's environment and directory.
   *
   * @param command the program, looked up in PATH, and its arguments
   * @return the process, which has executed the program
   * @throws AssertionError if it cannot be started
   */
  public static TargetProcess start(List<String> command) {
    return start(command, Map.of(), null);
  }

  /**
   * Starts any program.
   *
   * @param command the program, looked up in PATH, and its arguments
   * @param environment variables to add to those of this JVM, or to replace there
   * @param directory the working directory; null for that of this JVM
   * @return the process, which has executed the program
   * @throws AssertionError if it cannot be started
   */
  public static TargetProcess start(List<String> command, Map<String, String> environment,
      @Nullable Path directory) {
    return start(command, environment, directory, null);
  }

  private static TargetProcess start(List<String> command, Map<String, String> environment,
      @Nullable Path directory,
      @Nullable BundledProgram program) {
    var target = new TargetProcess(command, environment, directory, program);
    LineReader.start("output of " + target.description, target.supervisor.output(), target.output::add,
        target.output::end);
    target.supervisor.listen();
    boolean started = false;
    try {
      target.supervisor.awaitStart();
      started = true;
    } catch (InterruptedException e) {
      throw target.interrupted(e);
    } finally {
      if (!started) {
        target.close();
      }
    }
    return target;
  }

  private AssertionError interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new AssertionError("interrupted while waiting for " + transcript(), e);
  }

  /** {@return the target's process id} */
  public int pid() {
    return supervisor.pid();
  }

  /**
   * The address of a symbol in this process.
   *
   * @param symbol a symbol of the target program
   * @return its address
   * @throws IllegalArgumentException if there is no such symbol
   * @throws IllegalStateException if this is none of the {@linkplain BundledProgram bundled programs}
   */
  public long address(String symbol) {
    if (program == null) {
      throw new IllegalStateException(description + " is not a bundled program");
    }
    long value = program.symbol(symbol);
    return program.hasFixedAddress() ? value : value + ProcFs.loadAddress(pid(), program.path());
  }

  /**
   * Writes a line to the target's standard input.
   *
   * @param line the line without its line feed
   */
  public void send(String line) {
    try {
      supervisor.input().write((line + "\n").getBytes(StandardCharsets.UTF_8));
      supervisor.input().flush();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot send \"" + line + "\" to " + transcript(), e);
    }
  }

  /**
   * Sends a signal to the target.
   *
   * @param name the signal's name as kill(1) knows it, for instance {@code STOP}
   * @throws IllegalStateException if the target has ended
   */
  public void signal(String name) {
    if (!isAlive()) {
      throw new IllegalStateException("cannot signal " + transcript());
    }
    try {
      int status = new ProcessBuilder("/bin/sh", "-c", "kill -s \"$0\" \"$1\"", name, Integer.toString(pid()))
          .inheritIO().start().waitFor();
      if (status != 0) {
        throw new AssertionError("cannot send " + name + " to " + transcript());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted while sending " + name + " to " + this, e);
    }
  }

  /** Closes the target's standard input: it reads its end. */
  public void closeInput() {
    try {
      supervisor.input().close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Waits for a line of output that starts with a prefix.
   *
   * @param prefix how the line starts
   * @return the line
   * @see #awaitLine(Predicate, Duration)
   */
  public String awaitLine(String prefix) {
    return awaitLine(prefix, Await.PATIENCE);
  }

  /**
   * Waits for a line of output that starts with a prefix.
   *
   * @param prefix how the line starts
   * @param atMost how long to wait
   * @return the line
   * @see #awaitLine(Predicate, Duration)
   */
  public String awaitLine(String prefix, Duration atMost) {
    return awaitLine(line -> line.startsWith(prefix), "starts with \"" + prefix + "\"", atMost);
  }

  /**
   * Waits, at most {@link Await#PATIENCE}, for the verdict of a target program on itself.
   *
   * @throws AssertionError with all output so far, unless it is {@code ok}
   */
  public void awaitOk() {
    awaitOk(Await.PATIENCE);
  }

  /**
   * Waits for the verdict of a target program on itself, a line {@code ok} or {@code BAD}.
   *
   * @param atMost how long to wait
   * @throws AssertionError with all output so far, unless it is {@code ok}
   */
  public void awaitOk(Duration atMost) {
    if (!awaitLine(line -> line.equals("ok") || line.equals("BAD"), "is a verdict", atMost).equals("ok")) {
      throw new AssertionError("the verdict is BAD: " + transcript());
    }
  }

  /**
   * Waits for a line of output. Lines before it are passed over: the next call looks behind the line
   * returned.
   *
   * @param wanted tells the line
   * @param atMost how long to wait
   * @return the line
   * @throws AssertionError with all output so far, if there is no such line in time or before the output's
   *     end
   */
  public String awaitLine(Predicate<String> wanted, Duration atMost) {
    return awaitLine(wanted, "is wanted", atMost);
  }

  private String awaitLine(Predicate<String> wanted, String expectation, Duration atMost) {
    try {
      String line = output.await(wanted, atMost);
      if (line == null) {
        throw new AssertionError("no line that " + expectation + ", from " + transcript());
      }
      return line;
    } catch (TimeoutException e) {
      throw new AssertionError(
          "no line that " + expectation + " within " + atMost.toMillis() + " ms, from " + transcript(), e);
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  /** {@return all lines that the target has printed on its standard output so far} */
  public List<String> output() {
    return output.all();
  }

  /**
   * {@return true if the target has closed its standard output, as it does when it ends; its end itself may
   * be reported a moment later}
   */
  public boolean endsOutput() {
    return output.hasEnded();
  }

  /** {@return what the target has printed on its standard error so far} */
  public String stderr() {
    return supervisor.stderr();
  }

  /**
   * Waits, at most {@link Await#PATIENCE}, until the target has ended and returns how.
   *
   * @return how it has ended
   */
  public ExitStatus exitStatus() {
    return exitStatus(Await.PATIENCE);
  }

  /**
   * Waits until the target has ended, and its tracer, if it has one, knows.
   *
   * @param atMost how long to wait
   * @return how it ended
   * @throws AssertionError with all output so far, if it does not end in time
   */
  public ExitStatus exitStatus(Duration atMost) {
    try {
      ExitStatus status = supervisor.awaitExit(atMost);
      if (status == null) {
        throw new AssertionError("still running after " + atMost.toMillis() + " ms: " + transcript());
      }
      return status;
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  /** {@return true if the target has not yet been reaped} */
  public boolean isAlive() {
    return supervisor.isTargetAlive();
  }

  /**
   * Kills the target and all that descends from it, if they have not ended, and waits until they are gone.
   * Closing again does nothing.
   *
   * @throws AssertionError if a process is still there after {@link Await#PATIENCE}, because its tracer does
   *     not wait for it; it will be gone when the tracer is
   */
  @Override
  public void close() {
    if (!supervisor.end()) {
      throw new AssertionError(
          "the target was killed, but its tracer has not waited for it: " + transcript());
    }
    supervisor.clean();
  }

  /** The command and the process id. */
  @Override
  public String toString() {
    return "process " + pid() + " (" + description + ")";
  }

  /** {@return the process, how it is and all that it printed, for messages} */
  public String transcript() {
    ExitStatus status = supervisor.exitStatus();
    return this + ", " + (status == null ? "running" : status) + ", output:\n  "
        + String.join("\n  ", output.all()) + "\nstandard error:\n  " + stderr().replace("\n", "\n  ")
        + (status == null ? "\n" + ProcFs.describeThreads(pid()) : "");
  }
}
