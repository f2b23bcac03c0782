package io.xolotl.decoder.reference;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/**
 * Random bytes of which many are instructions: plain ones, and such as begin with prefixes, escapes, or the
 * first bytes of XOP, VEX and EVEX with the bits that most instructions want.
 */
public final class RandomCode {

  /** How many bytes each string has: one more than an instruction may have. */
  public static final int SIZE = 16;

  private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class,
      ByteOrder.LITTLE_ENDIAN);

  private static final int[] PREFIXES = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x64, 0x65, 0x2e, 0x3e, 0x26, 0x36,
      0x48,
      0x41, 0x44, 0x4f, 0x40};

  private final SplittableRandom random;

  /** The same strings for the same seed. */
  public RandomCode(long seed) {
    random = new SplittableRandom(seed);
  }

  /** Fills an array of {@link #SIZE} bytes; returns how many of them count, of an eighth fewer than all. */
  public int fill(byte[] code) {
    LONG.set(code, 0, random.nextLong());
    LONG.set(code, 8, random.nextLong());
    int choice = random.nextInt();
    int at = (choice & 4) == 0 ? 0 : choice & 3;
    choice >>>= 3;
    for (int i = 0; i < at; i++) {
      code[i] = (byte) PREFIXES[choice & 15];
      choice >>>= 4;
    }
    switch (random.nextInt(10)) {
      case 0 -> code[at] = 0x0f;
      case 1 -> put(code, at, 0x0f, 0x38);
      case 2 -> put(code, at, 0x0f, 0x3a);
      case 3 -> put(code, at, 0xc4, code[at + 1] & 0xe3);
      case 4 -> code[at] = (byte) 0xc5;
      case 5 -> put(code, at, 0x62, code[at + 1] & 0xf7, code[at + 2] | 4);
      case 6 -> {
        put(code, at, 0x62, code[at + 1] & 0xf7, code[at + 2] | 4);
        // No vvvv, neither its upper bit; no zeroing.
        code[at + 2] |= (byte) ((choice & 1) != 0 ? 0x78 : 0);
        code[at + 3] |= (byte) ((choice & 2) != 0 ? 0x08 : 0);
        code[at + 3] &= (byte) ((choice & 4) != 0 ? 0x7f : 0xff);
      }
      case 7 -> put(code, at, 0x8f, code[at + 1] & 0xe0 | 8 + (choice & 3) % 3);
      default -> {
      }
    }
    return random.nextInt(8) == 0 ? 1 + random.nextInt(SIZE - 1) : SIZE;
  }

  private static void put(byte[] code, int at, int... bytes) {
    for (int i = 0; i < bytes.length; i++) {
      code[at + i] = (byte) bytes[i];
    }
  }
}
