package io.xolotl.bench;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.List;
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
 * Time from hit to hit, of whichever thread, when several threads do almost nothing else: all at one site, or
 * each at a site of its own.
 *
 * <p>Run: {@code bench/jmh CrowdBenchmark}. The control is one thread.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class CrowdBenchmark {

  /** Hits an invocation. */
  static final int HITS = 1_000;

  /** How many threads hit. */
  @Param({"1", "4", "16", "64"})
  public int threads = 1;

  /** Whether they share a site or have their own. */
  @Param({"shared", "own"})
  public String sites = "shared";

  private @Nullable TargetProcess target;
  private @Nullable ProbedProcess process;
  private List<Probe> probes = List.of();

  /** Starts the program and probes it. */
  @Setup
  public void start() {
    TargetProcess started = TargetProcess.start(FixtureProgram.CROWD, Integer.toString(threads), sites);
    target = started;
    ProbedProcess attached = ProbedProcess.attach(started.pid());
    process = attached;
    var requests = new ArrayList<ProbeRequest>();
    for (int i = 0; i < (sites.equals("own") ? threads : 1); i++) {
      requests.add(ProbeRequest.at(started.address("site_" + i), hit -> {}));
    }
    probes = attached.register(requests);
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

  private long count() {
    long sum = 0;
    for (Probe probe : probes) {
      sum += probe.hits();
    }
    return sum;
  }

  /** Lets the program run through as many hits; the result is their number. */
  @Benchmark
  @OperationsPerInvocation(HITS)
  public long hits() {
    long before = count();
    long seen;
    while ((seen = count() - before) < HITS) {
      // The tracer and its tracees need all CPUs of a small machine: no spinning.
      LockSupport.parkNanos(50_000);
    }
    return seen;
  }

  /** For the test: probes that were hit. */
  long sitesThatWereHit() {
    return probes.stream().filter(probe -> probe.hits() > 0).count();
  }
}
