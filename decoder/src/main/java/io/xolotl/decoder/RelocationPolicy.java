package io.xolotl.decoder;

/** Whether copies of instructions may differ from the original bytes. */
public enum RelocationPolicy {
  /**
   * Only position-independent bytes are ever copied: an instruction whose copy would need a RIP-relative
   * fix-up (re-displace or scratch register) is refused. Emulation is no such fix-up, because nothing is
   * copied: {@code lea rax, [rip+d]}, {@code call [rip+d]} and {@code nop [rip+d]} are accepted.
   */
  STRICT,
  /** RIP-relative copies are fixed up. */
  FULL;

  /**
   * {@return true if an instruction may be copied at all: its copy can be the same bytes, or be changed}
   *
   * @param instruction the instruction
   */
  public boolean allowsCopy(DecodedInstruction instruction) {
    return this == FULL || !instruction.isRipRelative();
  }
}
