package io.xolotl.bench;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import io.xolotl.xol.ModuleFunction;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time to register very many probes in one call, on consecutive instructions of the C library, and to take
 * them all away.
 *
 * <p>Run: {@code bench/jmh ManyProbesBenchmark}. The control is one probe. The
 * memory that a probe takes, here and in the process: the same with
 * {@code io.xolotl.bench.ManyProbesBenchmark} in place of {@code ManyProbesBenchmark}.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3)
@Measurement(iterations = 10)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class ManyProbesBenchmark {

  private static final String LIBC = "libc.so.6";

  /** How many probes. */
  @Param({"1", "10000", "50000"})
  public int probes = 1;

  private @Nullable TargetProcess target;
  private @Nullable ProbedProcess process;
  private List<ProbeRequest> requests = List.of();
  private List<Probe> registered = List.of();

  /** Starts the program and finds the instructions. */
  @Setup
  public void start() {
    TargetProcess started = TargetProcess.start(FixtureProgram.SLEEPER);
    target = started;
    ProbedProcess attached = ProbedProcess.attach(started.pid());
    process = attached;
    requests = instructions(attached, probes).stream()
        .map(address -> ProbeRequest.at(address, hit -> {}).trustingBoundary())
        .toList();
  }

  /** The first instructions of the C library's functions that may be probed. */
  static List<Long> instructions(ProbedProcess process, int count) {
    Decoder decoder = Decoder.forThisCpu();
    var addresses = new ArrayList<Long>();
    long end = 0;
    for (ModuleFunction function : process.functions(LIBC)) {
      // Functions may overlap.
      if (function.address() >= end && addresses.size() < count) {
        end = function.address() + function.size();
        byte[] code = process.memory().read(function.address(), (int) function.size());
        decoder.stream(code, function.address())
            .filter(decoding -> !(Classification.of(decoding,
                RelocationPolicy.FULL) instanceof Classification.Refuse))
            .map(Decoding::address).forEach(addresses::add);
      }
    }
    if (addresses.size() < count) {
      throw new IllegalStateException("the C library has no " + count + " instructions to probe");
    }
    return addresses.subList(0, count);
  }

  /** Leaves nothing to the next measurement. */
  @TearDown(Level.Invocation)
  public void unregister() {
    Objects.requireNonNull(process).unregister(registered);
    registered = List.of();
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

  /** Registers them; the result is their number. */
  @Benchmark
  public int register() {
    registered = Objects.requireNonNull(process).register(requests);
    return registered.size();
  }

  /** Registers and unregisters them; the result is the number of those that are still active. */
  @Benchmark
  public long registerAndUnregister() {
    ProbedProcess probed = Objects.requireNonNull(process);
    List<Probe> all = probed.register(requests);
    probed.unregister(all);
    return all.stream().filter(Probe::isActive).count();
  }

  /** Prints the memory that a probe takes. */
  public static void main(String[] arguments) {
    var benchmark = new ManyProbesBenchmark();
    benchmark.probes = 50_000;
    benchmark.start();
    try {
      // The symbols of the C library, and whatever else comes with the first probe, are not a probe's.
      List<ProbeRequest> all = benchmark.requests;
      benchmark.requests = all.subList(0, 1);
      benchmark.register();
      benchmark.unregister();
      benchmark.requests = all;
      long here = heap();
      long there = benchmark.targetMemory();
      benchmark.register();
      System.out.printf(Locale.ROOT, "%d probes: %.0f bytes of heap a probe, %.0f bytes of the process%n",
          benchmark.probes, (double) (heap() - here) / benchmark.probes,
          (double) (benchmark.targetMemory() - there) / benchmark.probes);
    } finally {
      benchmark.stop();
    }
  }

  /** What is reachable on the heap, in bytes. */
  private static long heap() {
    Runtime runtime = Runtime.getRuntime();
    long used = Long.MAX_VALUE;
    for (int i = 0; i < 5; i++) {
      System.gc();
      used = Math.min(used, runtime.totalMemory() - runtime.freeMemory());
    }
    return used;
  }

  private long targetMemory() {
    return Objects.requireNonNull(process).mappings().stream().mapToLong(m -> m.end() - m.start()).sum();
  }
}
