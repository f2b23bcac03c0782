package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.tables.TableBackend;

/**
 * Writes the bytes that lead to a cell of the tables: an opcode of a space, behind what its row says, with a
 * modrm byte. What else the instruction has is chosen by the caller.
 */
final class Encoder {

  /** Not a byte: no segment prefix. */
  static final int NONE = -1;

  private static final int FILL = 12;

  private final boolean mode64;
  private final Question question;
  private int length;

  Encoder(boolean mode64, Question question) {
    this.mode64 = mode64;
    this.question = question;
  }

  /** How many bytes were written, those included that no instruction reaches. */
  int length() {
    return length;
  }

  private void put(int b) {
    question.put(length++, b);
  }

  /**
   * Writes.
   *
   * @param segment a segment prefix or {@link #NONE}
   * @param space where the opcode is looked up
   * @param row what the prefixes say; {@link TableBackend} and {@code docs/decoder.md} have the bits
   * @param r extension of reg: for XOP and VEX one bit, for EVEX two
   * @param x extension of rm: B, and X above it
   * @param v vvvv, with V' above it
   * @param sib the SIB byte, if modrm asks for one
   * @param filler the byte behind modrm and SIB
   */
  void encode(int segment, int space, int opcode, int row, int modrm, int r, int x, int v, int sib,
      int filler) {
    length = 0;
    if (segment != NONE) {
      put(segment);
    }
    if (space < Layout.XOP) {
      legacy(space, opcode, row, modrm, sib, filler);
    } else if (space < Layout.EVEX) {
      vex(space, opcode, row, modrm, r, x, v, sib, filler);
    } else {
      evex(space, opcode, row, modrm, r, x, v, sib, filler);
    }
  }

  private void legacy(int space, int opcode, int row, int modrm, int sib, int filler) {
    if ((row & 0x80) != 0) {
      put(0xf0);
    }
    if ((row & 0x40) != 0) {
      put(0x67);
    }
    if ((row & 4) != 0) {
      put(0x66);
    }
    if ((row & 3) != 0) {
      put((row & 3) == 1 ? 0xf2 : 0xf3);
    }
    if ((row & 0x38) != 0) {
      put(0x40 | row & 8 | (row & 16) >> 2 | (row & 32) >> 5);
    }
    if (space > 0) {
      put(0x0f);
    }
    boolean address16 = !mode64 && (row & 0x40) != 0;
    switch (space) {
      case 2 -> put(0x38);
      case 3 -> put(0x3a);
      case Layout.THREE_DNOW -> {
        put(0x0f);
        address(modrm, sib, address16);
        for (int i = TableBackend.displacementSize(modrm, sib, address16); i > 0; i--) {
          put(1);
        }
        put(opcode);
        fill(filler);
        return;
      }
      default -> {
      }
    }
    put(opcode);
    address(modrm, sib, address16);
    fill(filler);
  }

  private void vex(int space, int opcode, int row, int modrm, int r, int x, int v, int sib, int filler) {
    boolean address = (row & 16) != 0;
    if (address) {
      put(0x67);
    }
    boolean xop = space < Layout.VEX;
    put(xop ? 0x8f : 0xc4);
    put((~r & 1) << 7 | (~x >> 1 & 1) << 6 | (~x & 1) << 5
        | (xop ? space - Layout.XOP + 8 : space - Layout.VEX));
    put((row >> 2 & 1) << 7 | (~v & 15) << 3 | (row >> 3 & 1) << 2 | row & 3);
    put(opcode);
    address(modrm, sib, address && !mode64);
    fill(filler);
  }

  private void evex(int space, int opcode, int row, int modrm, int r, int x, int v, int sib, int filler) {
    boolean address = (row & 0x100) != 0;
    if (address) {
      put(0x67);
    }
    put(0x62);
    put((~r & 1) << 7 | (~x >> 1 & 1) << 6 | (~x & 1) << 5 | (~r >> 1 & 1) << 4 | space - Layout.EVEX);
    put((row >> 2 & 1) << 7 | (~v & 15) << 3 | 4 | row & 3);
    int mask = (row & 0x80) == 0 ? 0 : 3;
    put((row >> 6 & 1) << 7 | (row >> 3 & 3) << 5 | (row >> 5 & 1) << 4 | (~v >> 4 & 1) << 3 | mask);
    put(opcode);
    address(modrm, sib, address && !mode64);
    fill(filler);
  }

  private void address(int modrm, int sib, boolean address16) {
    put(modrm);
    if (modrm >> 6 != 3 && (modrm & 7) == 4 && !address16) {
      put(sib);
    }
  }

  private void fill(int filler) {
    put(filler);
    for (int i = 1; i < FILL; i++) {
      put(0x91 + i);
    }
  }
}
