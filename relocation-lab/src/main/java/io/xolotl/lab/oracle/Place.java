package io.xolotl.lab.oracle;

/** Where relocated code is executed, in relation to the original. */
public enum Place {
  /** So near that a displacement of 32 bits reaches whatever the original reaches. */
  NEAR,
  /** So far that no displacement of 32 bits reaches the original, nor anything else. */
  FAR;

  static final long NEAR_DISTANCE = 0x4_0000;
  static final long FAR_AREA = 0x6aaa_0000_0000L;

  /**
   * {@return the address of the relocated code}
   *
   * @param original the address of a case, as {@link Case#at} takes it
   */
  public long of(long original) {
    return switch (this) {
      case NEAR -> original + NEAR_DISTANCE;
      case FAR -> FAR_AREA + (original >= Case.HIGH_CODE
          ? original - Case.HIGH_CODE + Case.AREA_BYTES
          : original - Case.LOW_CODE);
    };
  }
}
