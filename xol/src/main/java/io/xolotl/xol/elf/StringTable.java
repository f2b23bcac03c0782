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

  private final byte[] data;
  private long budget;

  StringTable(byte[] data) {
    this.data = data;
    // Linkers let names share their tails, so a table can stand for more characters than it has.
    this.budget = (1 << 20) + 32L * data.length;
  }

  String at(long offset) {
    if (offset < 0 || offset >= data.length) {
      throw new ElfException("a name lies outside of its string table");
    }
    int start = (int) offset;
    int end = start;
    while (end < data.length && data[end] != 0) {
      end++;
    }
    budget -= end - start;
    if (end == data.length || budget < 0) {
      throw new ElfException("a name does not end in its string table");
    }
    return new String(data, start, end - start, StandardCharsets.UTF_8);
  }
}
