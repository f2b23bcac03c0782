package io.xolotl.cli;

import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import picocli.CommandLine.TypeConversionException;

/** How values are written on the command line and in its output. */
final class Names {
  private static final Pattern DURATION = Pattern.compile("([0-9]{1,9}(?:\\.[0-9]{1,9})?)(ms|s|m|h|)");

  private static final Pattern ADDRESS = Pattern.compile("0x([0-9a-fA-F]+)|[0-9]+");
  private static final Pattern DIGITS = Pattern.compile("[0-9]+");

  private Names() {}

  /** The name of a constant: {@code single-stepped} for {@code SINGLE_STEPPED}. */
  static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** An address as people write it. */
  static String hex(long address) {
    return "0x" + Long.toHexString(address);
  }

  /** The constant with a name. */
  static <E extends Enum<E>> E parse(Class<E> type, String name) {
    E[] constants = type.getEnumConstants();
    return Arrays.stream(constants).filter(constant -> of(constant).equals(name)).findFirst()
        .orElseThrow(() -> new TypeConversionException("'" + name + "' is none of "
            + Arrays.stream(constants).map(Names::of).collect(Collectors.joining(", "))));
  }

  /** Reads {@code 500ms}, {@code 1.5s}, {@code 2m}, {@code 1h}; a number alone is seconds. */
  static Duration parseDuration(String text) {
    Matcher matcher = DURATION.matcher(text);
    if (!matcher.matches()) {
      throw new TypeConversionException("'" + text + "' is no duration such as 500ms, 5s, 2m or 1h");
    }
    double unit = switch (matcher.group(2)) {
      case "ms" -> 1e6;
      case "m" -> 60e9;
      case "h" -> 3600e9;
      default -> 1e9;
    };
    // A double holds no more than fits: 999999999 hours saturate the long.
    return Duration.ofNanos((long) (Double.parseDouble(matcher.group(1)) * unit));
  }

  /** Reads an address: hexadecimal behind {@code 0x}, else decimal. */
  static long parseAddress(String text) {
    Matcher matcher = ADDRESS.matcher(text);
    try {
      if (matcher.matches()) {
        return matcher.group(1) != null
            ? Long.parseUnsignedLong(matcher.group(1), 16)
            : Long.parseUnsignedLong(text);
      }
    } catch (NumberFormatException e) {
      // It is too large, as is said below.
    }
    throw new TypeConversionException("'" + text + "' is no address such as 0x7f00");
  }

  /**
   * Reads a number of ASCII digits only. Java's own methods take a sign, and the digits of every script.
   *
   * @param least the least number that is accepted
   * @param most the greatest
   */
  static long parseNumber(String text, long least, long most) {
    try {
      if (DIGITS.matcher(text).matches()) {
        long number = Long.parseLong(text);
        if (number >= least && number <= most) {
          return number;
        }
      }
    } catch (NumberFormatException e) {
      // It is too large, as is said below.
    }
    throw new TypeConversionException("'" + text + "' is no number from " + least + " to " + most);
  }

  /** A pattern in which {@code *} stands for any characters and {@code ?} for one. */
  static Pattern glob(String glob) {
    var regex = new StringBuilder();
    glob.codePoints().forEach(c -> {
      switch (c) {
        case '*' -> regex.append(".*");
        case '?' -> regex.append('.');
        default -> regex.append(Pattern.quote(Character.toString(c)));
      }
    });
    // Names may have line feeds in them.
    return Pattern.compile(regex.toString(), Pattern.DOTALL);
  }

  static boolean isGlob(String text) {
    return text.indexOf('*') >= 0 || text.indexOf('?') >= 0;
  }
}
