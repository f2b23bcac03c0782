package io.xolotl.decoder;

/**
 * Whether and how an instruction changes the flow of control. The order is that of the numbers in the tables.
 */
public enum BranchKind {
  /** No branch; system calls, interrupts and {@code iret} count as none. */
  NONE,
  /** A branch with an 8-bit displacement. */
  SHORT,
  /** A branch within the code segment: relative, indirect, or a return. */
  NEAR,
  /** A branch that may change the code segment. */
  FAR
}
