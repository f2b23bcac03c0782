package io.xolotl.lab.oracle;

import java.util.List;

/**
 * What a unit has come to. Immutable.
 *
 * @param tallies of each pair, in their order
 * @param found the first differences
 * @param died the numbers of the pairs that have killed the process
 */
public record UnitResult(List<PairTally> tallies, List<Found> found, List<Integer> died) {

  /** Makes copies. */
  public UnitResult {
    tallies = List.copyOf(tallies);
    found = List.copyOf(found);
    died = List.copyOf(died);
  }

  /**
   * A difference.
   *
   * @param pair number of the pair in its unit
   * @param comparison what differs, as the process has seen it
   */
  public record Found(int pair, Comparison.Different comparison) {}
}
