package io.xolotl.lab.oracle;

import java.util.Arrays;

/** What a piece of code did: how it ended, and the registers and memory that it left. Immutable. */
public final class Result {

  private final Ending ending;
  private final byte[] record;
  private final XsaveImage image;

  /** The record is not copied and must not be changed. */
  Result(Ending ending, byte[] record, XsaveImage image) {
    this.ending = ending;
    this.record = record;
    this.image = image;
  }

  /** How it ended. */
  public Ending ending() {
    return ending;
  }

  /** Returns true if there are registers and memory to look at: the code came out or raised a signal. */
  public boolean hasState() {
    return switch (ending) {
      case Ending.Exited _, Ending.Signalled _ -> true;
      case Ending.Hung _, Ending.Died _ -> false;
    };
  }

  /** A general register by its number. */
  public long general(int number) {
    return quad(Layout.OUT_GENERAL + 8 * number);
  }

  /** All flags. */
  public long flags() {
    return quad(Layout.OUT_FLAGS);
  }

  /** The address that fs adds. */
  public long fsBase() {
    return quad(Layout.OUT_FS_BASE);
  }

  /** The address that gs adds. */
  public long gsBase() {
    return quad(Layout.OUT_GS_BASE);
  }

  /**
   * ds, es, fs and gs, 16 bits each, ds the lowest. The null selectors 1 to 3 count as 0, which any interrupt
   * makes of them: a return to user mode clears them (AMD64 Architecture Programmer's Manual, volume 3,
   * IRET).
   */
  long selectors() {
    long selectors = quad(Layout.OUT_SELECTORS);
    for (int shift = 0; shift < 64; shift += 16) {
      if ((selectors >>> shift & 0xfffc) == 0) {
        selectors &= ~(0xffffL << shift);
      }
    }
    return selectors;
  }

  /** The registers of x87, SSE, AVX and AVX-512, as far as the CPU has them. */
  public VectorRegisters vectors() {
    return image.read(record);
  }

  /** What is in a writable region. */
  public byte[] memory(Region region) {
    int from = Layout.region(region);
    return Arrays.copyOfRange(record, from, from + Region.BYTES);
  }

  long quad(int offset) {
    return Layout.quad(record, offset);
  }

  byte[] record() {
    return record;
  }

  @Override
  public String toString() {
    return ending.toString();
  }
}
