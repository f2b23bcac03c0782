package io.xolotl.xol.elf;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import net.fornwall.jelf.ElfException;
import org.jspecify.annotations.Nullable;

/**
 * The tables of a file that has no section headers, as {@code strip --strip-section-headers} leaves it: the
 * dynamic linker needs none, so what it is told of is there ({@code PT_DYNAMIC}; ELF, "Dynamic Section"), and
 * so are the code and the unwind table. They get section headers here, as a linker would have made them, and
 * nobody else needs to know.
 *
 * <p>Called inside {@link ElfImage#guarded} only.
 */
final class LoadedTables {

  private static final int PROGBITS = 1;
  private static final long ALLOCATED = 2;
  private static final long EXECUTABLE = 4;
  /** DW_EH_PE_pcrel with a signed value of four bytes, as linkers write it. */
  private static final int PC_RELATIVE_4 = 0x1b;

  private final ElfLayout layout;
  private final List<ElfImage.Segment> segments;
  private final ElfReader reader;
  private final List<Section> sections = new ArrayList<>();

  private LoadedTables(ElfLayout layout, List<ElfImage.Segment> segments, ElfReader reader) {
    this.layout = layout;
    this.segments = segments;
    this.reader = reader;
  }

  /**
   * Makes the headers.
   *
   * @param dynamic {@code PT_DYNAMIC}; null if there is none
   * @param unwindIndex {@code PT_GNU_EH_FRAME}; null if there is none
   */
  static List<Section> sections(ElfLayout layout, List<ElfImage.Segment> segments,
      ElfImage.@Nullable Segment dynamic, ElfImage.@Nullable Segment unwindIndex, ElfReader reader) {
    var tables = new LoadedTables(layout, segments, reader);
    tables.add("", 0, 0, 0, 0, 0, 0, 0);
    for (ElfImage.Segment segment : segments) {
      if (segment.executable()) {
        tables.add(".text", PROGBITS, ALLOCATED | EXECUTABLE, segment.address(), segment.offset(),
            segment.fileSize(), 0, 0);
      }
    }
    if (unwindIndex != null) {
      tables.addUnwindTable(unwindIndex);
    }
    if (dynamic != null) {
      tables.addDynamic(dynamic);
    }
    return List.copyOf(tables.sections);
  }

  private int add(String name, int type, long flags, long address, long offset, long size, int link,
      long entrySize) {
    sections.add(new Section(sections.size(), name, type, flags, address, offset, size, link, 0, entrySize));
    return sections.size() - 1;
  }

  /** A table that is in memory, if the file has it. */
  private int addTable(String name, int type, @Nullable Long address, long size, int link, long entrySize) {
    ElfImage.Segment segment = address == null || size <= 0 ? null : segmentAt(address);
    if (address == null || segment == null || size > room(segment, address)) {
      return 0;
    }
    return add(name, type, ALLOCATED, address, offset(segment, address), size, link, entrySize);
  }

  private ElfImage.@Nullable Segment segmentAt(long address) {
    for (ElfImage.Segment segment : segments) {
      if (Long.compareUnsigned(address - segment.address(), segment.fileSize()) < 0) {
        return segment;
      }
    }
    return null;
  }

  private static long offset(ElfImage.Segment segment, long address) {
    return segment.offset() + (address - segment.address());
  }

  private static long room(ElfImage.Segment segment, long address) {
    return segment.fileSize() - (address - segment.address());
  }

  /** {@code .eh_frame_hdr} begins with how it writes addresses, and where the table is. */
  private void addUnwindTable(ElfImage.Segment index) {
    ByteBuffer header = reader.read(index.offset(), 8);
    if (header.get(0) != 1 || header.get(1) != PC_RELATIVE_4) {
      return;
    }
    long address = index.address() + 4 + header.getInt(4);
    ElfImage.Segment segment = segmentAt(address);
    if (segment != null) {
      // Its own end is marked by a length of 0.
      addTable(".eh_frame", PROGBITS, address, room(segment, address), 0, 0);
    }
  }

  private void addDynamic(ElfImage.Segment dynamic) {
    if (dynamic.fileSize() < 0 || dynamic.fileSize() > ElfImage.LARGEST_DYNAMIC) {
      throw new ElfException("its dynamic segment has " + dynamic.fileSize() + " bytes");
    }
    DynamicEntries entries = DynamicEntries.read(layout,
        reader.read(dynamic.offset(), (int) dynamic.fileSize()));
    int strings = addTable(".dynstr", Section.STRTAB, entries.value(DynamicEntries.STRINGS),
        size(entries, DynamicEntries.STRINGS_SIZE), 0, 0);
    if (strings == 0) {
      return;
    }
    add(".dynamic", Section.DYNAMIC, ALLOCATED, dynamic.address(), dynamic.offset(), dynamic.fileSize(),
        strings, 2L * layout.address);
    long count = symbolCount(entries);
    int symbols = addTable(".dynsym", Section.DYNSYM, entries.value(DynamicEntries.SYMBOLS),
        count * layout.symbol, strings, layout.symbol);
    if (symbols != 0) {
      addTable(".gnu.version", Section.GNU_VERSYM, entries.value(DynamicEntries.VERSIONS), count * 2, symbols,
          2);
    }
    addTable(".rela.dyn", Section.RELA, entries.value(DynamicEntries.RELA),
        size(entries, DynamicEntries.RELA_SIZE), symbols, SymbolParser.RELA_SIZE);
    addTable(".rel.dyn", Section.REL, entries.value(DynamicEntries.REL),
        size(entries, DynamicEntries.REL_SIZE), symbols, SymbolParser.REL_SIZE);
    boolean is64 = layout == ElfLayout.ELF64;
    addTable(".rela.plt", is64 ? Section.RELA : Section.REL, entries.value(DynamicEntries.JUMP_RELOCATIONS),
        size(entries, DynamicEntries.JUMP_RELOCATIONS_SIZE), symbols,
        is64 ? SymbolParser.RELA_SIZE : SymbolParser.REL_SIZE);
  }

  private static long size(DynamicEntries entries, long tag) {
    Long size = entries.value(tag);
    return size == null ? 0 : size;
  }

  /** Nothing says how many symbols there are but the tables that find them. */
  private long symbolCount(DynamicEntries entries) {
    Long hash = entries.value(DynamicEntries.HASH);
    if (hash != null) {
      // nbucket, nchain: a chain a symbol.
      return word(hash + 4);
    }
    Long gnuHash = entries.value(DynamicEntries.GNU_HASH);
    return gnuHash == null ? 0 : countByGnuHash(gnuHash);
  }

  /**
   * Symbols are sorted by bucket: the last is at the end of the chain of the last bucket, which has bit 0 set
   * (glibc, elf/dl-lookup.c).
   */
  private long countByGnuHash(long table) {
    long buckets = word(table);
    long first = word(table + 4);
    long filterWords = word(table + 8);
    long start = table + 16 + filterWords * layout.address;
    if (buckets > SymbolParser.MOST_SYMBOLS || filterWords > SymbolParser.MOST_SYMBOLS) {
      throw new ElfException("its hash table has more buckets than a program has symbols");
    }
    ByteBuffer heads = bytes(start, 4 * buckets);
    long last = 0;
    while (heads.hasRemaining()) {
      last = Math.max(last, Integer.toUnsignedLong(heads.getInt()));
    }
    if (last < first) {
      return first;
    }
    long chains = start + 4 * buckets;
    while ((word(chains + 4 * (last - first)) & 1) == 0) {
      if (last++ > SymbolParser.MOST_SYMBOLS) {
        throw new ElfException("a chain of its hash table has no end");
      }
    }
    return last + 1;
  }

  private long word(long address) {
    return Integer.toUnsignedLong(bytes(address, 4).getInt());
  }

  private ByteBuffer bytes(long address, long size) {
    ElfImage.Segment segment = segmentAt(address);
    if (segment == null || size > room(segment, address)) {
      throw new ElfException("its hash table is not in the file");
    }
    return reader.read(offset(segment, address), (int) size);
  }
}
