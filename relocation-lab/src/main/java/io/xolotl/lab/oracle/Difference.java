package io.xolotl.lab.oracle;

/**
 * One thing in which two results differ.
 *
 * @param what a register, a place in memory, or the ending
 * @param inPlace its value after the code was executed in its place
 * @param displaced its value after it was executed displaced
 */
public record Difference(String what, String inPlace, String displaced) {

  @Override
  public String toString() {
    return what + ": in place " + inPlace + ", displaced " + displaced;
  }
}
