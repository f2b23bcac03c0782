package io.xolotl.bench;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.stream.IntStream;

/**
 * What is left of repeated measurements: the middle one, and those that half of all lie between.
 *
 * @param lower the first quartile
 * @param median the second
 * @param upper the third
 */
public record Quartiles(double lower, double median, double upper) {

  /** The quartiles of at least one value, interpolated between neighbours. */
  public static Quartiles of(double... values) {
    double[] sorted = Arrays.stream(values).sorted().toArray();
    return new Quartiles(at(sorted, 0.25), at(sorted, 0.5), at(sorted, 0.75));
  }

  /** The same of a list. */
  static Quartiles of(List<Double> values) {
    return of(values.stream().mapToDouble(value -> value).toArray());
  }

  /**
   * The quartiles of what an operation makes of each pair of measurements; those of a pair were made
   * together.
   */
  public static Quartiles ofPairs(double[] one, double[] other, DoubleBinaryOperator operation) {
    if (one.length != other.length) {
      throw new IllegalArgumentException("the arrays of a pair have different lengths");
    }
    return of(
        IntStream.range(0, one.length).mapToDouble(i -> operation.applyAsDouble(one[i], other[i])).toArray());
  }

  private static double at(double[] sorted, double fraction) {
    double position = fraction * (sorted.length - 1);
    int below = (int) position;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
  }
}
