package io.xolotl.bench;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.LongSupplier;
import java.util.stream.LongStream;

/**
 * Compares decoding with Zydis called from C and through FFM, in one run: for each round of a program in C a
 * round here, so that both meet the same CPU at the same clock. All times are times on a CPU, which others
 * that want it do not lengthen. Prints the time of an instruction, medians of all rounds; the ratio to C,
 * with its quartiles; and what is allocated.
 *
 * <p>Run: {@code taskset -c 0 bench/jmh io.xolotl.bench.DecodeComparison}. The control is C itself. Without
 * {@code taskset} C and Java may meet CPUs of different speed: on a virtual machine they share their cores
 * with strangers.
 */
public final class DecodeComparison {

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private static final int WARM_UP_ROUNDS = 300;
  private static final int ROUNDS = 300;
  /** A round takes some milliseconds: much longer than a look at the clock. */
  private static final int PASSES = 4;

  /**
   * What a way to decode costs.
   *
   * @param name what is done
   * @param nanos for an instruction
   * @param ratio of its time to that of C's {@code ZydisDecoderDecodeInstruction}: first quartile, median,
   *     third
   * @param bytes allocated for an instruction
   */
  public record Result(String name, double nanos, double[] ratio, double bytes) {
    @Override
    public String toString() {
      return String.format(Locale.ROOT, "%-24s %8.1f ns %8.3f [%.3f, %.3f] %8.1f B", name, nanos, ratio[1],
          ratio[0],
          ratio[2], bytes);
    }
  }

  private DecodeComparison() {}

  /** Prints the results. */
  public static void main(String[] arguments) throws IOException {
    System.out.println("                          instruction    ratio to C   quartiles   allocated");
    for (Result result : compare(WARM_UP_ROUNDS, ROUNDS)) {
      System.out.println(result);
    }
  }

  /**
   * Measures.
   *
   * @param warmUpRounds how many rounds are not measured
   * @param rounds how many are
   * @throws IllegalStateException if C and Java do not agree on the lengths of the instructions
   */
  static Result[] compare(int warmUpRounds, int rounds) throws IOException {
    var benchmark = new DecodeBenchmark();
    benchmark.start();
    try {
      ZydisLoop c = benchmark.loop();
      LongSupplier control = () -> fromC(c, ZydisLoop.Work.DECODE, benchmark);
      return new Result[]{
          compare("C: decode operands", control, () -> fromC(c, ZydisLoop.Work.OPERANDS, benchmark),
              warmUpRounds,
              rounds),
          compare("FFM: decode", control, () -> here(benchmark::zydisThroughFfm), warmUpRounds, rounds),
          compare("cursor: decode", control, () -> here(benchmark::cursor), warmUpRounds, rounds),
          compare("cursor: classify", control, () -> here(benchmark::cursorOutcome), warmUpRounds, rounds),
          compare("decode", control, () -> here(benchmark::decode), warmUpRounds, rounds),
          compare("decode operands", control, () -> here(benchmark::decodeOperands), warmUpRounds, rounds),
          compare("classify", control, () -> here(benchmark::classify), warmUpRounds, rounds)};
    } finally {
      benchmark.stop();
    }
  }

  private static Result compare(String name, LongSupplier control, LongSupplier measured, int warmUpRounds,
      int rounds) {
    if (LongStream.generate(measured).limit(warmUpRounds).sum() < 0) {
      throw new IllegalStateException("the clock runs backwards");
    }
    double[] nanos = new double[rounds];
    double[] ratios = new double[rounds];
    long allocated = Long.MAX_VALUE;
    for (int round = 0; round < rounds; round++) {
      double c = control.getAsLong();
      long before = THREADS.getCurrentThreadAllocatedBytes();
      nanos[round] = measured.getAsLong();
      // The smallest: what the JVM does besides, once, is not an instruction's.
      allocated = Math.min(allocated, THREADS.getCurrentThreadAllocatedBytes() - before);
      ratios[round] = nanos[round] / c;
    }
    Arrays.sort(nanos);
    Arrays.sort(ratios);
    double instructions = (double) PASSES * DecodeBenchmark.INSTRUCTIONS;
    return new Result(name, nanos[rounds / 2] / instructions,
        new double[]{ratios[rounds / 4], ratios[rounds / 2], ratios[rounds * 3 / 4]},
        name.startsWith("C:") ? 0 : allocated / instructions);
  }

  private static long fromC(ZydisLoop c, ZydisLoop.Work work, DecodeBenchmark benchmark) {
    ZydisLoop.Run run = c.run(work, PASSES);
    if (run.lengths() != PASSES * benchmark.totalLength()) {
      throw new IllegalStateException("C decodes other instructions");
    }
    return run.nanos();
  }

  private static long here(LongSupplier pass) {
    long begin = THREADS.getCurrentThreadCpuTime();
    for (int i = 0; i < PASSES; i++) {
      if (pass.getAsLong() == 0) {
        throw new IllegalStateException("nothing was decoded");
      }
    }
    return THREADS.getCurrentThreadCpuTime() - begin;
  }
}
