package io.xolotl.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What has changed since an earlier run, row by row.
 *
 * <p>Two questions are asked of a row: whether its time has changed, and whether its time in proportion to
 * the tracer in C has, which was measured in the same rounds and so has the same machine around it. Each is
 * answered by a {@link MannWhitney} test of the rounds. Many tests at once find something by chance, so
 * Holm's method corrects them: no more than one comparison in twenty of runs that do not differ has any
 * change that is called significant.
 *
 * @param before the earlier run
 * @param differences what else is different
 * @param rows what has become of each row that both have
 * @param onlyBefore the rows that the earlier run has alone
 * @param onlyNow the rows that it does not have
 */
public record HitComparison(HitReport before, List<Environment.Difference> differences,
    Map<HitRow.Key, Row> rows, List<HitRow.Key> onlyBefore, List<HitRow.Key> onlyNow) {

  /** How likely it may be that anything is called significant where nothing has changed. */
  public static final double LEVEL = 0.05;

  /** What is known of a change. */
  public enum Verdict {
    FASTER, SLOWER, NOT_SIGNIFICANT,
    /** Even if all values were greater, or all smaller, so few could not show it. */
    TOO_FEW_ROUNDS;

    /** As it is printed. */
    public String label() {
      return HitRow.label(this);
    }
  }

  /**
   * A change.
   *
   * @param ratio how many times as long it takes: the median of the ratios of each value now to each before
   *     (Hodges and Lehmann), so that it and the test agree on the direction
   * @param pValue how likely chance alone would give a change as clear as this in any of the rows
   * @param verdict what that means
   */
  public record Change(double ratio, double pValue, Verdict verdict) {}

  /**
   * A row that both runs have.
   *
   * @param before its time in the earlier one
   * @param time how that has changed
   * @param cLoopRatio how the proportion to the tracer in C has; null if one of the runs has none
   */
  public record Row(Quartiles before, Change time, @Nullable Change cLoopRatio) {}

  /** The values of a run, and of an earlier one. */
  record Samples(List<Double> now, List<Double> before) {}

  /** Compares two runs. */
  public static HitComparison of(HitReport now, HitReport before) {
    Map<HitRow.Key, HitRow> rowsNow = byKey(now);
    Map<HitRow.Key, HitRow> rowsBefore = byKey(before);
    var samples = new ArrayList<Samples>();
    for (HitRow row : now.rows()) {
      HitRow earlier = rowsBefore.get(row.key());
      if (earlier != null) {
        samples.add(new Samples(row.rounds(), earlier.rounds()));
        Samples ratios = cLoopRatios(row, earlier);
        if (ratios != null) {
          samples.add(ratios);
        }
      }
    }
    Iterator<Change> changes = changes(samples).iterator();
    var rows = new LinkedHashMap<HitRow.Key, Row>();
    for (HitRow row : now.rows()) {
      HitRow earlier = rowsBefore.get(row.key());
      if (earlier != null) {
        rows.put(row.key(), new Row(earlier.nanos(), changes.next(),
            cLoopRatios(row, earlier) == null ? null : changes.next()));
      }
    }
    return new HitComparison(before, differences(now, before), rows, without(rowsBefore, rowsNow),
        without(rowsNow, rowsBefore));
  }

  private static Map<HitRow.Key, HitRow> byKey(HitReport report) {
    var rows = new LinkedHashMap<HitRow.Key, HitRow>();
    report.rows().forEach(row -> rows.put(row.key(), row));
    return rows;
  }

  private static @Nullable Samples cLoopRatios(HitRow now, HitRow before) {
    List<Double> ratiosNow = now.cLoopRatioRounds();
    List<Double> ratiosBefore = before.cLoopRatioRounds();
    return ratiosNow == null || ratiosBefore == null ? null : new Samples(ratiosNow, ratiosBefore);
  }

  private static List<Environment.Difference> differences(HitReport now, HitReport before) {
    var differences = new ArrayList<>(now.environment().differencesFrom(before.environment()));
    if (now.hitsPerRound() != before.hitsPerRound()) {
      differences.add(new Environment.Difference("hitsPerRound", Long.toString(before.hitsPerRound()),
          Long.toString(now.hitsPerRound())));
    }
    return differences;
  }

  private static List<HitRow.Key> without(Map<HitRow.Key, HitRow> rows, Map<HitRow.Key, HitRow> others) {
    return rows.keySet().stream().filter(key -> !others.containsKey(key)).toList();
  }

  /** Tests all samples of a comparison. */
  static List<Change> changes(List<Samples> samples) {
    List<MannWhitney> tests = samples.stream().map(each -> MannWhitney.of(each.now(), each.before()))
        .toList();
    double[] corrected = holm(tests.stream().mapToDouble(MannWhitney::pValue).toArray());
    return IntStream.range(0, samples.size())
        .mapToObj(i -> new Change(ratio(samples.get(i)), corrected[i],
            verdict(samples.get(i), tests.get(i), corrected[i], samples.size())))
        .toList();
  }

  private static Verdict verdict(Samples samples, MannWhitney test, double corrected, int tests) {
    if (corrected <= LEVEL) {
      return test.superiority() > 0.5 ? Verdict.SLOWER : Verdict.FASTER;
    }
    double least = MannWhitney.leastPValue(samples.now().size(), samples.before().size());
    return least * tests > LEVEL ? Verdict.TOO_FEW_ROUNDS : Verdict.NOT_SIGNIFICANT;
  }

  private static double ratio(Samples samples) {
    return Quartiles.of(samples.now().stream()
        .flatMap(now -> samples.before().stream().map(before -> now / before)).toList()).median();
  }

  /**
   * Holm's correction: the least p-value is multiplied by the number of tests, the next one by one less, and
   * none becomes less than one before it. It holds however the tests depend on one another, as those of one
   * run do.
   */
  static double[] holm(double... pValues) {
    int[] order = IntStream.range(0, pValues.length).boxed().sorted(Comparator.comparing(i -> pValues[i]))
        .mapToInt(i -> i).toArray();
    double[] corrected = new double[pValues.length];
    double greatest = 0;
    for (int i = 0; i < order.length; i++) {
      greatest = Math.max(greatest, Math.min(1, (order.length - i) * pValues[order[i]]));
      corrected[order[i]] = greatest;
    }
    return corrected;
  }
}
