package io.xolotl.cli;

import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ProbedProcess.LaunchStop;
import io.xolotl.xol.ProbingOptions;
import io.xolotl.xol.ProcessEnd;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** The process that a command works on: one that it found, or one that it launched. */
final class Session implements AutoCloseable {

  /** How long a launched program may take to end when it is asked to. */
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  private final ProbedProcess process;
  private final @Nullable String program;
  private final CompletableFuture<ProcessEnd> end;
  private boolean started;

  private Session(ProbedProcess process, @Nullable String program) {
    this.process = process;
    this.program = program;
    end = process.end();
  }

  static Session attach(int pid, ProbingOptions options) {
    return new Session(ProbedProcess.attach(pid, options), null);
  }

  /** Launches a program, which waits for {@link #start}. */
  static Session launch(LaunchRequest request, ProbingOptions options) {
    return new Session(ProbedProcess.launch(request, options, LaunchStop.LIBRARIES_LOADED),
        request.command().getFirst());
  }

  ProbedProcess process() {
    return process;
  }

  boolean isLaunched() {
    return program != null;
  }

  /**
   * Lets a launched program run, and waits until the process ends, the time is up or something else happens.
   * Somebody who has ended the command before does not want the program to run.
   *
   * @param limit the time, from now; null for no limit
   * @param interval how often to do something meanwhile
   * @param meanwhile what to do
   * @param interruption ends the waiting
   * @param events other things that end the waiting
   */
  void run(@Nullable Duration limit, Duration interval, Runnable meanwhile, Interruption interruption,
      CompletableFuture<?>... events) {
    if (interruption.isRequested()) {
      return;
    }
    started = true;
    process.start();
    CompletableFuture<Object> any = CompletableFuture.anyOf(CompletableFuture.anyOf(events),
        interruption.requested(), end);
    long begin = System.nanoTime();
    while (true) {
      long left = limit == null ? Long.MAX_VALUE : limit.toNanos() - (System.nanoTime() - begin);
      if (left <= 0 || completes(any, Math.min(left, interval.toNanos()))) {
        return;
      }
      meanwhile.run();
    }
  }

  /** Ends a launched program that still runs; a process that was found runs on. */
  void end() {
    if (started && isLaunched() && !end.isDone()) {
      ProcessHandle.of(process.pid()).ifPresent(ProcessHandle::destroy);
      // One that ignores SIGTERM is left alone: its end is then not ours to report.
      completes(CompletableFuture.anyOf(end), PATIENCE.toNanos());
    }
  }

  private static boolean completes(CompletableFuture<Object> future, long nanos) {
    try {
      future.get(nanos, TimeUnit.NANOSECONDS);
      return true;
    } catch (TimeoutException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return true;
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }

  /** The exit status of a launched program, as a shell reports it; empty if its end was not seen. */
  OptionalInt exitStatus() {
    return !isLaunched() || !end.isDone() ? OptionalInt.empty() : switch (end.join()) {
      case ProcessEnd.Exited(int status) -> OptionalInt.of(status);
      case ProcessEnd.Killed(int signal) -> OptionalInt.of(128 + signal);
      case ProcessEnd.Detached() -> OptionalInt.empty();
    };
  }

  /** A sentence about the end of the process; null if a process that was found lives on. */
  @Nullable
  String epilogue() {
    String who = program == null ? "process " + process.pid() : program;
    return !end.isDone() ? lives(who) : switch (end.join()) {
      case ProcessEnd.Exited(int status) -> who + " exited with status " + status;
      case ProcessEnd.Killed(int signal) -> who + " was killed by signal " + signal;
      case ProcessEnd.Detached() -> lives(who);
    };
  }

  private @Nullable String lives(String who) {
    return isLaunched() ? who + " is still running (process " + process.pid() + ")" : null;
  }

  /**
   * Restores the process. A launched program that was never started is not to run without its probes: it is
   * killed.
   */
  @Override
  public void close() {
    if (isLaunched() && !started) {
      ProcessHandle.of(process.pid()).ifPresent(ProcessHandle::destroyForcibly);
    }
    process.close();
  }

  /**
   * A launch request for a command, whose output goes to standard error if it must not mix with a document.
   */
  static LaunchRequest request(List<String> command, boolean outputToError) {
    var request = LaunchRequest.of(command);
    return outputToError
        ? request.withStreams(request.input(), new LaunchRequest.Stream.Descriptor(2), request.error())
        : request;
  }
}
