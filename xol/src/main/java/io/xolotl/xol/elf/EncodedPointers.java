package io.xolotl.xol.elf;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;

/**
 * The numbers and addresses of unwind tables, each written in one of several ways (Linux Standard Base Core,
 * "DWARF Exception Header Encoding"). They are read where the buffer stands, which may throw
 * {@link BufferUnderflowException}.
 */
final class EncodedPointers {

  // DW_EH_PE: the format in the lower half, what a value is relative to in the upper.
  static final int ABSOLUTE = 0x00;
  static final int OMITTED = 0xff;
  private static final int FORMAT = 0x0f;
  private static final int RELATION = 0x70;
  private static final int PC_RELATIVE = 0x10;
  private static final int INDIRECT = 0x80;

  /** Bits of what compilers write, with room. */
  private static final int LONGEST_NUMBER = 70;

  private final ByteBuffer table;
  private final long address;
  private final ElfLayout layout;

  /**
   * What reads from a table.
   *
   * @param address of the table's first byte
   */
  EncodedPointers(ByteBuffer table, long address, ElfLayout layout) {
    this.table = table;
    this.address = address;
    this.layout = layout;
  }

  /** Whether it is a way to write an address that Linux has. */
  static boolean isKnown(int encoding) {
    int relation = encoding & RELATION;
    return (encoding & INDIRECT) == 0 && (relation == ABSOLUTE || relation == PC_RELATIVE);
  }

  /** An address. */
  long pointer(int encoding) {
    long place = address + table.position();
    long value = value(encoding);
    return layout.unsigned((encoding & RELATION) == PC_RELATIVE ? place + value : value);
  }

  /** What is written for an address, without what it is relative to. */
  long value(int encoding) {
    return switch (encoding & FORMAT) {
      case 0x0 -> layout == ElfLayout.ELF64 ? table.getLong() : Integer.toUnsignedLong(table.getInt());
      case 0x1 -> leb128();
      case 0x2 -> Short.toUnsignedLong(table.getShort());
      case 0x3 -> Integer.toUnsignedLong(table.getInt());
      case 0x9 -> leb128();
      case 0xa -> table.getShort();
      case 0xb -> table.getInt();
      default -> table.getLong();
    };
  }

  /** An unsigned number, of which 64 bits count; signed ones are only skipped. */
  long leb128() {
    long value = 0;
    for (int shift = 0;; shift += 7) {
      if (shift > LONGEST_NUMBER) {
        throw new BufferUnderflowException();
      }
      byte b = table.get();
      value |= shift < Long.SIZE ? (b & 0x7fL) << shift : 0;
      if (b >= 0) {
        return value;
      }
    }
  }
}
