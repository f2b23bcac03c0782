package io.xolotl.bench;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.IdleCpus;
import io.xolotl.ptrace.TracerAffinity;
import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ProbingOptions;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time from hit to hit of a thread that does almost nothing else, for each technique and context.
 *
 * <p>Run: {@code bench/jmh HitBenchmark}. The control is the technique: a hit
 * cannot take less than one ptrace stop, and EMULATED takes just one.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class HitBenchmark {

  /** Hits an invocation. */
  static final int HITS = 1_000;

  /** How the probed instruction is executed: a push if it is emulated, otherwise a mov. */
  @Param
  public Technique technique = Technique.EMULATED;

  /** Where the empty handler runs. */
  @Param({"INTERRUPT", "TASK"})
  public HandlerContext context = HandlerContext.INTERRUPT;

  /** Where the tracer thread runs. */
  @Param({"FREE", "FOLLOW"})
  public TracerAffinity affinity = TracerAffinity.FREE;

  /** What becomes of idle CPUs meanwhile. */
  @Param({"SLEEP", "AWAKE"})
  public IdleCpus idleCpus = IdleCpus.SLEEP;

  private @Nullable TargetProcess target;
  private @Nullable ProbedProcess process;
  private @Nullable Probe probe;

  /** Starts the program and probes it. */
  @Setup
  public void start() {
    TargetProcess started = TargetProcess.start(FixtureProgram.FOREVER, "1");
    target = started;
    ProbedProcess attached = ProbedProcess.attach(started.pid(),
        ProbingOptions.defaults().withTracerAffinity(affinity).withIdleCpus(idleCpus));
    process = attached;
    long site = started.address(technique == Technique.EMULATED ? "work_push" : "work_mov");
    probe = attached.register(ProbeRequest.at(site, hit -> {}).inContext(context).with(technique));
    started.send("go");
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

  /** Lets the program run through as many hits; the result is their number. */
  @Benchmark
  @OperationsPerInvocation(HITS)
  public long hits() {
    Probe hit = Objects.requireNonNull(probe);
    long before = hit.hits();
    while (hit.hits() - before < HITS) {
      // The tracer and its tracee need both CPUs of a small machine: no spinning.
      LockSupport.parkNanos(50_000);
    }
    return hit.hits() - before;
  }
}
