package io.xolotl.xol;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Instruction;
import java.util.Optional;

/** How the displaced instruction of a probed site is executed. */
public enum Technique {

  /** Its effect is computed on the saved registers; nothing is executed out of line. One stop a hit. */
  EMULATED,

  /** A copy with a jump back behind it is run; nothing needs to be corrected afterwards. One stop a hit. */
  BOOSTED,

  /** A copy with a breakpoint behind it is run. Two stops a hit, also for repeated string instructions. */
  TRAPPED,

  /**
   * A copy is run with the CPU's trap flag. Two stops a hit, for a repeated string instruction one an
   * iteration. The reference that the others are compared with.
   */
  SINGLE_STEPPED;

  private static final ProbeRequest FREE_CHOICE = ProbeRequest.at(0, hit -> {});

  /**
   * The technique that is chosen for an instruction by itself. A probe may get another one, because of where
   * its copy is: {@link Probe#technique} tells.
   *
   * @param instruction the instruction
   * @param classification what happens to it out of line
   * @return empty if it is refused
   */
  public static Optional<Technique> chosenFor(Instruction instruction, Classification classification) {
    return classification instanceof Classification.Refuse
        ? Optional.empty()
        : Optional.of(Techniques.choose(instruction, classification, FREE_CHOICE));
  }
}
