package io.xolotl.xol;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What {@link ProbeLocation#parse} accepts: ASCII digits only. Java's own methods take more, and signs. */
final class LocationGrammar {
  /** Sixteen digits behind zeros fit an address. */
  static final Pattern ADDRESS = Pattern.compile("0x0*[0-9a-fA-F]{1,16}");
  private static final Pattern OFFSET = Pattern.compile("(.+)\\+(0x[0-9a-fA-F]+|[0-9]+)", Pattern.DOTALL);

  private LocationGrammar() {}

  static String hex(long number) {
    return "0x" + Long.toHexString(number);
  }

  static List<ProbeLocation> readings(String text) {
    var readings = new ArrayList<ProbeLocation>();
    for (int colon = text.lastIndexOf(':'); colon > 0; colon = text.lastIndexOf(':', colon - 1)) {
      String module = text.substring(0, colon);
      String symbol = text.substring(colon + 1);
      if (!symbol.isEmpty()) {
        readings.add(new ProbeLocation.Symbol(module, symbol, 0));
        Matcher matcher = OFFSET.matcher(symbol);
        if (matcher.matches()) {
          readings.add(new ProbeLocation.Symbol(module, matcher.group(1), offset(matcher.group(2), text)));
        }
      }
    }
    Matcher matcher = OFFSET.matcher(text);
    if (matcher.matches() && ADDRESS.matcher(matcher.group(2)).matches()) {
      String digits = matcher.group(2);
      readings.add(new ProbeLocation.FileAddress(matcher.group(1),
          Long.parseUnsignedLong(digits, 2, digits.length(), 16)));
    }
    return readings;
  }

  /** Not Long.decode, to which a leading zero makes a number octal. */
  private static long offset(String digits, String text) {
    try {
      return digits.startsWith("0x")
          ? Long.parseLong(digits, 2, digits.length(), 16)
          : Long.parseLong(digits);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("'" + digits + "' in '" + text + "' is no offset", e);
    }
  }
}
