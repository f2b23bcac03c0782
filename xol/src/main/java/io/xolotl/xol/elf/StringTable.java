package io.xolotl.xol.elf;

import java.nio.charset.StandardCharsets;
import net.fornwall.jelf.ElfException;

/**
 * A section of NUL-terminated strings. jelf's own table is not used, because there a malformed file can make
 * many symbols share one string of many megabytes; here all strings together are limited to a small multiple
 * of the table.
 */
final class StringTable {
  /** Has the empty name only. */
  static final StringTable EMPTY = new StringTable(new byte[1]);

  /** The longest of C++ have some thousand. */
  private static final int LONGEST = 1 << 16;
  private static final long LARGEST_BUDGET = 1 << 28;

  private final byte[] data;
  private long budget;

  StringTable(byte[] data) {
    this.data = data;
    // Linkers let names share their tails, so a table can stand for more characters than it has.
    this.budget = Math.min((1 << 20) + 32L * data.length, LARGEST_BUDGET);
  }

  String at(long offset) {
    if (offset < 0 || offset >= data.length) {
      throw new ElfException("a name lies outside of its string table");
    }
    int start = (int) offset;
    int end = start;
    while (end < data.length && data[end] != 0 && end - start <= LONGEST) {
      end++;
    }
    if (end - start > LONGEST) {
      throw new ElfException("a name in it has more than " + LONGEST + " characters");
    }
    budget -= end - start;
    if (end == data.length) {
      throw new ElfException("a name does not end in its string table");
    }
    if (budget < 0) {
      throw new ElfException("its names have more characters than those of any program");
    }
    return new String(data, start, end - start, StandardCharsets.UTF_8);
  }
}
