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
 */
public record Finding(String technique, String mnemonic, Comparison.Different comparison, long count) {

  /** {@return the command that executes the case again and shows what differs} */
  public String repetition() {
    return "./xolotl fuzz --technique " + technique + " --case " + comparison.subject().token();
  }

  /** The case, its bytes, assembly and state, what differs, and the command that repeats it. */
  @Override
  public String toString() {
    return technique + ", " + comparison + (count > 1 ? "\n  and " + (count - 1) + " more like it" : "")
        + "\n  repeat: "
        + repetition();
  }
}
