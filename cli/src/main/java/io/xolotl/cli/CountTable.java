package io.xolotl.cli;

import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.TerminalSize;
import java.io.IOException;
import java.io.Writer;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** A line a place, with its hits, for people: the most hits first. */
final class CountTable {
  /** ECMA-48: cursor to the beginning of the line N lines up, then erase all from there. */
  private static final String ERASE_LINES = "\033[%dF\033[J";
  /** DECAWM: a line that is too long for the terminal must stay one line. */
  private static final String CUT_LINES = "\033[?7l";
  private static final String WRAP_LINES = "\033[?7h";
  /** The heading, a line that says what is left out, and the prompt. */
  private static final int OTHER_LINES = 3;
  private static final int FIRST_COLUMNS = 12 + 1 + 10 + 2 + 14 + 2;
  /** Characters of a location that are worth more than an address. */
  private static final int LOCATION_COLUMNS = 24;

  /**
   * Which rows are shown.
   *
   * @param all those without a hit, too
   * @param top how many at most
   */
  record Choice(boolean all, int top) {}

  private record Line(ProbeRows.Row row, long hits) {}

  private final ProbeRows rows;
  private final Choice choice;
  private final boolean byPid;
  private final long began = System.nanoTime();

  /** What the last refresh showed, which the next one replaces and compares with. */
  private final Map<ProbeRows.Row, Long> shownHits = new HashMap<>();
  private long shownAt = began;
  private int shownLines;

  CountTable(ProbeRows rows, Choice choice, boolean byPid) {
    this.rows = rows;
    this.choice = choice;
    this.byPid = byPid;
  }

  ProbeRows rows() {
    return rows;
  }

  /** Seconds since the beginning. */
  double seconds() {
    return (System.nanoTime() - began) / 1e9;
  }

  /** The rows that are shown, the most hits first. */
  private List<Line> lines(boolean withZeros) {
    return rows.all().stream().map(row -> new Line(row, row.hits()))
        .filter(line -> withZeros || line.hits() != 0)
        .sorted(Comparator.comparingLong((Line line) -> -line.hits())).toList();
  }

  /**
   * Replaces the table on the terminal by one of this moment, with the hits a second since the last one: as
   * many rows as fit, because what has scrolled away cannot be replaced.
   */
  void refresh(Writer out, TerminalSize terminal) throws IOException {
    long now = System.nanoTime();
    double seconds = (now - shownAt) / 1e9;
    List<Line> lines = lines(true);
    List<Line> shown = lines.subList(0, Math.min(lines.size(), most(terminal)));
    erase(out);
    out.write(CUT_LINES);
    var format = new Format(shown, Optional.of(terminal));
    format.heading(out);
    for (Line line : shown) {
      format.line(out, line, (line.hits() - shownHits.getOrDefault(line.row(), 0L)) / seconds);
      shownHits.put(line.row(), line.hits());
    }
    out.write(WRAP_LINES);
    shownAt = now;
    shownLines = shown.size() + 1;
  }

  private int most(TerminalSize terminal) {
    return Math.max(1, Math.min(choice.top(), terminal.rows() - OTHER_LINES));
  }

  /**
   * Writes the table in place of what was refreshed, with the hits a second since the beginning.
   *
   * @param terminal where it has to fit; empty if it need not
   */
  void write(Writer out, Optional<TerminalSize> terminal) throws IOException {
    double seconds = seconds();
    erase(out);
    List<Line> lines = lines(choice.all());
    int most = terminal.map(this::most).orElse(choice.top());
    List<Line> shown = lines.subList(0, Math.min(lines.size(), most));
    var format = new Format(shown, terminal);
    format.heading(out);
    for (Line line : shown) {
      format.line(out, line, line.hits() / seconds);
    }
    long zeros = rows.all().size() - (long) lines.size();
    if (lines.size() > shown.size()) {
      out.write(String.format(Locale.ROOT, "%12s  more with hits (--top, or into a file)\n",
          lines.size() - shown.size()));
    }
    if (zeros > 0) {
      out.write(String.format(Locale.ROOT, "%12s  without a hit (--all)\n", zeros));
    }
  }

  private void erase(Writer out) throws IOException {
    if (shownLines > 0) {
      out.write(ERASE_LINES.formatted(shownLines));
      shownLines = 0;
    }
  }

  /** How wide the columns are. */
  private final class Format {
    /** Of addresses; 0 where the terminal has no room for them beside locations. */
    private final int addressWidth;
    /** Characters of a line. */
    private final int columns;

    Format(List<Line> lines, Optional<TerminalSize> terminal) {
      int width = lines.stream().mapToInt(line -> address(line.row()).length()).reduce(7, Math::max);
      int locations = lines.stream().mapToInt(line -> line.row().location().length()).reduce(8, Math::max);
      columns = terminal.map(TerminalSize::columns).orElse(Integer.MAX_VALUE);
      int room = columns - FIRST_COLUMNS - (byPid ? 9 : 0);
      addressWidth = width + 2 + Math.max(locations, LOCATION_COLUMNS) <= room ? width : 0;
    }

    void heading(Writer out) throws IOException {
      row(out, "HITS", "HITS/S", "TECHNIQUE", "PID", "ADDRESS", "LOCATION");
    }

    void line(Writer out, Line line, double rate) throws IOException {
      ProbeRows.Row row = line.row();
      Technique technique = row.technique();
      String names = row.aliases().isEmpty() ? "" : "  also " + String.join(", ", row.aliases());
      row(out, Long.toString(line.hits()), String.format(Locale.ROOT, "%.0f", rate),
          technique == null ? "waits" : Names.of(technique), Integer.toString(row.pid()), address(row),
          Visible.of(row.location() + names));
    }

    private String address(ProbeRows.Row row) {
      Long address = row.address();
      return address == null ? "" : Names.hex(address);
    }

    private void row(Writer out, String hits, String rate, String technique, String pid, String address,
        String location) throws IOException {
      // The location last: it may be of any length.
      String line = String.format(Locale.ROOT, "%12s %10s  %-14s  ", hits, rate, technique)
          + (byPid ? String.format(Locale.ROOT, "%7s  ", pid) : "")
          + (addressWidth == 0 ? "" : String.format(Locale.ROOT, "%-" + addressWidth + "s  ", address))
          + location;
      out.write((line.length() > columns ? line.substring(0, columns - 1) + ">" : line) + '\n');
    }
  }
}
