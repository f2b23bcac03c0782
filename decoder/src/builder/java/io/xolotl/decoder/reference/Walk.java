package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.tables.Tables;
import java.util.SplittableRandom;

/**
 * Goes to every cell of the tables: every opcode of every space behind every row of prefixes with every modrm
 * byte. All else is random: what extends registers, vvvv, the number of a mask, SIB, displacements,
 * immediates, a segment prefix now and then. So an answer that depends on something that the tables have no
 * place for shows.
 */
final class Walk {

  private static final int[] SEGMENTS = {0x64, 0x65, 0x2e, 0x3e, 0x26, 0x36};
  private static final int TAIL = 8;
  private static final int MASKED_ROW = 0x80;
  private static final int ADDRESS_ROW = 0x100;

  private final boolean mode64;
  private final Comparison comparison;
  private final Question question;
  private final Encoder encoder;
  private final SplittableRandom random;
  private final int step;
  private long cells;

  /**
   * One that has gone nowhere.
   *
   * @param step 1 to go to every cell; more to go to one in so many, others behind each row of prefixes
   */
  Walk(boolean mode64, Comparison comparison, long seed, int step) {
    this.mode64 = mode64;
    this.step = step;
    this.comparison = comparison;
    question = new Question(mode64, false, false);
    encoder = new Encoder(mode64, question);
    random = new SplittableRandom(seed);
  }

  /** How many there were. */
  long cells() {
    return cells;
  }

  void run() {
    for (int space = 0; space < Layout.SPACES; space++) {
      for (int opcode = 0; opcode < Tables.OPCODES; opcode++) {
        if (TableBuilder.isOpcode(mode64, space, opcode)) {
          opcode(space, opcode);
        }
      }
    }
  }

  private void opcode(int space, int opcode) {
    for (int row = 0; row < 1 << Tables.rowBits(space); row++) {
      if (TableBuilder.canonicalRow(mode64, space, row) == row) {
        for (int modrm = random.nextInt(step); modrm < 256; modrm += step) {
          cell(space, opcode, row, modrm);
        }
      }
    }
  }

  private void cell(int space, int opcode, int row, int modrm) {
    int choice = random.nextInt();
    int segment = (choice & 15) == 0 ? SEGMENTS[(choice >>> 4 & 7) % SEGMENTS.length] : Encoder.NONE;
    // In 32-bit code some of the bits make the prefix lds, les or bound.
    int r = mode64 ? choice >>> 8 & 3 : choice >>> 7 & 2;
    int x = mode64 ? choice >>> 10 & 3 : choice >>> 10 & 1;
    int v = (choice & 1 << 12) != 0 ? 0 : choice >>> 13 & 31;
    encoder.encode(segment, space, opcode, row, modrm, r, x, v, choice >>> 18 & 255, choice >>> 26);
    int length = encoder.length();
    long tail = random.nextLong();
    for (int i = 0; i < TAIL; i++) {
      question.put(length - TAIL + i, (int) (tail >>> 8 * i));
    }
    if (space >= Layout.EVEX && (row & MASKED_ROW) != 0) {
      int last = (segment == Encoder.NONE ? 0 : 1) + ((row & ADDRESS_ROW) != 0 ? 1 : 0) + 3;
      question.put(last, question.get(last) & ~7 | 1 + (choice >>> 20) % 7);
    }
    comparison.compare(question.bytes(length), 0, length);
    cells++;
  }
}
