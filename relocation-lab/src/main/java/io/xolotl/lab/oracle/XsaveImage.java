package io.xolotl.lab.oracle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Where the registers are in an XSAVE image in standard form (Intel SDM, volume 1, 13.4).
 *
 * @param mask the components that are used: bits of XCR0
 * @param offsets of the components, by number
 */
record XsaveImage(long mask, int[] offsets) {

  static final int X87_FIP = 8;

  private static final int X87_FOP = 6;

  private static final int CONTROL = 0;
  private static final int STATUS = 2;
  private static final int TAGS = 4;
  private static final int X87_FDP_END = 24;
  private static final int MXCSR = 24;
  private static final int X87 = 32;
  private static final int XMM = 160;
  private static final int LEGACY_END = 416;
  private static final int HEADER = 512;
  private static final int X87_STEP = 16;

  private static final int SSE = 1;
  private static final int AVX = 2;
  private static final int MASKS = 5;
  private static final int ZMM_HIGH = 6;
  private static final int ZMM_16_TO_31 = 7;

  private boolean has(int component) {
    return (mask >> component & 1) != 0;
  }

  /**
   * The image that loads a state.
   *
   * @param sparse do not mark components that are in their initial state, so that the CPU does not count them
   *     as in use
   */
  byte[] write(VectorRegisters state, boolean sparse) {
    byte[] image = write(state);
    if (sparse) {
      byte[] initial = write(VectorRegisters.INITIAL);
      long used = 0;
      for (int i = 0; i < Layout.XSAVE_BYTES; i++) {
        if (image[i] != initial[i]) {
          used |= 1L << componentOf(i);
        }
      }
      ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN).putLong(HEADER, used);
    }
    return image;
  }

  private int componentOf(int offset) {
    if (offset < XMM) {
      return offset >= MXCSR && offset < X87 ? SSE : 0;
    }
    if (offset < HEADER) {
      return SSE;
    }
    return within(offset, AVX, 256)
        ? AVX
        : within(offset, MASKS, 64)
            ? MASKS
            : within(offset, ZMM_HIGH, 512)
                ? ZMM_HIGH
                : ZMM_16_TO_31;
  }

  private byte[] write(VectorRegisters state) {
    byte[] image = new byte[Layout.XSAVE_BYTES];
    ByteBuffer b = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
    b.putShort(CONTROL, (short) state.x87Control()).putShort(STATUS, (short) state.x87Status())
        .put(TAGS, (byte) state.x87Tags()).putInt(MXCSR, state.mxcsr()).putLong(HEADER, mask);
    for (int i = 0; i < 8; i++) {
      b.put(X87 + i * X87_STEP, state.x87(i));
      if (has(MASKS)) {
        b.putLong(offsets[MASKS] + 8 * i, state.mask(i));
      }
    }
    for (int i = 0; i < VectorRegisters.VECTORS; i++) {
      byte[] vector = state.vector(i);
      if (i < 16) {
        b.put(XMM + 16 * i, vector, 0, 16);
        if (has(AVX)) {
          b.put(offsets[AVX] + 16 * i, vector, 16, 16);
        }
        if (has(ZMM_HIGH)) {
          b.put(offsets[ZMM_HIGH] + 32 * i, vector, 32, 32);
        }
      } else if (has(ZMM_16_TO_31)) {
        b.put(offsets[ZMM_16_TO_31] + 64 * (i - 16), vector);
      }
    }
    return image;
  }

  /** The state that is in the image of a result. */
  VectorRegisters read(byte[] record) {
    ByteBuffer b = ByteBuffer.wrap(record, Layout.XSAVE_IMAGE, Layout.XSAVE_BYTES).slice()
        .order(ByteOrder.LITTLE_ENDIAN);
    VectorRegisters state = VectorRegisters.INITIAL.withMxcsr(b.getInt(MXCSR))
        .withX87(Short.toUnsignedInt(b.getShort(CONTROL)), Short.toUnsignedInt(b.getShort(STATUS)),
            b.get(TAGS));
    for (int i = 0; i < 8; i++) {
      byte[] x87 = new byte[VectorRegisters.X87_BYTES];
      b.get(X87 + i * X87_STEP, x87);
      state = state.withX87(i, x87);
      if (has(MASKS)) {
        state = state.withMask(i, b.getLong(offsets[MASKS] + 8 * i));
      }
    }
    for (int i = 0; i < VectorRegisters.VECTORS; i++) {
      byte[] vector = new byte[VectorRegisters.VECTOR_BYTES];
      if (i < 16) {
        b.get(XMM + 16 * i, vector, 0, 16);
        if (has(AVX)) {
          b.get(offsets[AVX] + 16 * i, vector, 16, 16);
        }
        if (has(ZMM_HIGH)) {
          b.get(offsets[ZMM_HIGH] + 32 * i, vector, 32, 32);
        }
      } else if (has(ZMM_16_TO_31)) {
        b.get(offsets[ZMM_16_TO_31] + 64 * (i - 16), vector);
      }
      state = state.withVector(i, vector);
    }
    return state;
  }

  /** What of the last x87 instruction is compared. */
  enum LastX87 {
    /** All that is known of it. */
    ALL,
    /** Its opcode and operand, not its address. */
    EXCEPT_ADDRESS,
    /** Nothing. */
    NOTHING
  }

  /**
   * Makes images of equal states equal: clears what is not compared of the last x87 instruction, what the
   * kernel adds to a signal frame, and the header, in which a component in its initial state may or may not
   * be marked.
   */
  void normalize(byte[] record, LastX87 compared) {
    int from = Layout.XSAVE_IMAGE;
    switch (compared) {
      case ALL -> {
      }
      case EXCEPT_ADDRESS -> Arrays.fill(record, from + X87_FIP, from + X87_FIP + 8, (byte) 0);
      case NOTHING -> Arrays.fill(record, from + X87_FOP, from + X87_FDP_END, (byte) 0);
    }
    for (int i = 0; i < 8; i++) {
      // Padding of the x87 registers is reserved.
      int padding = from + X87 + i * X87_STEP + VectorRegisters.X87_BYTES;
      Arrays.fill(record, padding, from + X87 + (i + 1) * X87_STEP, (byte) 0);
    }
    Arrays.fill(record, from + LEGACY_END, from + HEADER + 64, (byte) 0);
    // Between the components and behind them is whatever was there.
    for (int i = HEADER + 64; i < Layout.XSAVE_BYTES; i++) {
      if (!within(i, AVX, 256) && !within(i, MASKS, 64) && !within(i, ZMM_HIGH, 512)
          && !within(i, ZMM_16_TO_31, 1024)) {
        record[from + i] = 0;
      }
    }
  }

  /** The name of the register that a byte of an image belongs to. */
  String nameOf(int offset) {
    if (offset < X87) {
      return switch (offset) {
        case 0, 1 -> "fcw";
        case 2, 3 -> "fsw";
        case 4, 5 -> "ftw";
        case 6, 7 -> "fop";
        case 8, 9, 10, 11, 12, 13, 14, 15 -> "fip";
        case 16, 17, 18, 19, 20, 21, 22, 23 -> "fdp";
        default -> "mxcsr";
      };
    }
    if (offset < XMM) {
      return "st" + (offset - X87) / X87_STEP;
    }
    if (offset < HEADER) {
      return "zmm" + (offset - XMM) / 16;
    }
    if (within(offset, AVX, 256)) {
      return "zmm" + (offset - offsets[AVX]) / 16;
    }
    if (within(offset, MASKS, 64)) {
      return "k" + (offset - offsets[MASKS]) / 8;
    }
    if (within(offset, ZMM_HIGH, 512)) {
      return "zmm" + (offset - offsets[ZMM_HIGH]) / 32;
    }
    if (within(offset, ZMM_16_TO_31, 1024)) {
      return "zmm" + (16 + (offset - offsets[ZMM_16_TO_31]) / 64);
    }
    return "byte " + offset + " of the XSAVE image";
  }

  private boolean within(int offset, int component, int bytes) {
    return has(component) && offset >= offsets[component] && offset < offsets[component] + bytes;
  }
}
