package io.xolotl.decoder;

/** What the bytes are code for. */
public enum MachineMode {
  /** 64-bit code. */
  LONG_64(64),
  /**
   * 32-bit code, as a 64-bit kernel runs it (compatibility mode), in the flat segments that it gives to
   * programs.
   */
  COMPAT_32(32);

  private final int widthBits;

  MachineMode(int widthBits) {
    this.widthBits = widthBits;
  }

  /**
   * {@return how many bits of the instruction and the stack pointer count, and how many a call pushes: 64 or
   * 32}
   */
  public int widthBits() {
    return widthBits;
  }
}
