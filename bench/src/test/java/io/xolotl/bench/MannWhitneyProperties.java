package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

class MannWhitneyProperties {

  private static final double EXACTLY = 1e-12;

  private static List<Double> values(double... values) {
    return IntStream.range(0, values.length).mapToObj(i -> values[i]).toList();
  }

  private static List<Double> tenFrom(double first) {
    return IntStream.range(0, 10).mapToObj(i -> first + i).toList();
  }

  @Example
  void samplesThatAreTheSame() {
    assertThat(MannWhitney.of(tenFrom(1), tenFrom(1))).isEqualTo(new MannWhitney(1, 0.5));
    assertThat(MannWhitney.of(values(7, 7, 7), values(7, 7))).isEqualTo(new MannWhitney(1, 0.5));
  }

  @Example
  void samplesThatDoNotMeet() {
    double two = 2.0 / 184_756;
    assertThat(MannWhitney.of(tenFrom(11), tenFrom(1)).pValue()).isCloseTo(two, within(EXACTLY));
    assertThat(MannWhitney.of(tenFrom(11), tenFrom(1)).superiority()).isEqualTo(1);
    assertThat(MannWhitney.of(tenFrom(1), tenFrom(11)).pValue()).isCloseTo(two, within(EXACTLY));
    assertThat(MannWhitney.of(tenFrom(1), tenFrom(11)).superiority()).isZero();
    assertThat(MannWhitney.leastPValue(10, 10)).isCloseTo(two, within(EXACTLY));
    assertThat(MannWhitney.leastPValue(3, 3)).isCloseTo(0.1, within(EXACTLY));
    assertThat(MannWhitney.leastPValue(1, 1)).isEqualTo(1);
  }

  /** The tables of the test have 0.0317 for U = 2 of 5 and 5 values, here counted by hand: 4 of 252 a side. */
  @Example
  void aValueOfTheTables() {
    MannWhitney test = MannWhitney.of(values(1, 2, 3, 4, 7), values(5, 6, 8, 9, 10));
    assertThat(test.pValue()).isCloseTo(8.0 / 252, within(EXACTLY));
    assertThat(test.superiority()).isEqualTo(2.0 / 25);
  }

  /**
   * What the level promises, for any values and ties: of all ways to deal values out to two samples, which
   * are equally likely if nothing differs, no greater share has a p-value up to the level than the level.
   */
  @Property(tries = 100)
  void falsePositivesStayBelowAnyLevel(@ForAll @Size(8) List<@IntRange(min = 1, max = 12) Integer> values,
      @ForAll @IntRange(min = 1, max = 7) int size, @ForAll @DoubleRange(min = 0.01, max = 1) double level) {
    int ways = 0;
    int positive = 0;
    for (int choice = 0; choice < 1 << values.size(); choice++) {
      if (Integer.bitCount(choice) == size) {
        var first = new ArrayList<Double>();
        var second = new ArrayList<Double>();
        for (int i = 0; i < values.size(); i++) {
          ((choice >> i & 1) == 1 ? first : second).add((double) values.get(i));
        }
        ways++;
        positive += MannWhitney.of(first, second).pValue() <= level ? 1 : 0;
      }
    }
    assertThat((double) positive / ways).isLessThanOrEqualTo(level + EXACTLY);
  }

  @Property(tries = 200)
  void bothSidesAgree(@ForAll @Size(min = 1, max = 12) List<@DoubleRange(min = 1, max = 1e6) Double> first,
      @ForAll @Size(min = 1, max = 12) List<@DoubleRange(min = 1, max = 1e6) Double> second) {
    MannWhitney test = MannWhitney.of(first, second);
    MannWhitney other = MannWhitney.of(second, first);
    assertThat(test.pValue()).isBetween(MannWhitney.leastPValue(first.size(), second.size()) / 2, 1.0)
        .isCloseTo(other.pValue(), within(EXACTLY));
    assertThat(test.superiority()).isCloseTo(1 - other.superiority(), within(EXACTLY));
  }
}
