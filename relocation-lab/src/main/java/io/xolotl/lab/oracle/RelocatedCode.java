package io.xolotl.lab.oracle;

import java.util.function.IntFunction;

/** Code that does elsewhere what an instruction does in its place, and what its faults mean. Immutable. */
public final class RelocatedCode {

  /** How many bytes it may have. */
  public static final int MOST_BYTES = 0x70;

  private static final int MOST_OFFSET = 15;
  private static final int MOST_STACK_BYTES = 15 * Long.BYTES;

  private final byte[] code;
  private final byte[] faults;

  /**
   * What a fault in relocated code stands for.
   *
   * @param offset how far behind the beginning of the original its rip is: 0, or its length if it has had its
   *     effect; 0 to 15
   * @param stackBytes how much lower rsp is than at the original's fault: a multiple of 8, at most 120. What
   *     is in these bytes is not compared.
   */
  public record Fault(int offset, int stackBytes) {
    /** Checks the ranges. */
    public Fault {
      if (offset < 0 || offset > MOST_OFFSET || stackBytes < 0 || stackBytes > MOST_STACK_BYTES
          || stackBytes % Long.BYTES != 0) {
        throw new IllegalArgumentException("no fault of an instruction: " + offset + ", " + stackBytes);
      }
    }
  }

  private RelocatedCode(byte[] code, byte[] faults) {
    this.code = code;
    this.faults = faults;
  }

  /**
   * {@return relocated code}
   *
   * @param code its bytes
   * @param faults what a fault means, by the offset in the code of the instruction that raises it
   * @throws IllegalArgumentException if there are no bytes, or more than {@link #MOST_BYTES}
   */
  public static RelocatedCode of(byte[] code, IntFunction<Fault> faults) {
    if (code.length == 0 || code.length > MOST_BYTES) {
      throw new IllegalArgumentException("relocated code of " + code.length + " bytes");
    }
    byte[] map = new byte[code.length];
    for (int i = 0; i < map.length; i++) {
      Fault fault = faults.apply(i);
      map[i] = (byte) (fault.offset | fault.stackBytes / Long.BYTES << 4);
    }
    return new RelocatedCode(code.clone(), map);
  }

  /** {@return its bytes} */
  public byte[] code() {
    return code.clone();
  }

  int length() {
    return code.length;
  }

  /**
   * {@return what a fault means}
   *
   * @param offset in the code, of the instruction that raises it
   */
  public Fault fault(int offset) {
    return new Fault(faults[offset] & 15, (faults[offset] >> 4 & 15) * Long.BYTES);
  }

  /** One byte for each of the code: the offset, and above it the stack bytes in units of eight. */
  byte[] faults() {
    return faults;
  }
}
