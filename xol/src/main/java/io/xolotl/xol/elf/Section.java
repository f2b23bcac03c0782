package io.xolotl.xol.elf;

import java.nio.ByteBuffer;

/** A section header. jelf reads it only together with the content, whose size must be checked first. */
record Section(int index, String name, int type, long flags, long address, long offset, long size, int link,
    int info, long entrySize) {
  static final int SYMTAB = 2;
  static final int STRTAB = 3;
  static final int RELA = 4;
  static final int REL = 9;
  static final int DYNAMIC = 6;
  static final int NOTE = 7;
  static final int NOBITS = 8;
  static final int DYNSYM = 11;
  static final int GNU_VERDEF = 0x6ffffffd;
  static final int GNU_VERNEED = 0x6ffffffe;
  static final int GNU_VERSYM = 0x6fffffff;

  private static final int FLAG_ALLOC = 2;
  private static final int FLAG_EXECUTABLE = 4;

  /** Reads {@code Elf64_Shdr} or {@code Elf32_Shdr} number {@code index} of a table. */
  static Section read(ElfLayout layout, ByteBuffer table, int index, String name) {
    int at = index * layout.sectionHeader;
    return switch (layout) {
      case ELF64 ->
        new Section(index, name, table.getInt(at + 4), table.getLong(at + 8), table.getLong(at + 16),
            table.getLong(at + 24), table.getLong(at + 32), table.getInt(at + 40), table.getInt(at + 44),
            table.getLong(at + 56));
      case ELF32 ->
        new Section(index, name, table.getInt(at + 4), unsigned(table, at + 8), unsigned(table, at + 12),
            unsigned(table, at + 16), unsigned(table, at + 20), table.getInt(at + 24), table.getInt(at + 28),
            unsigned(table, at + 36));
    };
  }

  private static long unsigned(ByteBuffer table, int at) {
    return Integer.toUnsignedLong(table.getInt(at));
  }

  /** Where the name of section number {@code index} is in the table of section names. */
  static long nameOffset(ElfLayout layout, ByteBuffer table, int index) {
    return unsigned(table, index * layout.sectionHeader);
  }

  boolean isExecutable() {
    return (flags & (FLAG_ALLOC | FLAG_EXECUTABLE)) == (FLAG_ALLOC | FLAG_EXECUTABLE);
  }

  /** Returns true if it is in the memory of a process that has the file loaded. */
  boolean isLoaded() {
    return (flags & FLAG_ALLOC) != 0;
  }

  /** Returns true if an address of the file lies in the section. */
  boolean contains(long fileAddress) {
    return Long.compareUnsigned(fileAddress - address, size) < 0;
  }

  long end() {
    return address + size;
  }
}
