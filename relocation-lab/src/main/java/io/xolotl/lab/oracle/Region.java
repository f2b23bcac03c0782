package io.xolotl.lab.oracle;

/**
 * The memory that a case can use, {@link #BYTES} each, with nothing mapped before and behind it. All
 * addresses are the same in every run.
 */
public enum Region {
  /** Below 4 GiB, so that 32-bit addresses reach it too. */
  LOW(0x5000_0000L, true),
  /** Near the high code: in reach of a 32-bit displacement from there and from slots near there. */
  NEAR(Region.HIGH + 0x10_0000L, true),
  /** Where the stack pointer of a plain state is, near the high code. */
  STACK(Region.HIGH + 0x20_0000L, true),
  /**
   * In reach of a 32-bit displacement from the high code, but of no slot: nothing can be mapped in between.
   */
  FAR(Region.HIGH + 0x7f80_0000L, true),
  /** Near the high code, and not writable; byte {@code i} is {@code i * 7 + (i >> 8)}. */
  CONSTANT(Region.HIGH + 0x30_0000L, false);

  /** The size of each region: two pages. */
  public static final int BYTES = 0x2000;

  /** Where the code areas start, see {@link Case#at}. */
  static final long LOW_CODE = 0x6000_0000L;
  static final long HIGH_CODE = Region.HIGH;

  private static final long HIGH = 0x5555_0000_0000L;

  private final long address;
  private final boolean writable;

  Region(long address, boolean writable) {
    this.address = address;
    this.writable = writable;
  }

  /** {@return where it starts, a multiple of the page size} */
  public long address() {
    return address;
  }

  /** {@return the address behind it, where nothing is mapped} */
  public long end() {
    return address + BYTES;
  }

  /** {@return true if code can write it, and a state can say what is in it} */
  public boolean isWritable() {
    return writable;
  }
}
