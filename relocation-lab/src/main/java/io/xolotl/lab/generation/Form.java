package io.xolotl.lab.generation;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * One way to encode a mnemonic: everything that decides which instruction it is. What it leaves open
 * (registers, memory operands, immediates, further prefixes) is drawn.
 *
 * @param kind of the prefix that carries the opcode map
 * @param map opcode map: legacy 0 to 3; VEX 1 to 3 and more; EVEX 1 to 6; XOP 8 to 10
 * @param opcode its byte; with 3DNow! the one at the end
 * @param mandatory prefix by the number that VEX gives it: none, 66, f3, f2
 * @param wide REX.W, VEX.W or EVEX.W
 * @param length VEX.L or EVEX.L'L
 * @param broadcast EVEX.b
 * @param modrms samples of the modrm bytes that make it this mnemonic
 */
record Form(Kind kind, int map, int opcode, int mandatory, boolean wide, int length, boolean broadcast,
    byte[] modrms) {

  /** How the opcode map is encoded. */
  enum Kind {
    LEGACY, THREE_DNOW, VEX, EVEX, XOP
  }

  private static final int[] PREFIXES = {0, 0x66, 0xf3, 0xf2};
  private static final int[] SEGMENTS = {0x64, 0x65, 0x2e, 0x3e, 0x26, 0x36};
  private static final int[] IMMEDIATES = {0, 1, 2, 3, 7, 8, 0x10, 0x1f, 0x3f, 0x40, 0x7f, 0x80, 0xff};

  /** Bytes to decode that show what the form with a modrm byte is. */
  byte[] sample(int modrm) {
    var code = new Code();
    switch (kind) {
      case LEGACY, THREE_DNOW -> {
        if (mandatory != 0) {
          code.add(PREFIXES[mandatory]);
        }
        if (wide) {
          code.add(0x48);
        }
        addLegacyOpcode(code);
      }
      case VEX -> code.add(0xc4, 0xe0 | map, (wide ? 0x80 : 0) | 0x78 | length << 2 | mandatory, opcode);
      case XOP -> code.add(0x8f, 0xe0 | map, (wide ? 0x80 : 0) | 0x78 | length << 2 | mandatory, opcode);
      // With mask k1: gathers and scatters have none without.
      case EVEX -> code.add(0x62, 0xf0 | map, (wide ? 0x80 : 0) | 0x7c | mandatory,
          length << 5 | (broadcast ? 0x10 : 0) | 0x08 | 1, opcode);
    }
    code.add(modrm);
    if ((modrm & 0xc7) == 4) {
      // No base, no index.
      code.add(0x21);
    }
    if (kind == Kind.THREE_DNOW) {
      code.add(opcode);
    }
    return code.padded();
  }

  private void addLegacyOpcode(Code code) {
    if (kind == Kind.THREE_DNOW) {
      code.add(0x0f, 0x0f);
      return;
    }
    switch (map) {
      case 0 -> code.add(opcode);
      case 1 -> code.add(0x0f, opcode);
      case 2 -> code.add(0x0f, 0x38, opcode);
      default -> code.add(0x0f, 0x3a, opcode);
    }
  }

  /**
   * Draws what the form leaves open. The result need not be valid.
   *
   * @param random where from
   * @return bytes with one instruction, or none, at their beginning
   */
  byte[] draw(RandomGenerator random) {
    var code = new Code();
    int modrm = modrms[random.nextInt(modrms.length)];
    if ((modrm & 0xc0) != 0xc0) {
      modrm = modrm & 0x38 | random.nextInt(3) << 6 | random.nextInt(8);
      if (random.nextInt(5) == 0) {
        // Relative to rip.
        modrm = modrm & 0x38 | 5;
      }
    } else if (kind != Kind.LEGACY) {
      modrm = modrm & 0xf8 | random.nextInt(8);
    }
    int extensions = random.nextInt(3) == 0 ? 0 : random.nextInt(8);
    if (random.nextInt(12) == 0) {
      code.add(0x67);
    }
    if (random.nextInt(8) == 0) {
      code.add(SEGMENTS[random.nextInt(random.nextBoolean() ? 2 : SEGMENTS.length)]);
    }
    switch (kind) {
      case LEGACY, THREE_DNOW -> {
        if (random.nextInt(16) == 0) {
          code.add(0xf0);
        }
        if (random.nextInt(16) == 0) {
          code.add(PREFIXES[1 + random.nextInt(3)]);
        }
        if (mandatory != 0) {
          code.add(PREFIXES[mandatory]);
        }
        if (wide || extensions != 0 || random.nextInt(4) == 0) {
          code.add(0x40 | (wide ? 8 : 0) | extensions);
        }
        addLegacyOpcode(code);
      }
      case VEX -> {
        int last = (random.nextBoolean() ? 0x78 : random.nextInt(16) << 3) | length << 2 | mandatory;
        if (map == 1 && !wide && (extensions & 3) == 0 && random.nextBoolean()) {
          code.add(0xc5, (~extensions << 5 & 0x80) | last);
        } else {
          code.add(0xc4, ~extensions << 5 & 0xe0 | map, (wide ? 0x80 : 0) | last);
        }
        code.add(opcode);
      }
      case XOP -> code.add(0x8f, ~extensions << 5 & 0xe0 | map,
          (wide ? 0x80 : 0) | (random.nextBoolean() ? 0x78 : random.nextInt(16) << 3) | length << 2
              | mandatory,
          opcode);
      case EVEX -> {
        int high = random.nextInt(4) == 0 ? random.nextInt(4) : 3;
        int vvvv = random.nextBoolean() ? 0x78 : random.nextInt(16) << 3;
        int mask = random.nextBoolean() ? 0 : random.nextInt(8);
        boolean zeroing = mask != 0 && random.nextInt(3) == 0;
        code.add(0x62, ~extensions << 5 & 0xe0 | (high & 1) << 4 | map,
            (wide ? 0x80 : 0) | vvvv | 4 | mandatory,
            (zeroing ? 0x80 : 0) | length << 5 | (broadcast ? 0x10 : 0) | (high & 2) << 2 | mask, opcode);
      }
    }
    code.add(modrm);
    addMemory(code, modrm, random);
    if (kind == Kind.THREE_DNOW) {
      code.add(opcode);
    }
    for (int i = 0; i < 8; i++) {
      code.add(random.nextInt(3) == 0 ? random.nextInt(256) : IMMEDIATES[random.nextInt(IMMEDIATES.length)]);
    }
    return code.padded();
  }

  private static void addMemory(Code code, int modrm, RandomGenerator random) {
    int mod = modrm >>> 6 & 3;
    if (mod == 3) {
      return;
    }
    int sib = random.nextInt(256);
    boolean hasSib = (modrm & 7) == 4;
    if (hasSib) {
      code.add(sib);
    }
    if (mod == 1) {
      code.add(random.nextInt(256));
    } else if (mod == 2 || (modrm & 7) == 5 || hasSib && (sib & 7) == 5) {
      // Often small, so that few registers reach mapped memory by chance.
      int displacement = switch (random.nextInt(4)) {
        case 0 -> random.nextInt();
        case 1 -> 0;
        default -> random.nextInt(0x2000) - 0x1000;
      };
      code.add(displacement, displacement >> 8, displacement >> 16, displacement >> 24);
    }
  }

  /** Bytes, one after the other. */
  private static final class Code {

    private final byte[] bytes = new byte[40];
    private int length;

    void add(int... more) {
      for (int b : more) {
        bytes[length++] = (byte) b;
      }
    }

    byte[] padded() {
      return Arrays.copyOf(bytes, Math.max(length, 24));
    }
  }
}
