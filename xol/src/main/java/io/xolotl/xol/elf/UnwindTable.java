package io.xolotl.xol.elf;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The pieces of code that {@code .eh_frame} describes (Linux Standard Base Core, "Exception Frames"; DWARF 5,
 * 6.4.1). Compilers write one for each function, local ones too, and strip leaves them: an account of where a
 * file has code that needs no symbols. Tables between functions are in none.
 *
 * <p>The table may be anyone's. A record that cannot be understood ends the reading or is left out, and the
 * work is bounded by the size of the section. Called inside {@link ElfImage#guarded} only.
 */
final class UnwindTable {

  /**
   * A piece of code.
   *
   * @param start its first address, in the file's own address space
   * @param end the first address behind it
   * @param signalFrame the kernel's frame of a signal: such a record begins a byte early, inside of whatever
   *     is before, because unwinders look up the address before a return address
   * @param landingPads exceptions are caught in it, or something is done when one passes
   */
  record Range(long start, long end, boolean signalFrame, boolean landingPads) {
    Range(long start, long end, boolean signalFrame) {
      this(start, end, signalFrame, false);
    }
  }

  /**
   * How the records that refer to a common one write addresses.
   *
   * @param landingPads how they write that of the table of landing pads, or {@link #OMITTED}
   */
  private record Common(int encoding, boolean signalFrame, int landingPads, boolean augmented) {}

  private static final int EXTENDED_LENGTH = 0xffff_ffff;
  // Of what compilers write, with room; without an end each of many records could be as long as the table.
  private static final int LONGEST_AUGMENTATION = 16;
  private static final int LONGEST_NUMBER = 70;

  // DW_EH_PE: the format in the lower half, what a value is relative to in the upper.
  private static final int FORMAT = 0x0f;
  private static final int RELATION = 0x70;
  private static final int ABSOLUTE = 0x00;
  private static final int PC_RELATIVE = 0x10;
  private static final int INDIRECT = 0x80;
  private static final int OMITTED = 0xff;

  private final ElfImage image;
  private final Section section;
  private final ByteBuffer table;
  /** By offset; null where one could not be understood. */
  private final Map<Integer, @Nullable Common> known = new HashMap<>();

  private UnwindTable(ElfImage image, Section section, ByteBuffer table) {
    this.image = image;
    this.section = section;
    this.table = table;
  }

  /** The pieces in executable sections, in ascending order; none if the file has no such table. */
  static List<Range> ranges(ElfImage image, ElfReader reader) {
    Section section = image.loadedSection(".eh_frame");
    if (section == null || section.type() == Section.NOBITS) {
      return List.of();
    }
    return new UnwindTable(image, section, image.content(reader, section)).ranges();
  }

  private List<Range> ranges() {
    var ranges = new ArrayList<Range>();
    try {
      readInto(ranges);
    } catch (BufferUnderflowException e) {
      // A record is longer than the table: what was read before it holds.
    }
    ranges.sort(Comparator.comparing(Range::start, Long::compareUnsigned)
        .thenComparing(Range::end, Long::compareUnsigned));
    return ranges;
  }

  private void readInto(List<Range> ranges) {
    while (table.remaining() >= Integer.BYTES) {
      long length = Integer.toUnsignedLong(table.getInt());
      if (length == Integer.toUnsignedLong(EXTENDED_LENGTH) && table.remaining() >= Long.BYTES) {
        length = table.getLong();
      }
      int id = table.position();
      if (length < Integer.BYTES || length > table.remaining()) {
        // The end, or what does not fit.
        break;
      }
      int end = id + (int) length;
      int back = table.getInt();
      Common common = back <= 0 || back > id ? null : common(id - back);
      if (common != null) {
        add(ranges, common, end);
      }
      table.position(end);
    }
  }

  private void add(List<Range> ranges, Common common, int recordEnd) {
    long start = pointer(common.encoding());
    long size = value(common.encoding() & FORMAT);
    if (table.position() > recordEnd || size <= 0) {
      return;
    }
    Section code = image.executableSection(start);
    if (code != null && Long.compareUnsigned(size, code.end() - start) <= 0) {
      ranges.add(new Range(start, start + size, common.signalFrame(), hasLandingPads(common)));
    }
  }

  /** The address of the function's table of landing pads is the first in what augments the record. */
  private boolean hasLandingPads(Common common) {
    return common.augmented() && common.landingPads() != OMITTED && leb128() != 0
        && value(common.landingPads() & FORMAT) != 0;
  }

  private @Nullable Common common(int offset) {
    if (known.containsKey(offset)) {
      return known.get(offset);
    }
    int position = table.position();
    Common common = readCommon(offset);
    table.position(position);
    known.put(offset, common);
    return common;
  }

  /** Reads what the records that refer to it share; null if it is of a kind that nobody writes on Linux. */
  private @Nullable Common readCommon(int offset) {
    table.position(offset);
    if (table.getInt() == EXTENDED_LENGTH) {
      table.getLong();
    }
    if (table.getInt() != 0) {
      return null;
    }
    int version = table.get();
    var augmentation = new StringBuilder();
    for (int c; (c = table.get()) != 0 && augmentation.length() < LONGEST_AUGMENTATION;) {
      augmentation.append((char) c);
    }
    if (version != 1 && version != 3 || augmentation.isEmpty() || augmentation.charAt(0) != 'z') {
      // Without that the addresses are absolute, and nothing else is said of them.
      return augmentation.isEmpty() && (version == 1 || version == 3)
          ? new Common(ABSOLUTE, false, OMITTED, false)
          : null;
    }
    leb128();
    leb128();
    if (version == 1) {
      table.get();
    } else {
      leb128();
    }
    leb128();
    int encoding = ABSOLUTE;
    boolean signalFrame = false;
    int landingPads = OMITTED;
    for (char letter : augmentation.substring(1).toCharArray()) {
      switch (letter) {
        case 'R' -> encoding = table.get() & 0xff;
        case 'L' -> landingPads = table.get() & 0xff;
        case 'P' -> {
          int personality = table.get() & 0xff;
          if (personality != OMITTED) {
            value(personality & FORMAT);
          }
        }
        case 'S' -> signalFrame = true;
        default -> {
          // B, of other machines, has no data; of what comes later nothing is known.
        }
      }
    }
    int relation = encoding & RELATION;
    return (encoding & INDIRECT) != 0 || relation != ABSOLUTE && relation != PC_RELATIVE
        ? null
        : new Common(encoding, signalFrame, landingPads, true);
  }

  private long pointer(int encoding) {
    long place = section.address() + table.position();
    long value = value(encoding & FORMAT);
    return image.layout().unsigned((encoding & RELATION) == PC_RELATIVE ? place + value : value);
  }

  private long value(int format) {
    return switch (format) {
      case 0x0 ->
        image.layout() == ElfLayout.ELF64 ? table.getLong() : Integer.toUnsignedLong(table.getInt());
      case 0x1 -> leb128();
      case 0x2 -> Short.toUnsignedLong(table.getShort());
      case 0x3 -> Integer.toUnsignedLong(table.getInt());
      case 0x9 -> leb128();
      case 0xa -> table.getShort();
      case 0xb -> table.getInt();
      default -> table.getLong();
    };
  }

  /** An unsigned number, of which 64 bits count; signed ones are only skipped here. */
  private long leb128() {
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
