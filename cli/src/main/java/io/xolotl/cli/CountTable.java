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
import java.util.function.ToDoubleFunction;

/** A line a place, with its hits, for people: the most hits first. */
final class CountTable {
  /** ECMA-48: cursor to the beginning of the line N lines up, then erase all from there. */
  private static final String ERASE_LINES = "\033[%dF\033[J";
  /** DECAWM: a line that is too long for the terminal must stay one line. */
  private static final String CUT_LINES = "\033[?7l";
  private static final String WRAP_LINES = "\033[?7h";
  /** The heading, two lines that say what is left out, one about the program's end, and the prompt. */
  private static final int OTHER_LINES = 5;
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

  private final ProbeRows rows;
  private final Choice choice;
  private final boolean byPid;
  private long began = System.nanoTime();

  /** What the last refresh showed, which the next one replaces and compares with. */
  private final Map<String, Long> shownHits = new HashMap<>();
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

  /** All probes are there: the time counts from now on. */
  void begin() {
    began = System.nanoTime();
    shownAt = began;
  }

  /** Seconds since the beginning. */
  double seconds() {
    return (System.nanoTime() - began) / 1e9;
  }

  /**
   * Replaces the table on the terminal by one of this moment, with the hits a second since the last one: as
   * many rows as fit, because what has scrolled away cannot be replaced.
   */
  void refresh(Writer out, TerminalSize terminal) throws IOException {
    long now = System.nanoTime();
    double seconds = (now - shownAt) / 1e9;
    erase(out);
    out.write(CUT_LINES);
    shownLines = rows(out, Optional.of(terminal), row -> {
      Long before = shownHits.put(row.pid() + " " + row.location(), row.hits());
      return (row.hits() - (before == null ? 0 : before)) / seconds;
    });
    out.write(WRAP_LINES);
    shownAt = now;
  }

  /**
   * Writes the table in place of what was refreshed, with the hits a second since the beginning.
   *
   * @param terminal where it has to fit; empty if it need not
   */
  void write(Writer out, Optional<TerminalSize> terminal) throws IOException {
    double seconds = seconds();
    erase(out);
    rows(out, terminal, row -> row.hits() / seconds);
  }

  /** Writes the rows that are shown, the most hits first, and returns how many lines these are. */
  private int rows(Writer out, Optional<TerminalSize> terminal, ToDoubleFunction<ProbeRows.Row> rate)
      throws IOException {
    List<ProbeRows.Row> all = rows.all();
    List<ProbeRows.Row> some = all.stream().filter(row -> choice.all() || row.hits() != 0)
        .sorted(Comparator.comparingLong((ProbeRows.Row row) -> -row.hits())).toList();
    int most = terminal.map(size -> Math.min(choice.top(), Math.max(1, size.rows() - OTHER_LINES)))
        .orElse(choice.top());
    List<ProbeRows.Row> shown = some.subList(0, Math.min(some.size(), most));
    var format = new Format(shown, terminal);
    format.heading(out);
    for (ProbeRows.Row row : shown) {
      format.line(out, row, rate.applyAsDouble(row));
    }
    int lines = 1 + shown.size();
    if (some.size() > shown.size()) {
      out.write(String.format(Locale.ROOT, "%12s  more with hits (--top, or into a file)\n",
          some.size() - shown.size()));
      lines++;
    }
    if (all.size() > some.size()) {
      out.write(String.format(Locale.ROOT, "%12s  without a hit (--all)\n", all.size() - some.size()));
      lines++;
    }
    return lines;
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

    Format(List<ProbeRows.Row> rows, Optional<TerminalSize> terminal) {
      int width = rows.stream().mapToInt(row -> address(row).length()).reduce(7, Math::max);
      int locations = rows.stream().mapToInt(row -> row.location().length()).reduce(8, Math::max);
      columns = terminal.map(TerminalSize::columns).orElse(Integer.MAX_VALUE);
      int room = columns - FIRST_COLUMNS - (byPid ? 9 : 0);
      addressWidth = width + 2 + Math.max(locations, LOCATION_COLUMNS) <= room ? width : 0;
    }

    void heading(Writer out) throws IOException {
      row(out, "HITS", "HITS/S", "TECHNIQUE", "PID", "ADDRESS", "LOCATION");
    }

    void line(Writer out, ProbeRows.Row row, double rate) throws IOException {
      Technique technique = row.technique();
      String names = row.aliases().isEmpty() ? "" : "  also " + String.join(", ", row.aliases());
      row(out, Long.toString(row.hits()), String.format(Locale.ROOT, "%.0f", rate),
          technique != null ? Names.of(technique) : row.waits() ? "waits" : "-",
          Integer.toString(row.pid()), address(row), Visible.of(row.location() + names));
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
