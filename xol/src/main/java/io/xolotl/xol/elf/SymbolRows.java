package io.xolotl.xol.elf;

import java.nio.ByteBuffer;

/**
 * The rows of a table of symbols, {@code Elf64_Sym} or {@code Elf32_Sym}. They are read where they are: an
 * object for each of a million would take more memory than the table.
 *
 * @param layout how long a row is
 * @param table all rows, of which number 0 stands for no symbol
 */
record SymbolRows(ElfLayout layout, ByteBuffer table) {

  static final int NOTYPE = 0;
  static final int OBJECT = 1;
  static final int FUNC = 2;
  static final int SECTION = 3;
  static final int FILE = 4;
  static final int GNU_IFUNC = 10;

  static final int LOCAL = 0;
  static final int WEAK = 2;

  static final int UNDEFINED = 0;
  static final int ABSOLUTE = 0xfff1;

  int count() {
    return table.limit() / layout.symbol;
  }

  private int at(int row) {
    return row * layout.symbol;
  }

  /** Where its name is in the table of strings; 0 if it has none. */
  long name(int row) {
    return Integer.toUnsignedLong(table.getInt(at(row)));
  }

  private int info(int row) {
    return Byte.toUnsignedInt(table.get(at(row) + (layout == ElfLayout.ELF64 ? 4 : 12)));
  }

  int type(int row) {
    return info(row) & 15;
  }

  int binding(int row) {
    return info(row) >> 4;
  }

  /** The section that it is defined in, or one of the constants here. */
  int section(int row) {
    return Short.toUnsignedInt(table.getShort(at(row) + (layout == ElfLayout.ELF64 ? 6 : 14)));
  }

  long value(int row) {
    return switch (layout) {
      case ELF64 -> table.getLong(at(row) + 8);
      case ELF32 -> Integer.toUnsignedLong(table.getInt(at(row) + 4));
    };
  }

  long size(int row) {
    return switch (layout) {
      case ELF64 -> table.getLong(at(row) + 16);
      case ELF32 -> Integer.toUnsignedLong(table.getInt(at(row) + 8));
    };
  }
}
