package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolEntry.Binding;
import io.xolotl.xol.elf.SymbolEntry.Kind;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import net.fornwall.jelf.ElfException;
import org.jspecify.annotations.Nullable;

/** Reads symbols and relocations. Called inside {@link ElfImage#guarded} only. */
final class SymbolParser {
  /** Three times those of the largest browsers with debug symbols. */
  static final int MOST_SYMBOLS = 3_000_000;
  private static final int ROWS_AT_ONCE = 1 << 12;
  static final int RELA_SIZE = 24;
  static final int REL_SIZE = 8;

  /** What a file defines, and the names of what it takes from others. */
  record Symbols(List<SymbolEntry> defined, Set<String> imported) {
    void addAll(Symbols others) {
      defined.addAll(others.defined);
      imported.addAll(others.imported);
    }

    /** Whether there are symbols of functions that are not exported: so there was a {@code .symtab}. */
    boolean local() {
      return defined.stream()
          .anyMatch(entry -> entry.isTyped() && entry.binding() == SymbolEntry.Binding.LOCAL);
    }
  }

  private SymbolParser() {}

  /**
   * Reads {@code .dynsym} and {@code .symtab}.
   *
   * @param image the file that has the tables
   * @param code the file that has the code: the same, unless {@code image} is a separate debug file
   */
  static Symbols symbols(ElfImage image, ElfImage code, ElfReader reader) {
    var result = new Symbols(new ArrayList<>(), new HashSet<>());
    Section dynsym = image.firstOfType(Section.DYNSYM);
    if (dynsym != null) {
      read(image, code, reader, dynsym, new SymbolVersions(image, reader), result);
    }
    Section symtab = image.firstOfType(Section.SYMTAB);
    if (symtab != null) {
      read(image, code, reader, symtab, null, result);
    }
    return result;
  }

  private static SymbolRows rows(ElfImage image, ElfReader reader, Section section) {
    image.requireTable(reader, section, image.layout().symbol);
    if (section.size() / section.entrySize() > MOST_SYMBOLS) {
      throw new ElfException("its " + section.name() + " has more than " + MOST_SYMBOLS + " symbols");
    }
    return new SymbolRows(image.layout(), image.content(reader, section));
  }

  private static void read(ElfImage image, ElfImage code, ElfReader reader, Section section,
      @Nullable SymbolVersions versions, Symbols result) {
    SymbolRows rows = rows(image, reader, section);
    StringTable strings = image.strings(reader, section.link());
    int count = rows.count();
    for (int i = 1; i < count; i++) {
      if (i % ROWS_AT_ONCE == 0) {
        Reading.check();
      }
      int type = rows.type(i);
      if (rows.name(i) == 0 || type == SymbolRows.SECTION || type == SymbolRows.FILE) {
        continue;
      }
      String name = strings.at(rows.name(i));
      if (rows.section(i) == SymbolRows.UNDEFINED) {
        result.imported.add(name);
      } else if (versions != null) {
        String version = versions.of(i);
        result.defined.add(entry(rows, i, name, version, version != null && versions.isDefault(i), code));
      } else {
        result.defined.add(versionInName(rows, i, name, code));
      }
    }
  }

  /** In {@code .symtab} linkers write the version behind the name. */
  private static SymbolEntry versionInName(SymbolRows rows, int row, String name, ElfImage code) {
    int at = name.indexOf('@', 1);
    if (at < 0) {
      return entry(rows, row, name, null, false, code);
    }
    boolean isDefault = name.startsWith("@@", at);
    return entry(rows, row, name.substring(0, at), name.substring(isDefault ? at + 2 : at + 1), isDefault,
        code);
  }

  private static SymbolEntry entry(SymbolRows rows, int row, String name, @Nullable String version,
      boolean defaultVersion, ElfImage code) {
    var binding = switch (rows.binding(row)) {
      case SymbolRows.LOCAL -> Binding.LOCAL;
      case SymbolRows.WEAK -> Binding.WEAK;
      default -> Binding.GLOBAL;
    };
    return new SymbolEntry(name, version, defaultVersion, kind(rows, row, code), binding, rows.value(row),
        rows.size(row));
  }

  private static Kind kind(SymbolRows rows, int row, ElfImage code) {
    int type = rows.type(row);
    boolean mayBeCode = type == SymbolRows.FUNC || type == SymbolRows.GNU_IFUNC || type == SymbolRows.NOTYPE;
    boolean absolute = rows.section(row) == SymbolRows.ABSOLUTE;
    // An absolute symbol means an address in the file only where these are the addresses in the process.
    if (absolute && !code.hasFixedAddress()) {
      return Kind.ABSOLUTE;
    }
    // By address and not by its section, which in a debug file may count other sections.
    boolean isAmongCode = (mayBeCode || type == SymbolRows.OBJECT)
        && code.executableSection(rows.value(row)) != null;
    if (!isAmongCode) {
      return absolute ? Kind.ABSOLUTE : Kind.DATA;
    }
    return switch (type) {
      case SymbolRows.GNU_IFUNC -> Kind.INDIRECT;
      case SymbolRows.FUNC -> Kind.FUNCTION;
      case SymbolRows.OBJECT -> Kind.TABLE;
      default -> Kind.LABEL;
    };
  }

  /** Reads the relocations that make the dynamic linker write the address of a function. */
  static List<RelocationSlot> relocations(ElfImage image, ElfReader reader) {
    var result = new ArrayList<RelocationSlot>();
    Section dynsym = image.firstOfType(Section.DYNSYM);
    SymbolRows symbols = null;
    StringTable strings = StringTable.EMPTY;
    SymbolVersions versions = null;
    @Nullable
    String[] names = {};
    if (dynsym != null) {
      symbols = rows(image, reader, dynsym);
      strings = image.strings(reader, dynsym.link());
      versions = new SymbolVersions(image, reader);
      names = new String[symbols.count()];
    }
    long bytesLeft = reader.size();
    for (Section section : image.sections()) {
      boolean isTable = section.type() == switch (image.layout()) {
        case ELF64 -> Section.RELA;
        case ELF32 -> Section.REL;
      };
      // Overlapping tables could otherwise make a small file cost hours.
      if (!isTable || (bytesLeft -= section.size()) < 0) {
        continue;
      }
      for (Relocation relocation : relocations(image, reader, section)) {
        int index = relocation.symbol();
        if (relocation.kind() == RelocationSlot.Kind.INDIRECT) {
          result.add(
              new RelocationSlot(relocation.address(), relocation.kind(), relocation.addend(), "", null));
        } else if (symbols != null && index > 0 && index < names.length && symbols.name(index) != 0
            && (relocation.kind() == RelocationSlot.Kind.SLOT || relocation.addend() == 0)) {
          if (names[index] == null) {
            names[index] = strings.at(symbols.name(index));
          }
          result.add(
              new RelocationSlot(relocation.address(), relocation.kind(), relocation.addend(), names[index],
                  versions == null ? null : versions.of(index)));
        }
      }
    }
    return List.copyOf(result);
  }

  private record Relocation(long address, RelocationSlot.Kind kind, int symbol, long addend) {}

  /** The relocations of a table that make an address of a function, each with its addend. */
  private static List<Relocation> relocations(ElfImage image, ElfReader reader, Section table) {
    var result = new ArrayList<Relocation>();
    switch (image.layout()) {
      case ELF64 -> {
        image.requireTable(reader, table, RELA_SIZE);
        ByteBuffer rows = image.content(reader, table);
        while (rows.remaining() >= RELA_SIZE) {
          long address = rows.getLong();
          int type = rows.getInt();
          int symbol = rows.getInt();
          long addend = rows.getLong();
          RelocationSlot.Kind kind = RelocationSlot.Kind.ofX86_64(type);
          if (kind != null) {
            result.add(new Relocation(address, kind, symbol, addend));
          }
        }
      }
      case ELF32 -> {
        image.requireTable(reader, table, REL_SIZE);
        ByteBuffer rows = image.content(reader, table);
        while (rows.remaining() >= REL_SIZE) {
          long address = Integer.toUnsignedLong(rows.getInt());
          int info = rows.getInt();
          RelocationSlot.Kind kind = RelocationSlot.Kind.ofI386(info & 0xff);
          if (kind != null) {
            // The addend is what the file has at the place; in slots that name a symbol it is none.
            long addend = kind == RelocationSlot.Kind.SLOT ? 0 : image.word(reader, address);
            result.add(new Relocation(address, kind, info >>> 8, addend));
          }
        }
      }
    }
    return result;
  }
}
