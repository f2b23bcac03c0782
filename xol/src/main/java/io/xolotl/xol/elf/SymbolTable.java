package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolEntry.Binding;
import io.xolotl.xol.elf.SymbolEntry.Kind;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The symbols of a file by name and by address. All addresses are in the file's own address space. Safe for
 * use by several threads.
 */
final class SymbolTable {

  /**
   * A function with all its names.
   *
   * @param entries the symbols at {@code start}, best first
   */
  record Code(long start, long end, boolean sized, Section section, List<SymbolEntry> entries) {

    List<String> names() {
      if (entries.size() == 1) {
        return List.of(entries.getFirst().displayName());
      }
      return entries.stream().map(SymbolEntry::displayName).distinct().toList();
    }

    /** Whether a symbol says that this is a function, and not only a label. */
    boolean typed() {
      return entries.stream().anyMatch(SymbolEntry::isTyped);
    }

    boolean isIndirect() {
      return entries.getFirst().kind() == Kind.INDIRECT;
    }

    boolean contains(long fileAddress) {
      return Long.compareUnsigned(start, fileAddress) <= 0 && Long.compareUnsigned(fileAddress, end) < 0;
    }
  }

  /** Names of one function that are looked at. */
  private static final int MOST_NAMES = 8;
  private static final int MOST_NAMESAKES = 64;

  private final Map<String, List<SymbolEntry>> byName = new HashMap<>();
  private final Set<String> imported;
  private final Set<Long> dataInCode;
  /** For messages: which tables of symbols the file has, and how a debug file of it would be found. */
  private final String tables;
  private final String debug;
  private final boolean embedded;
  private final boolean complete;
  private @Nullable InstructionStarts instructions;
  /** Ascending. */
  private final List<Code> functions;
  /** The starts of {@link #functions}, next to each other for binary search. */
  private final long[] starts;
  /** For each function the index of the next one before it that reaches beyond its start, or -1. */
  private final int[] enclosing;

  SymbolTable(ElfImage image, SymbolParser.Symbols symbols) {
    imported = symbols.imported();
    tables = image.firstOfType(Section.SYMTAB) != null
        ? ".symtab has no function"
        : image.firstOfType(Section.DYNSYM) != null
            ? ".dynsym has no function, and there is no .symtab"
            : "it has neither .symtab nor .dynsym";
    complete = symbols.local();
    embedded = image.sections().stream().anyMatch(section -> section.name().equals(EmbeddedSymbols.SECTION));
    String buildId = image.buildId();
    ElfImage.DebugLink link = image.debugLink();
    debug = buildId != null ? "build id " + buildId : link != null ? link.fileName() : "it names none";
    SymbolEntry[] entries = symbols.defined().toArray(SymbolEntry[]::new);
    Arrays.sort(entries);
    List<SymbolEntry> distinct = withoutRepetitions(entries);
    for (SymbolEntry entry : distinct) {
      List<SymbolEntry> namesakes = byName.get(entry.name());
      if (namesakes == null) {
        namesakes = new ArrayList<>(1);
        byName.put(entry.name(), namesakes);
      }
      namesakes.add(entry);
    }
    dataInCode = distinct.stream().filter(entry -> entry.kind() == Kind.TABLE).map(SymbolEntry::address)
        .collect(Collectors.toUnmodifiableSet());
    functions = functions(image, distinct);
    starts = new long[functions.size()];
    for (int i = 0; i < starts.length; i++) {
      starts[i] = functions.get(i).start();
    }
    enclosing = enclosing(functions);
  }

  /** {@code .dynsym} repeats the global symbols of {@code .symtab}. */
  private static List<SymbolEntry> withoutRepetitions(SymbolEntry[] sorted) {
    var result = new ArrayList<SymbolEntry>(sorted.length);
    SymbolEntry previous = null;
    for (SymbolEntry entry : sorted) {
      if (previous == null || previous.address() != entry.address() || previous.kind() != entry.kind()
          || !previous.name().equals(entry.name()) || !Objects.equals(previous.version(), entry.version())) {
        result.add(entry);
        previous = entry;
      }
    }
    return result;
  }

  private static List<Code> functions(ElfImage image, List<SymbolEntry> sorted) {
    var code = new ArrayList<SymbolEntry>(sorted.size());
    for (SymbolEntry entry : sorted) {
      if (entry.isFunction()) {
        code.add(entry);
      }
    }
    var result = new ArrayList<Code>();
    for (int first = 0, next; first < code.size(); first = next) {
      long start = code.get(first).address();
      long size = 0;
      for (next = first; next < code.size() && code.get(next).address() == start; next++) {
        long entrySize = code.get(next).size();
        size = Long.compareUnsigned(entrySize, size) > 0 ? entrySize : size;
      }
      Section section = Objects.requireNonNull(image.executableSection(start),
          "functions are in executable sections");
      long room = section.end() - start;
      boolean sized = size != 0;
      if (!sized && next < code.size()) {
        size = code.get(next).address() - start;
      }
      long end = start + (size != 0 && Long.compareUnsigned(size, room) < 0 ? size : room);
      result.add(new Code(start, end, sized, section, code.subList(first, next)));
    }
    return List.copyOf(result);
  }

  private static int[] enclosing(List<Code> functions) {
    var result = new int[functions.size()];
    for (int i = 0; i < result.length; i++) {
      int outer = i - 1;
      while (outer >= 0 && !functions.get(outer).contains(functions.get(i).start())) {
        outer = result[outer];
      }
      result[i] = outer;
    }
    return result;
  }

  /** All symbols of a name, in all versions. */
  List<SymbolEntry> named(String name) {
    return byName.getOrDefault(name, List.of());
  }

  /** Whether there are local symbols too, as far as the compiler leaves any. */
  boolean areComplete() {
    return complete;
  }

  /** Where instructions start, as far as that is proved by these symbols and the file. */
  synchronized InstructionStarts starts(ElfImage image, ElfSource source) {
    InstructionStarts known = instructions;
    if (known == null) {
      known = InstructionStarts.of(image, source, this);
      instructions = known;
    }
    return known;
  }

  /** Where there are data among the code, as symbols say. */
  Set<Long> dataInCode() {
    return dataInCode;
  }

  /** All functions, in ascending order. */
  List<Code> functions() {
    return functions;
  }

  /** The innermost function that covers an address, or {@code null}. */
  @Nullable
  Code functionContaining(long fileAddress) {
    int nearest = atOrBefore(fileAddress);
    Code unsized = null;
    for (int i = nearest; i >= 0; i = enclosing[i]) {
      Code function = functions.get(i);
      if (function.contains(fileAddress)) {
        if (function.sized()) {
          return function;
        }
        unsized = unsized == null ? function : unsized;
      }
    }
    // A label without a size belongs to the function around it; only outside of all functions it is one
    // itself.
    return unsized;
  }

  /** The first function that starts behind an address, or {@code null}. */
  @Nullable
  Code functionAfter(long fileAddress) {
    int next = atOrBefore(fileAddress) + 1;
    return next < functions.size() ? functions.get(next) : null;
  }

  /** The function that starts at an address, or {@code null}. */
  @Nullable
  Code functionAt(long fileAddress) {
    int index = atOrBefore(fileAddress);
    return index >= 0 && starts[index] == fileAddress ? functions.get(index) : null;
  }

  /** Index of the last function that starts at or before an address, or -1. */
  private int atOrBefore(long fileAddress) {
    int low = 0;
    int high = starts.length - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      if (Long.compareUnsigned(starts[middle], fileAddress) <= 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return high;
  }

  /**
   * Finds the function that a symbol stands for. Where several symbols have that name, the one of the default
   * version wins, then those without a version, and of these the global and weak ones; what is left must be
   * at one address.
   *
   * @param module for the messages
   * @param moduleName what the module is called there: a name that no other has
   * @param symbol a name, {@code name@version} or {@code name@@version}; the last only if the version is the
   *     default
   */
  SymbolEntry find(LoadedModule module, String moduleName, String symbol) {
    List<SymbolEntry> named = named(module, symbol);
    List<SymbolEntry> candidates = named.stream().filter(SymbolEntry::isFunction).toList();
    if (candidates.isEmpty()) {
      String what = named.getFirst().kind() == Kind.ABSOLUTE ? "an absolute value" : "data";
      throw new SymbolException(Reason.NOT_A_FUNCTION,
          "'" + symbol + "' in " + module.name() + " is " + what
              + ", not a function; probes go on instructions");
    }
    if (byName.containsKey(symbol)) {
      candidates = withoutVersion(candidates);
    }
    long address = candidates.getFirst().address();
    if (candidates.stream().anyMatch(entry -> entry.address() != address)) {
      throw ambiguous(module, moduleName, symbol, candidates);
    }
    return candidates.stream().filter(entry -> entry.kind() == Kind.INDIRECT).findFirst()
        .orElse(candidates.getFirst());
  }

  /** The symbols of a name; what is behind an at sign in it is a version, if none has that whole name. */
  private List<SymbolEntry> named(LoadedModule module, String symbol) {
    List<SymbolEntry> named = byName.get(symbol);
    if (named != null) {
      return named;
    }
    int at = symbol.lastIndexOf('@');
    int first = at > 1 && symbol.charAt(at - 1) == '@' ? at - 1 : at;
    List<SymbolEntry> versions = first < 1 ? null : byName.get(symbol.substring(0, first));
    if (versions != null) {
      return ofVersion(module, versions, symbol, first);
    }
    List<SymbolEntry> ofCxx = CxxSymbols.named(byName.values(), symbol);
    if (ofCxx.isEmpty()) {
      throw notFound(module, first < 1 ? symbol : symbol.substring(0, first));
    }
    return ofCxx;
  }

  /** The names by which a function is found, and no other; best first, and not more than people read. */
  List<String> uniqueNames(Code function) {
    return function.entries().stream().limit(MOST_NAMES).filter(this::isUnique)
        .map(SymbolEntry::displayName).distinct().toList();
  }

  private boolean isUnique(SymbolEntry entry) {
    if (entry.isOldVersion() && byName.containsKey(entry.displayName())) {
      // What has an at sign in its name is taken for itself, and not for a version of another.
      return false;
    }
    List<SymbolEntry> namesakes = named(entry.name());
    if (namesakes.size() > MOST_NAMESAKES) {
      // Whichever is meant, nobody would know; and each of them would be compared with all.
      return false;
    }
    List<SymbolEntry> functions = namesakes.stream().filter(SymbolEntry::isFunction).toList();
    List<SymbolEntry> meant = entry.isOldVersion()
        ? functions.stream().filter(each -> each.fullName().equals(entry.fullName())).toList()
        : withoutVersion(functions);
    return meant.stream().allMatch(each -> each.address() == entry.address());
  }

  private static List<SymbolEntry> ofVersion(LoadedModule module, List<SymbolEntry> named, String symbol,
      int at) {
    boolean onlyDefault = symbol.startsWith("@@", at);
    String version = symbol.substring(onlyDefault ? at + 2 : at + 1);
    List<SymbolEntry> matching = named.stream()
        .filter(entry -> version.equals(entry.version()) && (entry.defaultVersion() || !onlyDefault))
        .toList();
    if (matching.isEmpty()) {
      throw new SymbolException(Reason.SYMBOL_NOT_FOUND, module.name() + " has no '" + symbol + "'; it has "
          + SymbolException.shown(named.stream().map(SymbolEntry::fullName).distinct().toList()));
    }
    return matching;
  }

  private static List<SymbolEntry> withoutVersion(List<SymbolEntry> candidates) {
    List<SymbolEntry> defaults = candidates.stream().filter(SymbolEntry::defaultVersion).toList();
    if (!defaults.isEmpty()) {
      return defaults;
    }
    List<SymbolEntry> plain = candidates.stream().filter(entry -> entry.version() == null).toList();
    if (plain.isEmpty()) {
      return candidates;
    }
    List<SymbolEntry> exported = plain.stream().filter(entry -> entry.binding() != Binding.LOCAL).toList();
    return exported.isEmpty() ? plain : exported;
  }

  private SymbolException notFound(LoadedModule module, String name) {
    if (imported.contains(name)) {
      return new SymbolException(Reason.SYMBOL_NOT_FOUND,
          module.name() + " only calls '" + name + "'; name the module that defines it");
    }
    List<String> functionNames = byName.values().stream().flatMap(List::stream)
        .filter(SymbolEntry::isFunction)
        .map(SymbolEntry::name).distinct().toList();
    List<String> nearest = NearestNames.of(name, functionNames);
    return new SymbolException(Reason.SYMBOL_NOT_FOUND, module.name() + " has no function '" + name + "'; "
        + (nearest.isEmpty()
            ? "there are no symbols of it, neither in the file (" + tables
                + (embedded ? "; its " + EmbeddedSymbols.SECTION + " cannot be read" : "")
                + ") nor in a debug file (" + debug
                + "): install its debug symbols, or name an address of the file: "
                + module.name() + "+0xADDRESS"
            : "nearest: " + String.join(", ", nearest)));
  }

  private static SymbolException ambiguous(LoadedModule module, String moduleName, String symbol,
      List<SymbolEntry> candidates) {
    if (candidates.stream().allMatch(SymbolEntry::isOldVersion)) {
      return new SymbolException(Reason.SYMBOL_AMBIGUOUS,
          module.name() + " has no default version of '" + symbol
              + "'; name one of "
              + SymbolException.shown(candidates.stream().map(SymbolEntry::fullName).distinct().toList()));
    }
    List<String> places = candidates.stream().map(SymbolEntry::address).distinct()
        .map(address -> moduleName + "+0x" + Long.toHexString(address)).toList();
    return new SymbolException(Reason.SYMBOL_AMBIGUOUS,
        module.name() + " has " + places.size() + " functions named '"
            + symbol + "'; name one of them: " + SymbolException.shown(places));
  }
}
