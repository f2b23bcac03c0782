package io.xolotl.xol.elf;

import io.xolotl.ptrace.CxxNames;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Finds symbols by C++ names as people write them: with or without the types of the arguments, and without
 * the return type that only templates have in their symbols ({@code app::twice<int>}).
 */
final class CxxSymbols {

  /** Names that are read for one question: more than the functions of the largest libraries. */
  private static final int MOST_READ = 1 << 18;
  /** Characters of all that is read for one question. */
  private static final long MOST_CHARACTERS = 1 << 28;

  private static final Pattern LAST_IDENTIFIER = Pattern.compile("(\\w+)\\W*$");

  private CxxSymbols() {}

  /** The functions of a C++ name; all overloads if it has no arguments. */
  static List<SymbolEntry> named(Collection<List<SymbolEntry>> symbols, String wanted) {
    String name = CxxNames.normal(wanted);
    String part = identifier(wanted);
    if (part == null) {
      return List.of();
    }
    var found = new ArrayList<SymbolEntry>();
    int read = 0;
    long characters = 0;
    for (List<SymbolEntry> namesakes : symbols) {
      String symbol = namesakes.getFirst().name();
      if (!symbol.startsWith("_Z") || !symbol.contains(part)) {
        continue;
      }
      if (++read > MOST_READ || characters > MOST_CHARACTERS) {
        break;
      }
      Reading.check();
      String demangled = CxxNames.demangled(symbol).orElse("");
      characters += demangled.length();
      if (CxxNames.forms(demangled).contains(name)) {
        namesakes.stream().filter(SymbolEntry::isFunction).forEach(found::add);
      }
    }
    // A piece that the compiler has moved away or made besides, as f.cold, has the function's name.
    List<SymbolEntry> whole = found.stream().filter(entry -> entry.name().indexOf('.') < 0).toList();
    return whole.isEmpty() ? found : whole;
  }

  /**
   * What the symbol must have in it, so that not all are to be read; empty if that is not known, null if this
   * is no name.
   */
  private static @Nullable String identifier(String wanted) {
    String plain = CxxNames.withoutArguments(CxxNames.normal(wanted));
    int template = plain.indexOf('<');
    Matcher last = LAST_IDENTIFIER.matcher(template > 0 ? plain.substring(0, template) : plain);
    // Constructors, destructors and operators have no name of their own.
    return plain.contains("operator") || plain.contains("~") ? "" : last.find() ? last.group(1) : null;
  }
}
