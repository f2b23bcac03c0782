package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolEntry.Binding;
import io.xolotl.xol.elf.SymbolEntry.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import net.fornwall.jelf.ElfException;
import net.fornwall.jelf.ElfFile;
import net.fornwall.jelf.ElfRelocationAddendSection;
import net.fornwall.jelf.ElfRelocationSection;
import net.fornwall.jelf.ElfSymbol;
import net.fornwall.jelf.ElfSymbolTableSection;
import org.jspecify.annotations.Nullable;

/** Turns jelf's symbols and relocations into ours. Called inside {@link ElfImage#guarded} only. */
final class SymbolParser {
  /** Three times those of the largest browsers with debug symbols. */
  private static final int MOST_SYMBOLS = 3_000_000;
  private static final int RELA_SIZE = 24;
  private static final int REL_SIZE = 8;
  private static final short SHN_UNDEF = 0;
  private static final short SHN_ABS = (short) 0xfff1;
  private static final int STT_GNU_IFUNC = 10;

  /** What a file defines, and the names of what it takes from others. */
  record Symbols(List<SymbolEntry> defined, Set<String> imported) {
    void addAll(Symbols others) {
      defined.addAll(others.defined);
      imported.addAll(others.imported);
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
    ElfFile elf = ElfFile.from(reader);
    Section dynsym = image.firstOfType(Section.DYNSYM);
    if (dynsym != null) {
      read(elf, image, code, reader, dynsym, new SymbolVersions(image, reader), result);
    }
    Section symtab = image.firstOfType(Section.SYMTAB);
    if (symtab != null) {
      read(elf, image, code, reader, symtab, null, result);
    }
    return result;
  }

  private static void read(ElfFile elf, ElfImage image, ElfImage code, ElfReader reader, Section section,
      @Nullable SymbolVersions versions, Symbols result) {
    image.requireTable(reader, section, image.layout().symbol);
    if (section.size() / section.entrySize() > MOST_SYMBOLS) {
      throw new ElfException("its " + section.name() + " has more than " + MOST_SYMBOLS + " symbols");
    }
    StringTable strings = image.strings(reader, section.link());
    ElfSymbol[] symbols = ((ElfSymbolTableSection) elf.getSection(section.index())).symbols;
    for (int i = 1; i < symbols.length; i++) {
      ElfSymbol symbol = symbols[i];
      int type = symbol.getType();
      if (symbol.st_name == 0 || type == ElfSymbol.STT_SECTION || type == ElfSymbol.STT_FILE) {
        continue;
      }
      String name = strings.at(Integer.toUnsignedLong(symbol.st_name));
      if (symbol.st_shndx == SHN_UNDEF) {
        result.imported.add(name);
      } else if (versions != null) {
        String version = versions.of(i);
        result.defined.add(entry(symbol, name, version, version != null && versions.isDefault(i), code));
      } else {
        result.defined.add(versionInName(symbol, name, code));
      }
    }
  }

  /** In {@code .symtab} linkers write the version behind the name. */
  private static SymbolEntry versionInName(ElfSymbol symbol, String name, ElfImage code) {
    int at = name.indexOf('@', 1);
    if (at < 0) {
      return entry(symbol, name, null, false, code);
    }
    boolean isDefault = name.startsWith("@@", at);
    return entry(symbol, name.substring(0, at), name.substring(isDefault ? at + 2 : at + 1), isDefault, code);
  }

  private static SymbolEntry entry(ElfSymbol symbol, String name, @Nullable String version,
      boolean defaultVersion,
      ElfImage code) {
    var binding = switch (symbol.getBinding()) {
      case ElfSymbol.BINDING_LOCAL -> Binding.LOCAL;
      case ElfSymbol.BINDING_WEAK -> Binding.WEAK;
      default -> Binding.GLOBAL;
    };
    return new SymbolEntry(name, version, defaultVersion, kind(symbol, code), binding,
        code.layout().unsigned(symbol.st_value), code.layout().unsigned(symbol.st_size));
  }

  private static Kind kind(ElfSymbol symbol, ElfImage code) {
    int type = symbol.getType();
    boolean mayBeCode = type == ElfSymbol.STT_FUNC || type == STT_GNU_IFUNC || type == ElfSymbol.STT_NOTYPE;
    // An absolute symbol means an address in the file only where these are the addresses in the process.
    if (symbol.st_shndx == SHN_ABS && !code.hasFixedAddress()) {
      return Kind.ABSOLUTE;
    }
    // By address and not by st_shndx, which in a debug file may count other sections.
    if (!mayBeCode || code.executableSection(code.layout().unsigned(symbol.st_value)) == null) {
      return symbol.st_shndx == SHN_ABS ? Kind.ABSOLUTE : Kind.DATA;
    }
    return type == STT_GNU_IFUNC ? Kind.INDIRECT : Kind.FUNCTION;
  }

  /** Reads the relocations that make the dynamic linker write the address of a function. */
  static List<RelocationSlot> relocations(ElfImage image, ElfReader reader) {
    var result = new ArrayList<RelocationSlot>();
    ElfFile elf = ElfFile.from(reader);
    Section dynsym = image.firstOfType(Section.DYNSYM);
    ElfSymbol[] symbols = {};
    StringTable strings = StringTable.EMPTY;
    SymbolVersions versions = null;
    @Nullable
    String[] names = {};
    if (dynsym != null) {
      image.requireTable(reader, dynsym, image.layout().symbol);
      symbols = ((ElfSymbolTableSection) elf.getSection(dynsym.index())).symbols;
      strings = image.strings(reader, dynsym.link());
      versions = new SymbolVersions(image, reader);
      names = new String[symbols.length];
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
      for (Relocation relocation : relocations(image, elf, reader, section)) {
        int index = relocation.symbol();
        if (relocation.kind() == RelocationSlot.Kind.INDIRECT) {
          result.add(
              new RelocationSlot(relocation.address(), relocation.kind(), relocation.addend(), "", null));
        } else if (index > 0 && index < symbols.length && symbols[index].st_name != 0
            && (relocation.kind() == RelocationSlot.Kind.SLOT || relocation.addend() == 0)) {
          if (names[index] == null) {
            names[index] = strings.at(Integer.toUnsignedLong(symbols[index].st_name));
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
  private static List<Relocation> relocations(ElfImage image, ElfFile elf, ElfReader reader, Section table) {
    var result = new ArrayList<Relocation>();
    switch (image.layout()) {
      case ELF64 -> {
        image.requireTable(reader, table, RELA_SIZE);
        for (var rela : ((ElfRelocationAddendSection) elf.getSection(table.index())).relocations) {
          RelocationSlot.Kind kind = RelocationSlot.Kind.ofX86_64((int) rela.r_info);
          if (kind != null) {
            result.add(new Relocation(rela.r_offset, kind, rela.getSymbolIndex(), rela.r_addend));
          }
        }
      }
      case ELF32 -> {
        image.requireTable(reader, table, REL_SIZE);
        for (var rel : ((ElfRelocationSection) elf.getSection(table.index())).relocations) {
          RelocationSlot.Kind kind = RelocationSlot.Kind.ofI386((int) rel.r_info & 0xff);
          if (kind != null) {
            long address = image.layout().unsigned(rel.r_offset);
            // The addend is what the file has at the place; in slots that name a symbol it is none.
            long addend = kind == RelocationSlot.Kind.SLOT ? 0 : image.word(reader, address);
            result.add(new Relocation(address, kind, (int) (rel.r_info >> 8 & 0xff_ffff), addend));
          }
        }
      }
    }
    return result;
  }
}
