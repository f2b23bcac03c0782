package io.xolotl.cli;

/**
 * Makes text harmless that a file or a process has chosen: names of symbols, paths and processes may hold
 * what a terminal executes (control sequences of ECMA-48, also those that begin with one C1 character), what
 * begins a line of its own, and what reverses the order of the text around it (Unicode's bidirectional
 * controls).
 *
 * <p>All that people are shown goes through here, in tables, lines and messages. JSON has escapes of its own.
 */
final class Visible {

  private Visible() {}

  /** Returns the text with each such character as its number: {@code \x1b} or {@code \}{@code u202e}. */
  static String of(String text) {
    if (text.codePoints().noneMatch(Visible::acts)) {
      return text;
    }
    var visible = new StringBuilder(text.length() + 16);
    text.codePoints().forEach(c -> {
      if (acts(c)) {
        visible.append(String.format(c < 0x100 ? "\\x%02x" : "\\u%04x", c));
      } else {
        visible.appendCodePoint(c);
      }
    });
    return visible.toString();
  }

  private static boolean acts(int c) {
    return switch (Character.getType(c)) {
      // C0, DEL and C1; separators of lines and paragraphs; halves of surrogate pairs; marks, embeddings,
      // overrides and isolates of directions (Unicode Standard Annex 9), and what has no width.
      case Character.CONTROL, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR, Character.SURROGATE,
          Character.FORMAT ->
        true;
      default -> false;
    };
  }
}
