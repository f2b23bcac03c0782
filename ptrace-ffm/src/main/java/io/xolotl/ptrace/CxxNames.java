package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * C++ names as people write them, by the C++ library's own function ({@code __cxa_demangle}, Itanium C++ ABI,
 * 3.4), where libstdc++ is installed. Any thread.
 *
 * <p>Names are anyone's. A short one may stand for gigabytes: a reference repeats what it refers to, and the
 * expansion of a parameter pack repeats its pattern for each element. Names with more of these than make some
 * ten megabytes of the longest are left as they are.
 */
public final class CxxNames {

  private static final int LONGEST = 1 << 12;
  /** Three references a level triple the name with each level. */
  private static final int MOST_REFERENCES = 28;
  /** Where a pack is expanded. */
  private static final int LONGEST_WITH_PACK = 1 << 9;
  private static final int MOST_REFERENCES_WITH_PACK = 10;
  /** Substitutions and template parameters; identifiers that look like one are counted with them. */
  private static final Pattern REFERENCE = Pattern.compile("[ST][0-9A-Z]*_");
  /** Expansions of packs, likewise. */
  private static final Pattern EXPANSION = Pattern.compile("Dp|sp");
  /** What a pack of arguments begins with: without it there is nothing to expand. */
  private static final char PACK = 'J';
  private static final Pattern BLANKS = Pattern.compile("\\s+");
  /** Blanks that separate no words. */
  private static final Pattern NEEDLESS = Pattern.compile("(?<!\\w) | (?!\\w)");
  private static final Pattern BEHIND_ARGUMENTS = Pattern
      .compile("(?: ?(?:const|volatile|noexcept|&&?|\\[abi:\\w+]|\\[clone [^]]*]))+$");

  /** The library, linked with the first name; null where it is not to be had. */
  private static final class Library {
    static final @Nullable MethodHandle DEMANGLE = link("__cxa_demangle",
        FunctionDescriptor.of(ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS), true);
    static final @Nullable MethodHandle FREE = link("free", FunctionDescriptor.ofVoid(ADDRESS), false);

    private Library() {}

    private static @Nullable MethodHandle link(String name, FunctionDescriptor descriptor, boolean own) {
      if (NativeAccess.denial() != null) {
        return null;
      }
      try {
        SymbolLookup lookup = own
            ? SymbolLookup.libraryLookup("libstdc++.so.6", Arena.global())
            : Linker.nativeLinker().defaultLookup();
        return lookup.find(name).map(address -> Linker.nativeLinker().downcallHandle(address, descriptor))
            .orElse(null);
      } catch (IllegalArgumentException e) {
        // It is not installed.
        return null;
      }
    }
  }

  private CxxNames() {}

  private static boolean mayBeEndless(String symbol) {
    if (symbol.length() > LONGEST) {
      return true;
    }
    long references = REFERENCE.matcher(symbol).results().count();
    long expansions = symbol.indexOf(PACK) < 0 ? 0 : EXPANSION.matcher(symbol).results().count();
    return references > MOST_REFERENCES || expansions > 1 || expansions == 1
        && (symbol.length() > LONGEST_WITH_PACK || references > MOST_REFERENCES_WITH_PACK);
  }

  /**
   * A C++ name with the types of its arguments, as {@code c++filt} prints it.
   *
   * @param symbol a symbol's name
   * @return empty if it is none of C++, or nobody here can read it
   */
  public static Optional<String> demangled(String symbol) {
    MethodHandle demangle = Library.DEMANGLE;
    MethodHandle free = Library.FREE;
    if (!symbol.startsWith("_Z") || demangle == null || free == null || mayBeEndless(symbol)) {
      return Optional.empty();
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment status = arena.allocate(JAVA_INT);
      var text = (MemorySegment) demangle.invokeExact(arena.allocateFrom(symbol), MemorySegment.NULL,
          MemorySegment.NULL, status);
      if (text.equals(MemorySegment.NULL)) {
        return Optional.empty();
      }
      try {
        return Optional.of(text.reinterpret(Long.MAX_VALUE).getString(0, StandardCharsets.UTF_8));
      } finally {
        free.invokeExact(text);
      }
    } catch (Throwable e) {
      throw new AssertionError("these functions throw nothing", e);
    }
  }

  /**
   * {@return all that people may write for a name: with and without the types of the arguments, and the
   * return type that only templates have; without blanks that separate no words}
   *
   * @param demangled what {@link #demangled} has returned
   */
  public static Set<String> forms(String demangled) {
    var forms = new LinkedHashSet<String>();
    String name = normal(demangled);
    forms.add(name);
    String plain = withoutArguments(name);
    for (String each : List.of(name, plain)) {
      String rest = withoutReturnType(each, plain.length());
      forms.add(each);
      forms.add(rest);
    }
    return forms;
  }

  /**
   * {@return a name without blanks that separate no words}
   *
   * @param name the name, demangled
   */
  public static String normal(String name) {
    return NEEDLESS.matcher(BLANKS.matcher(name.strip()).replaceAll(" ")).replaceAll("");
  }

  /**
   * {@return a {@linkplain #normal normal} name without the types of the arguments and what is behind them}
   *
   * @param name the name, demangled
   */
  public static String withoutArguments(String name) {
    String rest = BEHIND_ARGUMENTS.matcher(name).replaceFirst("");
    if (!rest.endsWith(")")) {
      return name;
    }
    int depth = 0;
    for (int i = rest.length() - 1; i > 0; i--) {
      depth += rest.charAt(i) == ')' ? 1 : rest.charAt(i) == '(' ? -1 : 0;
      if (depth == 0) {
        // "operator()" alone has none.
        return rest.substring(0, i).endsWith("operator") ? rest : rest.substring(0, i);
      }
    }
    return rest;
  }

  /**
   * Without the return type.
   *
   * @param end where the arguments begin
   */
  private static String withoutReturnType(String name, int end) {
    int operator = name.indexOf("operator");
    int limit = operator >= 0 ? operator : Math.min(end, name.length());
    int depth = 0;
    for (int i = limit - 1; i > 0; i--) {
      char c = name.charAt(i);
      depth += c == '>' || c == ')' ? 1 : c == '<' || c == '(' ? -1 : 0;
      if (depth == 0 && c == ' ') {
        return name.substring(i + 1);
      }
    }
    return name;
  }
}
