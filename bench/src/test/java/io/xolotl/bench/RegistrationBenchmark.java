package io.xolotl.bench;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.elf.SymbolResolver;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time to look a symbol up, and to register and unregister a probe on it, in a process that sleeps.
 *
 * <p>Run: {@code bench/jmh RegistrationBenchmark}. The control is
 * {@link #readMappings}, which all but {@link #resolve} do too.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class RegistrationBenchmark {

  private @Nullable TargetProcess target;
  private @Nullable ProbedProcess process;
  private @Nullable SymbolResolver symbols;

  /** Starts the program. */
  @Setup
  public void start() {
    TargetProcess started = TargetProcess.start(FixtureProgram.SLEEPER);
    target = started;
    ProbedProcess attached = ProbedProcess.attach(started.pid());
    process = attached;
    symbols = new SymbolResolver(started.pid(), attached.mappings(), attached.memory()::tryRead);
  }

  /** Ends the session, then the program. */
  @TearDown
  public void stop() {
    if (process != null) {
      process.close();
    }
    if (target != null) {
      target.close();
    }
  }

  private ProbedProcess process() {
    return Objects.requireNonNull(process);
  }

  /** The control: the result is the number of mappings. */
  @Benchmark
  public int readMappings() {
    return process().mappings().size();
  }

  /** Finds a function by its name, in symbols that are read already; the result is its address. */
  @Benchmark
  public long resolve() {
    return Objects.requireNonNull(symbols).resolve("libc.so.6", "malloc").address();
  }

  /** Describes the address of a function. */
  @Benchmark
  public String describe() {
    TargetProcess started = Objects.requireNonNull(target);
    return process().describe(started.address("main"));
  }

  /** Registers and unregisters; the result is the probe. */
  @Benchmark
  public Probe registerAndUnregister() {
    Probe probe = process().register(ProbeRequest.at("libc.so.6", "malloc", hit -> {}));
    probe.unregister();
    return probe;
  }
}
