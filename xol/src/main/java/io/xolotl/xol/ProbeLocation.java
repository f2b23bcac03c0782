package io.xolotl.xol;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Where a probe goes. Its text is what {@link #parse} reads. */
public sealed interface ProbeLocation {

  /**
   * An address in the process.
   *
   * @param address of an instruction's first byte, unsigned
   */
  record Address(long address) implements ProbeLocation {
    @Override
    public String toString() {
      return "0x" + Long.toHexString(address);
    }
  }

  /**
   * An instruction of a function.
   *
   * @param module names a mapped ELF file: its file name, full path, soname, or the beginning of exactly one
   *     file name up to a dot or dash
   * @param symbol names the function, with a version if it has several: {@code memcpy@GLIBC_2.2.5}
   * @param offset of the instruction's first byte from the function's, not negative
   */
  record Symbol(String module, String symbol, long offset) implements ProbeLocation {
    @Override
    public String toString() {
      return module + ":" + symbol + (offset == 0 ? "" : "+0x" + Long.toHexString(offset));
    }
  }

  /**
   * Reads {@code MODULE:SYMBOL}, {@code MODULE:SYMBOL+OFFSET} or {@code 0xADDRESS}; the offset is hexadecimal
   * with {@code 0x} before it and decimal otherwise.
   *
   * @param text what to read
   * @throws IllegalArgumentException if it is neither
   */
  static ProbeLocation parse(String text) {
    if (text.startsWith("0x")) {
      if (!Grammar.ADDRESS.matcher(text).matches()) {
        throw new IllegalArgumentException("'" + text + "' is no hexadecimal address");
      }
      return new Address(Long.parseUnsignedLong(text, 2, text.length(), 16));
    }
    Matcher matcher = Grammar.SYMBOL.matcher(text);
    if (!matcher.matches()) {
      throw new IllegalArgumentException("'" + text + "' is neither MODULE:SYMBOL[+OFFSET] nor 0xADDRESS");
    }
    String offset = matcher.group(3);
    try {
      return new Symbol(matcher.group(1), matcher.group(2), offset == null ? 0 : Grammar.number(offset));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("'" + offset + "' in '" + text + "' is no offset", e);
    }
  }

  /** What {@link #parse} accepts: ASCII digits only. Java's own methods take more, and signs. */
  final class Grammar {
    /** Sixteen digits behind zeros fit an address. */
    private static final Pattern ADDRESS = Pattern.compile("0x0*[0-9a-fA-F]{1,16}");
    // The last colon separates, so that a path may have one; symbols have no plus sign outside C++ operators.
    private static final Pattern SYMBOL = Pattern.compile("(.+):([^:]+?)(?:\\+(0x[0-9a-fA-F]+|[0-9]+))?");

    private Grammar() {}

    /** Not Long.decode, to which a leading zero makes a number octal. */
    private static long number(String digits) {
      return digits.startsWith("0x")
          ? Long.parseLong(digits, 2, digits.length(), 16)
          : Long.parseLong(digits);
    }
  }
}
