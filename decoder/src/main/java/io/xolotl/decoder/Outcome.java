package io.xolotl.decoder;

/** The six things that can happen to an instruction that is moved out of line. */
public enum Outcome {
  /** The bytes are copied unchanged. */
  COPY("copy"),
  /** The copy's displacement is rewritten. */
  RE_DISPLACE("re-displace"),
  /** The copy addresses memory by another register. */
  SCRATCH_REGISTER("scratch-register"),
  /** Nothing is executed out of line. */
  EMULATE("emulate"),
  /** The bytes are copied, and something is corrected after them. */
  FIX_UP("fix-up"),
  /** No probe. */
  REFUSE("refuse");

  private final String label;

  Outcome(String label) {
    this.label = label;
  }

  /** {@return the name that reports and command lines use} */
  public String label() {
    return label;
  }

  @Override
  public String toString() {
    return label;
  }
}
