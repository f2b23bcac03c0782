package io.xolotl.xol.elf;

import io.xolotl.decoder.MachineMode;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import net.fornwall.jelf.ElfException;
import net.fornwall.jelf.ElfFile;
import net.fornwall.jelf.ElfSegment;
import org.jspecify.annotations.Nullable;

/**
 * What an ELF file says, without its place in a process. The headers are read at once, symbols and
 * relocations when they are asked for.
 *
 * <p>jelf parses what the headers promise: it allocates by sizes it has not checked and indexes by numbers it
 * has not checked. So sizes are compared with the file first ({@link #content}), and every parse runs in
 * {@link #guarded}, which turns what is left into a {@link SymbolException}.
 *
 * <p>Safe for use by several threads: images are shared by the resolvers of all processes.
 */
// Long because every table is checked against the file before it is believed, and the checks stand together.
final class ElfImage {
  /** The largest tables seen in the wild, those of browsers with debug symbols, have a quarter of this. */
  private static final int LARGEST_CONTENT = 1 << 27;

  private static final int PT_GNU_EH_FRAME = 0x6474e550;
  private static final int LONGEST_SONAME = 1 << 12;
  static final int LARGEST_DYNAMIC = 1 << 20;

  /**
   * Linkers make two to six. Segments are compared with mappings pair by pair, which must not take minutes.
   */
  private static final int MOST_SEGMENTS = 200;

  /**
   * A {@code PT_LOAD} segment.
   *
   * @param address where it is, in the file's own address space
   */
  record Segment(boolean executable, long offset, long address, long fileSize, long memorySize) {}

  /** A piece of the file that no other file has, as a rule: its headers, its build id. */
  record Mark(long offset, byte[] bytes) {}

  /** Name and CRC-32 of a separate debug file. */
  record DebugLink(String fileName, int crc) {}

  private final ElfLayout layout;
  private final boolean fixedAddress;
  private final List<Section> sections;
  private final List<Section> executableSections;
  private final List<Segment> segments;
  private final @Nullable String soname;
  private final List<Long> entryPoints;
  private final @Nullable String buildId;
  private final @Nullable DebugLink debugLink;
  private final List<Mark> marks = new ArrayList<>();

  private volatile long @Nullable [] abortHandlers;
  private @Nullable SymbolTable symbols;
  private @Nullable ElfImage symbolsDebugImage;
  private @Nullable Optional<DebugFiles.DebugFile> embeddedSymbols;
  private @Nullable List<RelocationSlot> relocations;

  /** Reads the headers of a file. */
  static ElfImage of(ElfSource source) {
    return guarded(source, reader -> new ElfImage(source.name(), reader));
  }

  /** Opens a file and runs a parser on it; whatever goes wrong in there, one kind of exception comes out. */
  static <T> T guarded(ElfSource source, Function<ElfReader, T> parser) {
    try (ElfReader reader = source.open()) {
      return parser.apply(reader);
    } catch (SymbolException e) {
      throw e;
    } catch (UncheckedIOException e) {
      throw new SymbolException(Reason.ELF_UNREADABLE,
          source.name() + " cannot be read: " + e.getMessage(),
          e);
    } catch (OutOfMemoryError e) {
      // What was being read is garbage already.
      throw new SymbolException(Reason.ELF_MALFORMED,
          source.name() + " has tables that do not fit into this JVM's memory", e);
    } catch (ElfException e) {
      throw new SymbolException(Reason.ELF_MALFORMED,
          source.name() + " is no valid ELF file: " + e.getMessage(), e);
    } catch (RuntimeException e) {
      throw new SymbolException(Reason.ELF_MALFORMED,
          source.name() + " is no valid ELF file: its tables contradict each other", e);
    }
  }

  private ElfImage(String name, ElfReader reader) {
    if (reader.size() < ElfLayout.ELF32.fileHeader) {
      throw new ElfException("it has only " + reader.size() + " bytes");
    }
    ElfFile elf = ElfFile.from(reader);
    layout = layout(name, elf);
    if (reader.size() < layout.fileHeader) {
      throw new ElfException("it has only " + reader.size() + " bytes");
    }
    if (elf.e_type != ElfFile.ET_EXEC && elf.e_type != ElfFile.ET_DYN) {
      throw new SymbolException(Reason.ELF_UNSUPPORTED,
          name + " is an ELF file of type " + Short.toUnsignedInt(elf.e_type)
              + ", neither a program nor a shared library");
    }
    fixedAddress = elf.e_type == ElfFile.ET_EXEC;
    List<Section> known = readSections(name, elf, reader);
    segments = readSegments(elf, reader);
    long headers = layout.unsigned(elf.e_phoff);
    int headersSize = Short.toUnsignedInt(elf.e_phnum) * layout.programHeader;
    marks.add(new Mark(headers, reader.read(headers, headersSize).array()));
    sections = !known.isEmpty() || elf.e_shoff != 0
        ? known
        : LoadedTables.sections(layout, segments, firstSegment(elf, ElfSegment.PT_DYNAMIC),
            firstSegment(elf, PT_GNU_EH_FRAME), reader);
    executableSections = sections.stream().filter(Section::isExecutable).toList();
    Section dynamic = firstOfType(Section.DYNAMIC);
    DynamicEntries entries = dynamic == null ? new DynamicEntries(Map.of()) : readEntries(reader, dynamic);
    Long ownName = entries.value(DynamicEntries.SONAME);
    soname = dynamic == null || ownName == null
        ? null
        : ownName(reader, sections.get(dynamic.link()), ownName);
    entryPoints = entryPoints(layout.unsigned(elf.e_entry), entries);
    Mark id = Notes.buildId(this, reader);
    buildId = id == null ? null : HexFormat.of().formatHex(id.bytes());
    if (id != null) {
      marks.add(id);
    }
    debugLink = readDebugLink(reader);
  }

  private static ElfLayout layout(String name, ElfFile elf) {
    if (elf.ei_data == ElfFile.DATA_LSB) {
      if (elf.ei_class == ElfFile.CLASS_64 && elf.e_machine == ElfFile.ARCH_X86_64) {
        return ElfLayout.ELF64;
      }
      if (elf.ei_class == ElfFile.CLASS_32 && elf.e_machine == ElfFile.ARCH_386) {
        return ElfLayout.ELF32;
      }
    }
    throw new SymbolException(Reason.ELF_UNSUPPORTED,
        name + " is an ELF file for machine " + Short.toUnsignedInt(elf.e_machine)
            + (elf.ei_class == ElfFile.CLASS_64 ? "" : ", 32 bits")
            + "; only x86-64 and i386 code can be probed");
  }

  private List<Section> readSections(String name, ElfFile elf, ElfReader reader) {
    int count = Short.toUnsignedInt(elf.e_shnum);
    if (elf.e_shoff == 0) {
      return List.of();
    }
    if (count == 0) {
      // The count is then in the first section header; only files with more than 65279 sections need that.
      throw new SymbolException(Reason.ELF_UNSUPPORTED,
          name + " has more sections than the file header can count; no linker makes such programs");
    }
    if (elf.e_shentsize != layout.sectionHeader) {
      throw new ElfException(
          "its section headers have " + Short.toUnsignedInt(elf.e_shentsize) + " bytes each");
    }
    requireInside(reader, "section headers", layout.unsigned(elf.e_shoff),
        (long) count * layout.sectionHeader);
    ByteBuffer table = reader.read(layout.unsigned(elf.e_shoff), count * layout.sectionHeader);
    StringTable names = StringTable.EMPTY;
    int namesIndex = Short.toUnsignedInt(elf.e_shstrndx);
    if (namesIndex != 0) {
      names = new StringTable(content(reader, Section.read(layout, table, namesIndex, ".shstrtab")).array());
    }
    var result = new ArrayList<Section>(count);
    for (int i = 0; i < count; i++) {
      result.add(Section.read(layout, table, i,
          namesIndex == 0 ? "" : names.at(Section.nameOffset(layout, table, i))));
    }
    return List.copyOf(result);
  }

  private List<Segment> readSegments(ElfFile elf, ElfReader reader) {
    int count = Short.toUnsignedInt(elf.e_phnum);
    if (count != 0 && elf.e_phentsize != layout.programHeader) {
      throw new ElfException(
          "its program headers have " + Short.toUnsignedInt(elf.e_phentsize) + " bytes each");
    }
    requireInside(reader, "program headers", layout.unsigned(elf.e_phoff),
        (long) count * layout.programHeader);
    var result = new ArrayList<Segment>();
    for (ElfSegment segment : elf.segmentsOfType(ElfSegment.PT_LOAD)) {
      if (result.size() == MOST_SEGMENTS) {
        throw new ElfException("it has more than " + MOST_SEGMENTS + " segments to load");
      }
      result.add(segment(segment));
    }
    return List.copyOf(result);
  }

  private Segment segment(ElfSegment segment) {
    return new Segment(segment.isExecutable(), layout.unsigned(segment.p_offset),
        layout.unsigned(segment.p_vaddr), layout.unsigned(segment.p_filesz),
        layout.unsigned(segment.p_memsz));
  }

  private @Nullable Segment firstSegment(ElfFile elf, int type) {
    List<ElfSegment> found = elf.segmentsOfType(type);
    return found.isEmpty() ? null : segment(found.getFirst());
  }

  /** One name of a table that may be large, and of which nobody has asked for the rest. */
  private static String ownName(ElfReader reader, Section strings, long offset) {
    long length = Math.min(strings.size() - offset, LONGEST_SONAME);
    if (offset < 0 || length <= 0) {
      throw new ElfException("its soname lies outside of its string table");
    }
    requireInside(reader, strings.name(), strings.offset(), strings.size());
    return new StringTable(reader.read(strings.offset() + offset, (int) length).array()).at(0);
  }

  private static List<Long> entryPoints(long start, DynamicEntries entries) {
    var result = new ArrayList<Long>(List.of(start));
    for (long tag : List.of(DynamicEntries.INITIALIZATION, DynamicEntries.TERMINATION)) {
      Long function = entries.value(tag);
      if (function != null) {
        result.add(function);
      }
    }
    return List.copyOf(result);
  }

  private DynamicEntries readEntries(ElfReader reader, Section dynamic) {
    requireInside(reader, dynamic.name(), dynamic.offset(), dynamic.size());
    if (dynamic.size() > LARGEST_DYNAMIC) {
      throw new ElfException("its " + dynamic.name() + " has " + dynamic.size() + " bytes");
    }
    return DynamicEntries.read(layout, content(reader, dynamic));
  }

  private @Nullable DebugLink readDebugLink(ElfReader reader) {
    for (Section section : sections) {
      if (section.name().equals(".gnu_debuglink") && section.type() != Section.NOBITS) {
        ByteBuffer link = content(reader, section);
        int length = 0;
        while (length < link.limit() && link.get(length) != 0) {
          length++;
        }
        var name = new String(link.array(), 0, length, StandardCharsets.UTF_8);
        int crc = length + 4 & ~3;
        // A link with directories in it would lead out of the places where debug files may be.
        return crc + 4 > link.limit() || name.isEmpty() || name.contains("/")
            ? null
            : new DebugLink(name, link.getInt(crc));
      }
    }
    return null;
  }

  private static void requireInside(ElfReader reader, String what, long offset, long size) {
    if (offset < 0 || size < 0 || offset > reader.size() - size) {
      throw new ElfException(
          "its " + what + " at offset 0x" + Long.toHexString(offset) + " of 0x" + Long.toHexString(size)
              + " bytes reach beyond its end at 0x" + Long.toHexString(reader.size()) + "; is it truncated?");
    }
  }

  /** The bytes of a section, if the file has them. */
  ByteBuffer content(ElfReader reader, Section section) {
    requireReadable(reader, section);
    return reader.read(section.offset(), (int) section.size());
  }

  private static void requireReadable(ElfReader reader, Section section) {
    requireInside(reader, section.name(), section.offset(), section.size());
    if (section.type() == Section.NOBITS || section.size() > LARGEST_CONTENT) {
      throw new ElfException("its " + section.name() + " is not in the file, or too large");
    }
  }

  /** Checks what jelf assumes about a section of entries, before it gets to see it. */
  void requireTable(ElfReader reader, Section section, int entrySize) {
    requireReadable(reader, section);
    if (section.entrySize() != entrySize) {
      throw new ElfException("its " + section.name() + " has entries of " + section.entrySize() + " bytes");
    }
  }

  /** Four bytes of the file's data, by their address. */
  long word(ElfReader reader, long fileAddress) {
    ByteBuffer bytes = data(reader, fileAddress, Integer.BYTES);
    if (bytes.remaining() < Integer.BYTES) {
      throw new ElfException("it has no data at address 0x" + Long.toHexString(fileAddress));
    }
    return Integer.toUnsignedLong(bytes.getInt());
  }

  /** The file's data from an address on, as far as there are any. */
  ByteBuffer data(ElfReader reader, long fileAddress, int most) {
    for (Segment segment : segments) {
      long offset = fileAddress - segment.address();
      if (Long.compareUnsigned(offset, segment.fileSize()) < 0) {
        return reader.read(segment.offset() + offset, (int) Math.min(most, segment.fileSize() - offset));
      }
    }
    return reader.read(0, 0);
  }

  StringTable strings(ElfReader reader, int sectionIndex) {
    return new StringTable(content(reader, sections.get(sectionIndex)).array());
  }

  @Nullable
  Section firstOfType(int type) {
    for (Section section : sections) {
      if (section.type() == type) {
        return section;
      }
    }
    return null;
  }

  /** The first section with a name that is in the memory of a process. */
  @Nullable
  Section loadedSection(String name) {
    for (Section section : sections) {
      if (section.isLoaded() && section.name().equals(name)) {
        return section;
      }
    }
    return null;
  }

  /** The executable section around an address of the file. */
  @Nullable
  Section executableSection(long fileAddress) {
    for (Section section : executableSections) {
      if (section.contains(fileAddress)) {
        return section;
      }
    }
    return null;
  }

  /** What its code is for. */
  MachineMode mode() {
    return switch (layout) {
      case ELF64 -> MachineMode.LONG_64;
      case ELF32 -> MachineMode.COMPAT_32;
    };
  }

  ElfLayout layout() {
    return layout;
  }

  /** Whether the file must be loaded at the addresses it names: a program that is no PIE. */
  boolean hasFixedAddress() {
    return fixedAddress;
  }

  List<Section> sections() {
    return sections;
  }

  List<Segment> segments() {
    return segments;
  }

  /** Where the kernel and the dynamic linker begin to execute its code, whatever symbols say. */
  List<Long> entryPoints() {
    return entryPoints;
  }

  @Nullable
  String soname() {
    return soname;
  }

  /** The build id in hexadecimal digits. */
  @Nullable
  String buildId() {
    return buildId;
  }

  @Nullable
  DebugLink debugLink() {
    return debugLink;
  }

  /** The symbols of the file and of its separate debug file. */
  synchronized SymbolTable symbols(ElfSource source, DebugFiles.@Nullable DebugFile debug) {
    SymbolTable known = symbols;
    ElfImage debugImage = debug == null ? null : debug.image();
    if (known != null && symbolsDebugImage == debugImage) {
      return known;
    }
    var parsed = guarded(source, reader -> SymbolParser.symbols(this, this, reader));
    if (debug != null) {
      try {
        parsed.addAll(guarded(debug.source(), reader -> SymbolParser.symbols(debug.image(), this, reader)));
      } catch (SymbolException e) {
        Reading.check();
        // A damaged debug file is as good as none: the file itself still has symbols.
      }
    }
    known = new SymbolTable(this, parsed);
    symbols = known;
    symbolsDebugImage = debugImage;
    return known;
  }

  /**
   * The symbols in the file itself that are compressed; null if there are none. Unpacked once, so that all
   * processes that map the file have the same.
   */
  synchronized DebugFiles.@Nullable DebugFile embeddedSymbols(ElfSource source) {
    Optional<DebugFiles.DebugFile> known = embeddedSymbols;
    if (known == null) {
      known = Optional.ofNullable(EmbeddedSymbols.of(this, source));
      embeddedSymbols = known;
    }
    return known.orElse(null);
  }

  /** Pieces of the file by which its content is recognised where it is mapped. */
  List<Mark> marks() {
    return marks;
  }

  /** The places where the dynamic linker writes the addresses of functions. */
  synchronized List<RelocationSlot> relocations(ElfSource source) {
    List<RelocationSlot> known = relocations;
    if (known == null) {
      known = guarded(source, reader -> SymbolParser.relocations(this, reader));
      relocations = known;
    }
    return known;
  }

  /**
   * The places in the code where abort handlers of restartable sequences may be. Not under the monitor, where
   * symbols may be parsed for long: two threads that look at the same time find the same.
   */
  long[] abortHandlers(ElfSource source) {
    long[] known = abortHandlers;
    if (known == null) {
      known = guarded(source, reader -> SequenceSigns.abortHandlers(this, reader));
      abortHandlers = known;
    }
    return known;
  }
}
