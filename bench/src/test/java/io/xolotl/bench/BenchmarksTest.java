package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.xol.HandlerContext;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the benchmarks measure happens. */
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
    assertThat(benchmark.cursor()).isEqualTo(benchmark.totalLength());
    assertThat(benchmark.cursorOutcome()).isEqualTo(benchmark.classify());
    assertThat(benchmark.copyBytes()).isNotZero();
    assertThat(benchmark.relocate()).isGreaterThan(DecodeBenchmark.INSTRUCTIONS * 6L);
  }

  @Test
  void decodingInC() throws Exception {
    assumeTrue(ZydisLoop.isStaged(), "the build of the decoder could not stage Zydis");
    assertThat(DecodeComparison.compare(1, 1)).hasSize(7).allSatisfy(result -> {
      assertThat(result.nanos()).isPositive();
      assertThat(result.ratio()[1]).isPositive();
    });
  }

  @Test
  void wholeLibraries() throws Exception {
    var benchmark = new WholeLibraryBenchmark();
    benchmark.readLibrary();
    assertThat(benchmark.lengths()).isEqualTo(benchmark.size());
    assertThat(benchmark.outcomes()).isGreaterThan(3_000_000);
    assertThat(benchmark.instructions()).isGreaterThan(3_000_000);
  }

  @Test
  void firstInstructions() throws Exception {
    assertThat(FirstInstruction.median("tables", 1)).satisfies(start -> {
      assertThat(start.millis()).isPositive();
      assertThat(start.wholeMillis()).isGreaterThan(start.millis());
    });
  }

  @Test
  void crowds() {
    for (int threads : new int[]{1, 64}) {
      for (String sites : List.of("shared", "own")) {
        var benchmark = new CrowdBenchmark();
        benchmark.threads = threads;
        benchmark.sites = sites;
        benchmark.start();
        try {
          assertThat(benchmark.hits()).isGreaterThanOrEqualTo(CrowdBenchmark.HITS);
          long expected = sites.equals("own") ? threads : 1;
          Await.until(() -> benchmark.sitesThatWereHit() == expected, () -> "hits at " + expected + " sites");
        } finally {
          benchmark.stop();
        }
      }
    }
  }

  @Test
  void tracing() {
    var benchmark = new TracerBenchmark();
    benchmark.start();
    try {
      assertThat(benchmark.callTracer()).isGreaterThan(benchmark.target().pid());
      assertThat(benchmark.readRegisters()).isNotZero();
      assertThat(benchmark.readAndWriteRegisters()).isNotZero();
      assertThat(benchmark.readVectorState()).isGreaterThanOrEqualTo(512L * TracerBenchmark.OPERATIONS);
      byte[] code = ProcFs.memory(benchmark.target().pid(), benchmark.target().address("work"), 8);
      long word = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN).getLong();
      assertThat(benchmark.readMemory()).isEqualTo(word * TracerBenchmark.OPERATIONS);
      assertThat(benchmark.stopAndContinue()).isEqualTo(TracerBenchmark.OPERATIONS);
    } finally {
      benchmark.stop();
    }
  }

  @Test
  void manyProbes() {
    var benchmark = new ManyProbesBenchmark();
    benchmark.probes = 2_000;
    benchmark.start();
    try {
      assertThat(benchmark.registerAndUnregister()).isZero();
      assertThat(benchmark.register()).isEqualTo(2_000);
      benchmark.unregister();
    } finally {
      benchmark.stop();
    }
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
      assertThat(benchmark.resolve()).isNotZero();
      assertThat(benchmark.describe()).isEqualTo("sleeper:main");
      assertThat(benchmark.registerAndUnregister().isActive()).isFalse();
    } finally {
      benchmark.stop();
    }
  }
}
