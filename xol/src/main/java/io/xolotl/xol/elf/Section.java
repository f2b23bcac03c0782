package io.xolotl.xol.elf;

import java.nio.ByteBuffer;

/** A section header. jelf reads it only together with the content, whose size must be checked first. */
record Section(int index, String name, int type, long flags, long address, long offset, long size, int link,
    int info, long entrySize) {
  static final int HEADER_SIZE = 64;

  static final int SYMTAB = 2;
  static final int STRTAB = 3;
  static final int RELA = 4;
  static final int DYNAMIC = 6;
  static final int NOTE = 7;
  static final int NOBITS = 8;
  static final int DYNSYM = 11;
  static final int GNU_VERDEF = 0x6ffffffd;
  static final int GNU_VERNEED = 0x6ffffffe;
  static final int GNU_VERSYM = 0x6fffffff;

  private static final int FLAG_ALLOC = 2;
  private static final int FLAG_EXECUTABLE = 4;

  /** Reads {@code Elf64_Shdr} number {@code index} of a table. */
  static Section read(ByteBuffer table, int index, String name) {
    int at = index * HEADER_SIZE;
    return new Section(index, name, table.getInt(at + 4),
        table.getLong(at + 8), table.getLong(at + 16),
        table.getLong(at + 24), table.getLong(at + 32), table.getInt(at + 40), table.getInt(at + 44),
        table.getLong(at + 56));
  }

  /** Where the name of section number {@code index} is in the table of section names. */
  static long nameOffset(ByteBuffer table, int index) {
    return Integer.toUnsignedLong(table.getInt(index * HEADER_SIZE));
  }

  boolean isExecutable() {
    return (flags & (FLAG_ALLOC | FLAG_EXECUTABLE)) == (FLAG_ALLOC | FLAG_EXECUTABLE);
  }

  /** Tells whether an address of the file lies in the section. */
  boolean contains(long fileAddress) {
    return Long.compareUnsigned(fileAddress - address, size) < 0;
  }

  long end() {
    return address + size;
  }
}
