package io.xolotl.bench;

import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/**
 * The test of Mann and Whitney: whether two samples may come from one distribution, whatever that is. It
 * looks at the order of the values only, so one round that something disturbed counts no more than another.
 *
 * <p>The distribution of its statistic is counted out, with ties: an approximation would not do for ten
 * values.
 *
 * @param pValue how likely one distribution would give samples that are at least as far apart
 * @param superiority the share of all pairs, one value of each sample, in which the first is greater; equal
 *     values count half
 */
record MannWhitney(double pValue, double superiority) {

  /** Compares two samples of at least one value each. */
  static MannWhitney of(List<Double> first, List<Double> second) {
    int n = first.size();
    int all = n + second.size();
    int[] ranks = doubledRanks(first, second);
    int sum = 0;
    for (int i = 0; i < n; i++) {
      sum += ranks[i];
    }
    double[] ways = waysBySum(ranks, n);
    int mean = n * (all + 1);
    double extreme = 0;
    for (int i = 0; i < ways.length; i++) {
      if (Math.abs(i - mean) >= Math.abs(sum - mean)) {
        extreme += ways[i];
      }
    }
    double pValue = Math.min(1, extreme / DoubleStream.of(ways).sum());
    double greater = (sum - n * (n + 1)) / 2.0;
    return new MannWhitney(pValue, greater / ((double) n * second.size()));
  }

  /** The least p-value that samples of two sizes can have: all values of one are greater. */
  static double leastPValue(int n, int m) {
    double choices = 1;
    for (int i = 1; i <= n; i++) {
      choices = choices * (m + i) / i;
    }
    return Math.min(1, 2 / choices);
  }

  /** Twice the ranks, since equal values share the mean of theirs; those of the first sample first. */
  private static int[] doubledRanks(List<Double> first, List<Double> second) {
    double[] values = Stream.of(first, second).flatMap(List::stream).mapToDouble(value -> value).toArray();
    int[] ranks = new int[values.length];
    for (int i = 0; i < values.length; i++) {
      for (double value : values) {
        ranks[i] += value < values[i] ? 2 : value == values[i] ? 1 : 0;
      }
      // The value itself is as large as itself.
      ranks[i]++;
    }
    return ranks;
  }

  /** How many choices of n ranks have each sum. */
  private static double[] waysBySum(int[] ranks, int n) {
    int total = 0;
    double[][] ways = new double[n + 1][ranks.length * (ranks.length + 1) + 1];
    ways[0][0] = 1;
    for (int seen = 0; seen < ranks.length; seen++) {
      total += ranks[seen];
      for (int chosen = Math.min(n, seen + 1); chosen > 0; chosen--) {
        for (int sum = total; sum >= ranks[seen]; sum--) {
          ways[chosen][sum] += ways[chosen - 1][sum - ranks[seen]];
        }
      }
    }
    return ways[n];
  }
}
