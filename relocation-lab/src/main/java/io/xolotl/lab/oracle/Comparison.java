package io.xolotl.lab.oracle;

import java.util.List;

/** What came out of executing a case in its place and displaced. */
public sealed interface Comparison {

  /** {@return the case} */
  Case subject();

  /**
   * No difference.
   *
   * @param subject the case
   * @param result of executing it in its place
   */
  record Same(Case subject, Result result) implements Comparison {}

  /**
   * One of its instructions cannot be displaced, or none of them in the way that is tested.
   *
   * @param subject the case
   * @param refusal of the first such instruction
   */
  record NotDisplaced(Case subject, Displacer.Refusal refusal) implements Comparison {}

  /**
   * It has no result that could be compared: in its place it does now this and now that.
   *
   * @param subject the case
   * @param endings that it had in its place
   */
  record Unrepeatable(Case subject, List<Ending> endings) implements Comparison {}

  /**
   * The results differ.
   *
   * @param subject the case
   * @param inPlace the result of executing it in its place
   * @param displaced the result of executing it displaced
   * @param differences how they differ, the most telling first; at least one
   */
  record Different(Case subject, Result inPlace, Result displaced, List<Difference> differences)
      implements
        Comparison {

    /** The case, and each difference in a line. */
    @Override
    public String toString() {
      return subject + "\n  in place: " + inPlace + "\n  "
          + String.join("\n  ", differences.stream().map(Difference::toString).toList());
    }
  }
}
