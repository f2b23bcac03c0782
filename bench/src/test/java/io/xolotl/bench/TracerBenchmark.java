package io.xolotl.bench;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.TraceHandler;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.Tracer;
import io.xolotl.ptrace.WaitStatus;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time to get at a stopped thread's state, and to stop a thread and let it go on.
 *
 * <p>Run: {@code bench/jmh TracerBenchmark}. The control is
 * {@link #callTracer}, the way to the tracer's thread, which all others go once for {@value #OPERATIONS}
 * operations.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class TracerBenchmark {

  /** Operations an invocation. */
  static final int OPERATIONS = 200;

  private @Nullable TargetProcess target;
  private @Nullable Tracer tracer;
  private @Nullable TracedProcess process;
  private final Registers registers = new Registers();

  /** Lets every thread go on. */
  private static final class GoOn implements TraceHandler {
    @Override
    public void stopped(TracedThread thread, WaitStatus.Stopped status) {
      thread.cont(status instanceof WaitStatus.Signal(int signal) ? signal : 0);
    }

    @Override
    public void threadStarted(TracedThread thread) {
      thread.cont(0);
    }

    @Override
    public void processCreated(TracedProcess parent, TracedProcess child, TracedThread thread,
        boolean sharesMemory) {
      thread.detach(0);
    }

    @Override
    public void executed(TracedThread thread, List<TracedThread> former) {
      thread.cont(0);
    }

    @Override
    public void ended(TracedThread thread, WaitStatus.Ended status) {
      // The program ends when the benchmark does.
    }
  }

  /** Starts the program, one thread of which runs without end. */
  @Setup
  public void start() {
    TargetProcess started = TargetProcess.start(FixtureProgram.FOREVER, "1");
    target = started;
    started.send("go");
    Tracer own = Tracer.start("tracer of a benchmark");
    tracer = own;
    process = own.call(() -> TracedProcess.attach(own, started.pid(), _ -> new GoOn()));
  }

  /** Detaches, and ends the program. */
  @TearDown
  public void stop() {
    if (tracer != null) {
      if (process != null) {
        TracedProcess attached = process;
        tracer.call(() -> {
          attached.detach();
          return 0;
        });
      }
      tracer.close();
    }
    if (target != null) {
      target.close();
    }
  }

  private long onTracer(ToLongFunction<TracedThread> action) {
    TracedProcess traced = Objects.requireNonNull(process);
    return Objects.requireNonNull(tracer).call(() -> action.applyAsLong(traced.threads().getLast()));
  }

  private long whileStopped(ToLongFunction<TracedThread> operation) {
    return onTracer(thread -> {
      thread.interruptAndWait();
      try {
        long result = 0;
        for (int i = 0; i < OPERATIONS; i++) {
          result += operation.applyAsLong(thread);
        }
        return result;
      } finally {
        thread.handleStop();
      }
    });
  }

  /** The control: the result is the thread's id. */
  @Benchmark
  public long callTracer() {
    return onTracer(TracedThread::tid);
  }

  /** Fetches the general registers; the result is the sum of rip. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long readRegisters() {
    return whileStopped(thread -> {
      thread.readRegisters(registers);
      return registers.rip();
    });
  }

  /** Fetches them and sets them; the result is the sum of rip. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long readAndWriteRegisters() {
    return whileStopped(thread -> {
      thread.readRegisters(registers);
      thread.writeRegisters(registers);
      return registers.rip();
    });
  }

  /** Fetches the vector state; the result is the sum of its sizes. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long readVectorState() {
    return whileStopped(thread -> thread.readVectorState().size());
  }

  /** Reads a word of memory; the result is the sum of the words. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long readMemory() {
    long address = Objects.requireNonNull(target).address("work");
    return whileStopped(thread -> thread.process().memory().readLong(address));
  }

  /** Stops the thread, which runs, and lets it go on; the result is the number of stops. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long stopAndContinue() {
    return onTracer(thread -> {
      for (int i = 0; i < OPERATIONS; i++) {
        thread.interruptAndWait();
        thread.handleStop();
      }
      return OPERATIONS;
    });
  }

  /** For the test. */
  TargetProcess target() {
    return Objects.requireNonNull(target);
  }
}
