package io.xolotl.xol.elf;

import io.xolotl.decoder.MachineMode;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * The code in an ELF file that no process needs to have mapped. All addresses are in the file's own address
 * space.
 *
 * <p>Safe for use by several threads.
 */
public final class CodeFile {

  /**
   * A piece of code.
   *
   * @param name of the section or function
   * @param address of the first byte, unsigned
   * @param bytes what the file has there
   */
  public record Code(String name, long address, byte[] bytes) {}

  private final ElfSource source;
  private final ElfImage image;
  private final LoadedModule module;

  private CodeFile(ElfSource source, Path file) {
    this.source = source;
    image = ElfImage.of(source);
    module = new LoadedModule(source.name(), file.toString(), 0, 0, 0);
  }

  /**
   * Opens a file and reads its headers.
   *
   * @param file a program or shared library
   * @throws SymbolException if it cannot be read or is no ELF file with x86-64 or i386 code
   */
  public static CodeFile open(Path file) {
    Path absolute = file.toAbsolutePath();
    ElfSource source = ElfSource.OnDisk.at(file.toString(), null, absolute.toString());
    if (source == null) {
      throw new SymbolException(Reason.ELF_UNREADABLE, file + (!Files.exists(file)
          ? " does not exist"
          : Files.isRegularFile(file) ? " may not be read by this user" : " is no regular file"));
    }
    return new CodeFile(source, absolute);
  }

  /** What the code is for. */
  public MachineMode mode() {
    return image.mode();
  }

  /** The executable sections, in the order of the file's table. */
  public List<Code> sections() {
    return ElfImage.guarded(source, reader -> image.sections().stream()
        .filter(section -> section.isExecutable() && section.type() != Section.NOBITS && section.size() != 0)
        .map(section -> new Code(section.name(), section.address(), image.content(reader, section).array()))
        .toList());
  }

  /**
   * The functions, by the file's symbols that have a size and by its unwind table, in ascending order; none
   * twice, and none that begins within another. Tables of constants between them are in none.
   *
   * @return nothing if the file tells of no function
   * @throws SymbolException if it cannot be read
   */
  public List<Code> functions() {
    SymbolTable symbols = symbols();
    return ElfImage.guarded(source, reader -> {
      var ranges = new ArrayList<UnwindTable.Range>();
      UnwindTable.ranges(image, reader).stream().filter(range -> !range.signalFrame()).forEach(ranges::add);
      symbols.functions().stream().filter(SymbolTable.Code::sized)
          .forEach(code -> ranges.add(new UnwindTable.Range(code.start(), code.end(), false)));
      ranges.sort(Comparator.comparing(UnwindTable.Range::start, Long::compareUnsigned)
          .thenComparing(UnwindTable.Range::end, (a, b) -> Long.compareUnsigned(b, a)));
      var contents = new HashMap<Section, byte[]>();
      var functions = new ArrayList<Code>();
      long covered = 0;
      for (UnwindTable.Range range : ranges) {
        Section section = image.executableSection(range.start());
        if (section == null || section.type() == Section.NOBITS
            || Long.compareUnsigned(range.start(), covered) < 0) {
          continue;
        }
        byte[] content = contents.computeIfAbsent(section, each -> image.content(reader, each).array());
        int offset = (int) (range.start() - section.address());
        functions.add(new Code(section.name(), range.start(),
            Arrays.copyOfRange(content, offset, offset + (int) (range.end() - range.start()))));
        covered = range.end();
      }
      return functions;
    });
  }

  /**
   * The functions, by the file's symbols, of which the start could not be proved if it had no symbols: by the
   * unwind table and by branches and calls from what is in there ({@code docs/locations.md}).
   *
   * @return how many functions there are by symbols, and the addresses of those without proof
   * @throws SymbolException if the file cannot be read
   */
  public Unproven withoutProofIfStripped() {
    var none = new SymbolTable(image, new SymbolParser.Symbols(List.of(), Set.of()));
    InstructionStarts starts = InstructionStarts.of(image, source, none);
    List<SymbolTable.Code> functions = symbols().functions().stream().filter(SymbolTable.Code::typed)
        .toList();
    return new Unproven(functions.size(), functions.stream().map(SymbolTable.Code::start)
        .filter(start -> !starts.isStart(source, start)).toList());
  }

  /**
   * Functions that only symbols tell of.
   *
   * @param functions how many there are in all
   * @param addresses of those, in the file's own address space
   */
  public record Unproven(int functions, List<Long> addresses) {}

  private SymbolTable symbols() {
    var debug = new DebugFiles(Path.of("/"), "/usr/lib/debug").find(image, source, module.path());
    return image.symbols(source, debug);
  }

  /**
   * A function. An IFUNC is here the function that chooses the implementation: only a process has made the
   * choice.
   *
   * @param symbol its name, as {@link SymbolResolver#resolve} takes it
   * @throws SymbolException if there is not exactly one
   */
  public Code function(String symbol) {
    SymbolTable symbols = symbols();
    SymbolTable.Code code = Objects
        .requireNonNull(symbols.functionAt(symbols.find(module, module.name(), symbol).address()));
    long offset = code.section().offset() + (code.start() - code.section().address());
    byte[] bytes = ElfImage.guarded(source,
        reader -> reader.read(offset, (int) (code.end() - code.start())).array());
    return new Code(symbol, code.start(), bytes);
  }
}
