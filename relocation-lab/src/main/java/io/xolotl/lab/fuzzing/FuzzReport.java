package io.xolotl.lab.fuzzing;

import java.time.Duration;
import java.util.List;
import java.util.SortedMap;

/**
 * What fuzzing has come to so far. Immutable.
 *
 * @param seed from which all cases follow
 * @param cases how many were drawn
 * @param executed how many were executed displaced, each technique counted
 * @param refused how many were refused
 * @param unrepeatable how many have no result that could be compared, each technique counted
 * @param mnemonics how many there were among the cases that were executed displaced
 * @param classes the same numbers by class of the first instruction
 * @param findings the differences, in the order in which they were found
 * @param elapsed how long it took
 */
public record FuzzReport(long seed, long cases, long executed, long refused, long unrepeatable, int mnemonics,
    SortedMap<String, Tally> classes, List<Finding> findings, Duration elapsed) {

  /**
   * Numbers of one class of instructions.
   *
   * @param cases how many were drawn
   * @param executed how many were executed displaced, each technique counted
   * @param refused how many were refused
   * @param differences how many were different, each technique counted
   */
  public record Tally(long cases, long executed, long refused, long differences) {
    static final Tally NONE = new Tally(0, 0, 0, 0);

    Tally plus(Tally other) {
      return new Tally(cases + other.cases, executed + other.executed, refused + other.refused,
          differences + other.differences);
    }
  }

  /** The numbers, and all findings. */
  @Override
  public String toString() {
    var text = new StringBuilder(
        "%d cases, %d executed displaced in %d s, %d refused, %d mnemonics, %d differences, seed %d"
            .formatted(cases, executed, elapsed.toSeconds(), refused, mnemonics, differences(), seed));
    findings.forEach(finding -> text.append("\n\n").append(finding));
    return text.toString();
  }

  /** {@return how many displaced executions were different from those in place} */
  public long differences() {
    return findings.stream().mapToLong(Finding::count).sum();
  }
}
