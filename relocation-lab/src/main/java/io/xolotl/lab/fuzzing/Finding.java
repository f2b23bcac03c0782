package io.xolotl.lab.fuzzing;

import io.xolotl.lab.oracle.Comparison;

/**
 * A difference that was found.
 *
 * @param technique the name of the way in which instructions were displaced
 * @param mnemonic of the instruction
 * @param comparison of the simplest case that shows it
 * @param count how many cases have shown it: cases with the same mnemonic, displaced in the same way, of
 *     which the same register or memory differed first
 * @param option of the command that repeats it, which says how instructions are displaced
 * @param confirmed whether the oracle that stops has found it, too
 */
public record Finding(String technique, String mnemonic, Comparison.Different comparison, long count,
    String option, boolean confirmed) {

  /**
   * One of the oracle that stops.
   *
   * @param technique see there
   * @param mnemonic see there
   * @param comparison see there
   * @param count see there
   */
  public Finding(String technique, String mnemonic, Comparison.Different comparison, long count) {
    this(technique, mnemonic, comparison, count, "--technique " + technique, true);
  }

  Finding again(long more) {
    return new Finding(technique, mnemonic, comparison, count + more, option, confirmed);
  }

  /** {@return the command that executes the case again and shows what differs} */
  public String repetition() {
    return "./xolotl fuzz " + option + " --case " + comparison.subject().token();
  }

  /** The case, its bytes, assembly and state, what differs, and the command that repeats it. */
  @Override
  public String toString() {
    return technique + ", " + comparison + (count > 1 ? "\n  and " + (count - 1) + " more like it" : "")
        + (confirmed ? "" : "\n  not confirmed by the oracle that stops")
        + "\n  repeat: "
        + repetition();
  }
}
