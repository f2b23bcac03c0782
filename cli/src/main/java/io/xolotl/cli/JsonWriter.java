package io.xolotl.cli;

import java.io.IOException;
import java.io.Writer;
import java.math.BigDecimal;
import java.math.MathContext;
import org.jspecify.annotations.Nullable;

/** Writes one JSON document (RFC 8259), value by value; the caller opens and closes what it nests. */
final class JsonWriter {
  private static final MathContext SIGNIFICANT = new MathContext(5);

  private final Writer out;

  /** Whether the next value or member follows another one. */
  private boolean separate;

  JsonWriter(Writer out) {
    this.out = out;
  }

  JsonWriter beginObject() throws IOException {
    return open('{');
  }

  JsonWriter endObject() throws IOException {
    return close('}');
  }

  JsonWriter beginArray() throws IOException {
    return open('[');
  }

  JsonWriter endArray() throws IOException {
    return close(']');
  }

  /** The name of a member, whose value comes next. */
  JsonWriter name(String name) throws IOException {
    separate();
    out.write(quoted(name));
    out.write(':');
    separate = false;
    return this;
  }

  JsonWriter value(@Nullable String value) throws IOException {
    return literal(value == null ? "null" : quoted(value));
  }

  JsonWriter value(long value) throws IOException {
    return literal(Long.toString(value));
  }

  JsonWriter value(boolean value) throws IOException {
    return literal(Boolean.toString(value));
  }

  JsonWriter value(double value) throws IOException {
    return literal(number(value));
  }

  /** A number that is not infinite, with as many digits as matter. */
  static String number(double value) {
    return new BigDecimal(value).round(SIGNIFICANT).stripTrailingZeros().toPlainString();
  }

  private JsonWriter literal(String text) throws IOException {
    separate();
    out.write(text);
    separate = true;
    return this;
  }

  private JsonWriter open(char bracket) throws IOException {
    separate();
    out.write(bracket);
    separate = false;
    return this;
  }

  private JsonWriter close(char bracket) throws IOException {
    out.write(bracket);
    separate = true;
    return this;
  }

  private void separate() throws IOException {
    if (separate) {
      out.write(',');
    }
  }

  /** A string with its quotation marks. */
  static String quoted(String value) {
    var text = new StringBuilder(value.length() + 2).append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '"', '\\' -> text.append('\\').append(c);
        case '\n' -> text.append("\\n");
        case '\t' -> text.append("\\t");
        default -> {
          // Half a surrogate pair cannot be written in UTF-8.
          if (c < 0x20 || c == 0x7f || Character.isSurrogate(c) && !isPaired(value, i)) {
            text.append("\\u%04x".formatted((int) c));
          } else {
            text.append(c);
          }
        }
      }
    }
    return text.append('"').toString();
  }

  private static boolean isPaired(String value, int i) {
    return Character.isHighSurrogate(value.charAt(i))
        ? i + 1 < value.length() && Character.isLowSurrogate(value.charAt(i + 1))
        : i > 0 && Character.isHighSurrogate(value.charAt(i - 1));
  }
}
