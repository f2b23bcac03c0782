package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.xolotl.bench.HitComparison.Change;
import io.xolotl.bench.HitComparison.Samples;
import io.xolotl.bench.HitComparison.Verdict;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class HitComparisonTest {

  /** As many as a run has, two a row. */
  private static final int TESTS = 130;

  private static List<Double> times(int rounds, double factor) {
    return IntStream.rangeClosed(1, rounds).mapToObj(i -> (100 + i) * factor).toList();
  }

  private static Stream<Change> changes(Samples samples) {
    return HitComparison.changes(List.of(samples)).stream();
  }

  @Test
  void identicalSamplesHaveNotChanged() {
    assertThat(changes(new Samples(times(10, 1), times(10, 1)))).singleElement().satisfies(change -> {
      assertThat(change.ratio()).isCloseTo(1, within(1e-3));
      assertThat(change.pValue()).isEqualTo(1);
      assertThat(change.verdict()).isEqualTo(Verdict.NOT_SIGNIFICANT);
    });
  }

  @Test
  void aShiftHasItsDirection() {
    assertThat(changes(new Samples(times(10, 1.5), times(10, 1)))).singleElement().satisfies(change -> {
      assertThat(change.ratio()).isCloseTo(1.5, within(1e-2));
      assertThat(change.pValue()).isLessThan(1e-4);
      assertThat(change.verdict()).isEqualTo(Verdict.SLOWER);
    });
    assertThat(changes(new Samples(times(10, 1), times(10, 2)))).singleElement().satisfies(change -> {
      assertThat(change.ratio()).isCloseTo(0.5, within(1e-2));
      assertThat(change.verdict()).isEqualTo(Verdict.FASTER);
    });
  }

  @Test
  void oneDisturbedRoundIsNoChange() {
    List<Double> disturbed = Stream.concat(times(9, 1).stream(), Stream.of(1e9)).toList();
    assertThat(changes(new Samples(disturbed, times(10, 1)))).extracting(Change::verdict)
        .containsExactly(Verdict.NOT_SIGNIFICANT);
  }

  @Test
  void fewRoundsSayNothing() {
    assertThat(changes(new Samples(times(3, 100), times(3, 1)))).extracting(Change::verdict)
        .containsExactly(Verdict.TOO_FEW_ROUNDS);
    assertThat(changes(new Samples(times(5, 100), times(5, 1)))).extracting(Change::verdict)
        .containsExactly(Verdict.SLOWER);
    // 1 in 126 is less than the level, but not of so many.
    var many = IntStream.range(0, TESTS).mapToObj(_ -> new Samples(times(5, 100), times(5, 1))).toList();
    assertThat(HitComparison.changes(many)).extracting(Change::verdict)
        .containsOnly(Verdict.TOO_FEW_ROUNDS);
    assertThat(HitComparison.changes(List.of())).isEmpty();
  }

  @Test
  void theCorrectionOfManyTests() {
    assertThat(HitComparison.holm(0.01, 0.04, 0.03, 0.005)).containsExactly(new double[]{0.03, 0.06, 0.06,
        0.02}, within(1e-12));
    assertThat(HitComparison.holm(0.9, 0.8)).containsExactly(1, 1);
    assertThat(HitComparison.holm()).isEmpty();
  }

  /** Runs that do not differ, with the noise of a machine: mostly little, sometimes much. */
  @Test
  void comparisonsOfEqualRunsStayBelowTheLevel() {
    var random = new SplittableRandom(1);
    int comparisons = 100;
    long wrong = IntStream.range(0, comparisons)
        .filter(_ -> HitComparison
            .changes(IntStream.range(0, TESTS).mapToObj(_ -> new Samples(noise(random), noise(random)))
                .toList())
            .stream().anyMatch(change -> change.verdict() != Verdict.NOT_SIGNIFICANT))
        .count();
    assertThat((double) wrong / comparisons).isLessThanOrEqualTo(HitComparison.LEVEL);
  }

  private static List<Double> noise(SplittableRandom random) {
    return DoubleStream.generate(() -> 12_000 * Math.exp(random.nextGaussian() / 10)
        * (random.nextInt(10) == 0 ? 1 + random.nextDouble() : 1)).limit(10).boxed().toList();
  }

  private static HitReport report(String cpu, long hits, HitRow... rows) {
    return new HitReport(new Environment("1", "25", "V", "6.1", cpu, 2, false, Instant.EPOCH, List.of(),
        null, new TreeMap<>()), 10, hits, List.of(rows), Optional.empty());
  }

  private static HitRow row(String instruction, double factor, @Nullable List<Double> cLoop) {
    return new HitRow(instruction, "boosted", "task", times(10, factor), times(10, 0.01), null, cLoop, null);
  }

  @Test
  void aSlowerMachineIsToldFromSlowerCode() {
    HitReport before = report("A", 100, row("nop", 1, times(10, 1)), row("ret", 1, times(10, 1)));
    HitReport now = report("A", 100, row("nop", 2, times(10, 2)), row("ret", 2, times(10, 1)));
    assertThat(HitComparison.of(now, before).rows().entrySet().stream().collect(Collectors.toMap(
        row -> row.getKey().instruction(), row -> verdicts(row.getValue()))))
        .containsEntry("nop", "SLOWER NOT_SIGNIFICANT").containsEntry("ret", "SLOWER SLOWER").hasSize(2);
  }

  private static String verdicts(HitComparison.Row row) {
    Change relative = row.cLoopRatio();
    return row.time().verdict() + " " + (relative == null ? "-" : relative.verdict());
  }

  @Test
  void whatOneRunLacksIsSaid() {
    HitRow nop = row("nop", 1, null);
    HitComparison comparison = HitComparison.of(report("A", 100, nop, row("ret", 1, null)),
        report("B", 10, row("lea", 1, null), row("nop", 1, times(10, 1))));
    assertThat(comparison.onlyNow()).extracting(HitRow.Key::toString).containsExactly("ret, boosted, task");
    assertThat(comparison.onlyBefore()).extracting(HitRow.Key::toString)
        .containsExactly("lea, boosted, task");
    assertThat(comparison.rows().keySet()).containsExactly(nop.key());
    assertThat(comparison.rows().get(nop.key())).extracting(HitComparisonTest::verdicts)
        .isEqualTo("NOT_SIGNIFICANT -");
    assertThat(comparison.differences()).containsExactly(new Environment.Difference("cpu", "B", "A"),
        new Environment.Difference("hitsPerRound", "10", "100"));
  }
}
