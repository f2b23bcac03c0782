package io.xolotl.xol.elf;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the dynamic linker is told of a file: {@code Elf64_Dyn} or {@code Elf32_Dyn}, of each tag the first.
 *
 * @param values by tag
 */
record DynamicEntries(Map<Long, Long> values) {

  static final long NULL = 0;
  static final long JUMP_RELOCATIONS_SIZE = 2;
  static final long HASH = 4;
  static final long STRINGS = 5;
  static final long SYMBOLS = 6;
  static final long RELA = 7;
  static final long RELA_SIZE = 8;
  static final long STRINGS_SIZE = 10;
  static final long INITIALIZATION = 12;
  static final long TERMINATION = 13;
  static final long SONAME = 14;
  static final long REL = 17;
  static final long REL_SIZE = 18;
  static final long JUMP_RELOCATIONS = 23;
  static final long GNU_HASH = 0x6ffffef5L;
  static final long VERSIONS = 0x6ffffff0L;

  static DynamicEntries read(ElfLayout layout, ByteBuffer table) {
    var values = new HashMap<Long, Long>();
    while (table.remaining() >= 2 * layout.address) {
      long tag = word(layout, table);
      long value = word(layout, table);
      if (tag == NULL) {
        break;
      }
      values.putIfAbsent(tag, value);
    }
    return new DynamicEntries(values);
  }

  private static long word(ElfLayout layout, ByteBuffer table) {
    return switch (layout) {
      case ELF64 -> table.getLong();
      case ELF32 -> Integer.toUnsignedLong(table.getInt());
    };
  }

  /** The value of a tag; null if it is not there. */
  @Nullable
  Long value(long tag) {
    return values.get(tag);
  }
}
