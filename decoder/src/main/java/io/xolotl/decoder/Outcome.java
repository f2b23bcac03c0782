package io.xolotl.decoder;

/** The six things that can happen to an instruction that is moved out of line. */
public enum Outcome {
  COPY("copy"), RE_DISPLACE("re-displace"), SCRATCH_REGISTER("scratch-register"), EMULATE("emulate"), FIX_UP(
      "fix-up"), REFUSE("refuse");

  private final String label;

  Outcome(String label) {
    this.label = label;
  }

  /** Returns the name that reports and command lines use. */
  public String label() {
    return label;
  }

  @Override
  public String toString() {
    return label;
  }
}
