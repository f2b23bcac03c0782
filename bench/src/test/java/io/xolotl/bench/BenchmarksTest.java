package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.Technique;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the benchmarks measure happens. */
@Timeout(60)
class BenchmarksTest {

  @Test
  void decoding() throws Exception {
    var benchmark = new DecodeBenchmark();
    benchmark.findInstructions();
    assertThat(benchmark.decode()).isEqualTo(benchmark.totalLength())
        .isGreaterThan(DecodeBenchmark.INSTRUCTIONS);
    assertThat(benchmark.decodeOperands()).isGreaterThan(DecodeBenchmark.INSTRUCTIONS);
    assertThat(benchmark.classify()).isBetween(DecodeBenchmark.INSTRUCTIONS * 9L / 10,
        (long) DecodeBenchmark.INSTRUCTIONS);
    assertThat(benchmark.copyBytes()).isNotZero();
  }

  @Test
  void hits() {
    for (Technique technique : Technique.values()) {
      for (HandlerContext context : HandlerContext.values()) {
        var benchmark = new HitBenchmark();
        benchmark.technique = technique;
        benchmark.context = context;
        benchmark.start();
        try {
          assertThat(benchmark.hits()).isGreaterThanOrEqualTo(HitBenchmark.HITS);
        } finally {
          benchmark.stop();
        }
      }
    }
  }

  @Test
  void registration() {
    var benchmark = new RegistrationBenchmark();
    benchmark.start();
    try {
      assertThat(benchmark.readMappings()).isGreaterThan(5);
      assertThat(benchmark.describe()).isEqualTo("sleeper:main");
      assertThat(benchmark.registerAndUnregister().isActive()).isFalse();
    } finally {
      benchmark.stop();
    }
  }
}
