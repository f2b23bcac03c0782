package io.xolotl.decoder;

/** The near branches that test the count register. */
public enum LoopKind {
  /** Decrements the count, and branches if it is not zero then. */
  LOOP,
  /** Decrements the count, and branches if it is not zero then and ZF is set. */
  LOOPE,
  /** Decrements the count, and branches if it is not zero then and ZF is clear. */
  LOOPNE,
  /** Branches if the count is zero, and leaves it alone; {@code jecxz} is this with 32-bit addresses. */
  JRCXZ
}
