package io.xolotl.xol;

/** How the displaced instruction of a probed site is executed. */
public enum Technique {

  /** Its effect is computed on the saved registers; nothing is executed out of line. One stop a hit. */
  EMULATED,

  /** A copy with a jump back behind it is run; nothing needs to be corrected afterwards. One stop a hit. */
  BOOSTED,

  /** A copy with a breakpoint behind it is run. Two stops a hit, also for repeated string instructions. */
  TRAPPED,

  /**
   * A copy is run with the CPU's trap flag. Two stops a hit, for a repeated string instruction one an iteration. The
   * reference that the others are compared with.
   */
  SINGLE_STEPPED
}
