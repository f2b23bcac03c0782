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
   * @param landingPads the address of the table that says where exceptions are caught in it, or something is
   *     done when one passes; 0 if there is none
   */
  record Range(long start, long end, boolean signalFrame, long landingPads) {
    Range(long start, long end, boolean signalFrame) {
      this(start, end, signalFrame, 0);
    }

    /** Whether exceptions are caught in it, or something is done when one passes. */
    boolean catches() {
      return landingPads != 0;
    }
  }

  /**
   * How the records that refer to a common one write addresses.
   *
   * @param landingPads how they write that of the table of landing pads, or {@link EncodedPointers#OMITTED}
   */
  private record Common(int encoding, boolean signalFrame, int landingPads, boolean augmented) {}

  private static final int EXTENDED_LENGTH = 0xffff_ffff;
  // Of what compilers write, with room; without an end each of many records could be as long as the table.
  private static final int LONGEST_AUGMENTATION = 16;

  private final ElfImage image;
  private final ByteBuffer table;
  private final EncodedPointers values;
  /** By offset; null where one could not be understood. */
  private final Map<Integer, @Nullable Common> known = new HashMap<>();

  private UnwindTable(ElfImage image, Section section, ByteBuffer table) {
    this.image = image;
    this.table = table;
    values = new EncodedPointers(table, section.address(), image.layout());
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
    long start = values.pointer(common.encoding());
    long size = values.value(common.encoding());
    if (table.position() > recordEnd || size <= 0) {
      return;
    }
    Section code = image.executableSection(start);
    if (code != null && Long.compareUnsigned(size, code.end() - start) <= 0) {
      ranges.add(new Range(start, start + size, common.signalFrame(), landingPads(common)));
    }
  }

  /** The address of the function's table of landing pads is the first in what augments the record. */
  private long landingPads(Common common) {
    if (!common.augmented() || common.landingPads() == EncodedPointers.OMITTED || values.leb128() == 0) {
      return 0;
    }
    int position = table.position();
    boolean isNull = values.value(common.landingPads()) == 0;
    table.position(position);
    return isNull ? 0 : values.pointer(common.landingPads());
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
          ? new Common(EncodedPointers.ABSOLUTE, false, EncodedPointers.OMITTED, false)
          : null;
    }
    values.leb128();
    values.leb128();
    if (version == 1) {
      table.get();
    } else {
      values.leb128();
    }
    values.leb128();
    int encoding = EncodedPointers.ABSOLUTE;
    boolean signalFrame = false;
    int landingPads = EncodedPointers.OMITTED;
    for (char letter : augmentation.substring(1).toCharArray()) {
      switch (letter) {
        case 'R' -> encoding = table.get() & 0xff;
        case 'L' -> landingPads = table.get() & 0xff;
        case 'P' -> {
          int personality = table.get() & 0xff;
          if (personality != EncodedPointers.OMITTED) {
            values.value(personality);
          }
        }
        case 'S' -> signalFrame = true;
        default -> {
          // B, of other machines, has no data; of what comes later nothing is known.
        }
      }
    }
    return !EncodedPointers.isKnown(encoding)
        ? null
        : new Common(encoding, signalFrame, landingPads, true);
  }
}
