package io.xolotl.lab.generation;

import io.xolotl.lab.oracle.MachineState;
import io.xolotl.lab.oracle.Region;
import io.xolotl.lab.oracle.VectorRegisters;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/** Draws machine states, with more interesting values than chance would give. */
public final class StateGenerator {

  private static final int PAGE = 0x1000;
  private static final int RED_ZONE = 128;
  private static final long[] NUMBERS = {0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
      0x7fff_ffffL,
      0x8000_0000L, 0xffff_ffffL, Long.MAX_VALUE, Long.MIN_VALUE, -1, -2, -8, 1L << 47, (1L << 47) - 1};
  private static final int[] FLAGS = {0x1, 0x4, 0x10, 0x40, 0x80, 0x400, 0x800};
  private static final int AC = 0x4_0000;
  private static final int ID = 0x20_0000;

  /** Zeros, ones, infinities, not-a-numbers, denormals and limits. */
  private static final float[] FLOATS = {0f, -0f, 1f, -1.5f, Float.MIN_VALUE, -Float.MIN_VALUE,
      Float.MIN_NORMAL / 2,
      Float.MAX_VALUE, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN,
      Float.intBitsToFloat(0x7f80_0001),
      2147483648f, 0.1f};
  private static final double[] DOUBLES = {0, -0.0, 1, -1.5, Double.MIN_VALUE, -Double.MIN_VALUE,
      Double.MIN_NORMAL / 2, Double.MAX_VALUE, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN,
      Double.longBitsToDouble(0x7ff0_0000_0000_0001L), 9.3e18, 0.1};

  private StateGenerator() {}

  /**
   * Draws a state.
   *
   * @param random where from
   */
  public static MachineState draw(RandomGenerator random) {
    MachineState state = MachineState.PLAIN;
    for (int i = 0; i < MachineState.GENERAL.size(); i++) {
      if (i != MachineState.RSP) {
        state = state.withGeneral(i, number(random));
      } else if (random.nextInt(8) == 0) {
        state = state.withGeneral(i,
            random.nextBoolean() ? address(random, Region.STACK, 8) : number(random));
      }
    }
    state = state.withFlags(flags(random));
    if (random.nextInt(4) == 0) {
      state = state.withBases(base(random), base(random));
    }
    if (random.nextInt(8) != 0) {
      state = state.withVectors(vectors(random));
    }
    for (Region region : Region.values()) {
      if (region.isWritable() && random.nextInt(3) != 0) {
        state = state.withMemory(region, memory(random));
      }
    }
    return state;
  }

  private static long base(RandomGenerator random) {
    return random.nextBoolean() ? random.nextInt(0x1000) : address(random, region(random), 8);
  }

  static long flags(RandomGenerator random) {
    long flags = 0;
    for (int flag : FLAGS) {
      flags |= random.nextBoolean() ? flag : 0;
    }
    // Direction down, and checked alignment, are rare in programs.
    flags &= random.nextInt(3) == 0 ? -1 : ~0x400;
    return flags | (random.nextInt(24) == 0 ? AC : 0) | (random.nextInt(16) == 0 ? ID : 0);
  }

  /** A value for a general register. */
  static long number(RandomGenerator random) {
    return switch (random.nextInt(8)) {
      case 0 -> random.nextLong();
      case 1 -> random.nextInt();
      case 2 -> NUMBERS[random.nextInt(NUMBERS.length)];
      case 3, 4 -> address(random, region(random), 8);
      default -> random.nextInt(33);
    };
  }

  static Region region(RandomGenerator random) {
    return Region.values()[random.nextInt(Region.values().length)];
  }

  /**
   * An address in or at the edge of a region.
   *
   * @param width of what is accessed there, in bytes
   */
  static long address(RandomGenerator random, Region region, int width) {
    int size = Math.max(width, 1);
    return switch (random.nextInt(12)) {
      // The last that fits; across the end; across the page boundary in the middle; before the beginning.
      case 0 -> region.end() - size;
      case 1 -> region.end() - random.nextInt(size + 1);
      case 2 -> region.address() + PAGE - random.nextInt(size + 1);
      case 3 -> region.address() - random.nextInt(size + 1);
      // The edges of the red zone of a plain state.
      case 4 -> region.address() + PAGE - RED_ZONE - random.nextInt(2) * size;
      case 5 -> region.address() + random.nextInt(Region.BYTES);
      default -> region.address() + (random.nextInt(Region.BYTES) & -64);
    };
  }

  /** What is in a region: a block that is repeated, so that it has few bits to shrink and to print. */
  private static byte[] memory(RandomGenerator random) {
    byte[] block = new byte[64 + 8 * random.nextInt(9)];
    ByteBuffer buffer = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.remaining() >= 8) {
      buffer.putLong(word(random));
    }
    byte[] content = new byte[Region.BYTES];
    for (int i = 0; i < content.length; i++) {
      content[i] = block[i % block.length];
    }
    return content;
  }

  /** Eight bytes of a vector or of memory. */
  private static long word(RandomGenerator random) {
    return switch (random.nextInt(6)) {
      case 0 -> random.nextLong();
      case 1 -> Double.doubleToRawLongBits(DOUBLES[random.nextInt(DOUBLES.length)]);
      case 2, 3 -> (long) Float.floatToRawIntBits(FLOATS[random.nextInt(FLOATS.length)]) << 32
          | Float.floatToRawIntBits(FLOATS[random.nextInt(FLOATS.length)]) & 0xffff_ffffL;
      case 4 -> number(random);
      // Small in each half: indices of a gather.
      default -> (long) random.nextInt(64) << 32 | random.nextInt(64);
    };
  }

  /**
   * Vector registers of which no component is in its initial state, so that each is in use whatever happens
   * meanwhile.
   */
  static VectorRegisters vectorsInUse(RandomGenerator random) {
    VectorRegisters state = vectors(random).withMask(0, 1).withX87(0x27f, 0, 0xff);
    byte[] ones = new byte[VectorRegisters.VECTOR_BYTES];
    Arrays.fill(ones, (byte) 1);
    return state.withVector(0, ones).withVector(16, ones);
  }

  private static VectorRegisters vectors(RandomGenerator random) {
    VectorRegisters state = VectorRegisters.INITIAL;
    for (int i = 0; i < VectorRegisters.VECTORS; i++) {
      if (random.nextInt(4) != 0) {
        ByteBuffer vector = ByteBuffer.allocate(VectorRegisters.VECTOR_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        while (vector.hasRemaining()) {
          vector.putLong(word(random));
        }
        state = state.withVector(i, vector.array());
      }
    }
    for (int i = 0; i < 8; i++) {
      if (random.nextInt(3) != 0) {
        state = state.withMask(i, random.nextBoolean() ? random.nextLong() : number(random));
      }
    }
    // Exceptions masked, rounding and denormals as they come; now and then everything.
    state = state.withMxcsr(random.nextInt(8) == 0
        ? random.nextInt(0x1_0000)
        : 0x1f80 | random.nextInt(8) << 13 & 0xe000
            | random.nextInt(2) << 6 | random.nextInt(0x40));
    if (random.nextInt(3) != 0) {
      boolean unmasked = random.nextInt(8) == 0;
      int control = unmasked
          ? random.nextInt(0x1000) | 0x40
          : 0x7f | random.nextInt(4) << 8 | random.nextInt(4) << 10;
      int status = random.nextInt(8) << 11 | random.nextInt(0x100) << 8 & 0x4700
          | (unmasked ? random.nextInt(0x80) : 0);
      state = state.withX87(control, status, random.nextBoolean() ? 0xff : random.nextInt(0x100));
      for (int i = 0; i < 8; i++) {
        state = state.withX87(i, x87(random));
      }
    }
    return state;
  }

  private static byte[] x87(RandomGenerator random) {
    ByteBuffer value = ByteBuffer.allocate(VectorRegisters.X87_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    switch (random.nextInt(4)) {
      case 0 -> value.putLong(random.nextLong()).putShort((short) random.nextInt());
      // Infinity, a denormal, or an MMX register.
      case 1 -> value.putLong(1L << 63).putShort((short) 0x7fff);
      case 2 -> value.putLong(random.nextLong() & Long.MAX_VALUE).putShort((short) 0);
      default ->
        value.putLong(random.nextLong() | 1L << 63).putShort((short) (0x3fff - 64 + random.nextInt(128)));
    }
    return value.array();
  }
}
