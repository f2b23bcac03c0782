package io.xolotl.cli;

import io.xolotl.xol.Probe;
import java.io.IOException;
import java.io.Writer;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/** A line a probe, with its hits, for people. */
final class CountTable {
  /** ECMA-48: cursor to the beginning of the line N lines up, then erase all from there. */
  private static final String ERASE_LINES = "\033[%dF\033[J";
  /** DECAWM: a line that is too long for the terminal must stay one line. */
  private static final String CUT_LINES = "\033[?7l";
  private static final String WRAP_LINES = "\033[?7h";
  /** Fits on the smallest terminal. */
  private static final int MOST_REFRESHED = 20;

  private final List<Probe> probes;
  private final int addressWidth;
  private final long began = System.nanoTime();

  /** What the last refresh showed, which the next one replaces and compares with. */
  private final long[] shownHits;
  private long shownAt = began;
  private int shownLines;

  CountTable(List<Probe> probes) {
    this.probes = List.copyOf(probes);
    shownHits = new long[probes.size()];
    addressWidth = probes.stream().mapToInt(probe -> Names.hex(probe.address()).length()).reduce(7,
        Math::max);
  }

  List<Probe> probes() {
    return probes;
  }

  /**
   * Replaces the table on the terminal by one of this moment, with the hits a second since the last one: of
   * many probes those that are hit most, because what has scrolled away cannot be replaced.
   */
  void refresh(Writer out) throws IOException {
    long now = System.nanoTime();
    double seconds = (now - shownAt) / 1e9;
    long[] hits = probes.stream().mapToLong(Probe::hits).toArray();
    List<Integer> shown = IntStream.range(0, hits.length).boxed()
        .sorted(Comparator.comparing((Integer i) -> -hits[i])).limit(MOST_REFRESHED).sorted().toList();
    erase(out);
    out.write(CUT_LINES);
    heading(out);
    for (int i : shown) {
      line(out, probes.get(i), hits[i], (hits[i] - shownHits[i]) / seconds);
    }
    out.write(WRAP_LINES);
    System.arraycopy(hits, 0, shownHits, 0, hits.length);
    shownAt = now;
    shownLines = shown.size() + 1;
  }

  /** Writes the table in place of what was refreshed, with the hits a second since the beginning. */
  void write(Writer out) throws IOException {
    double seconds = (System.nanoTime() - began) / 1e9;
    erase(out);
    heading(out);
    for (Probe probe : probes) {
      long hits = probe.hits();
      line(out, probe, hits, hits / seconds);
    }
  }

  private void erase(Writer out) throws IOException {
    if (shownLines > 0) {
      out.write(ERASE_LINES.formatted(shownLines));
      shownLines = 0;
    }
  }

  private void heading(Writer out) throws IOException {
    row(out, "HITS", "HITS/S", "TECHNIQUE", "ADDRESS", "LOCATION");
  }

  private void line(Writer out, Probe probe, long hits, double rate) throws IOException {
    row(out, Long.toString(hits), String.format(Locale.ROOT, "%.0f", rate), Names.of(probe.technique()),
        Names.hex(probe.address()), Visible.of(probe.location().toString()));
  }

  private void row(Writer out, String hits, String rate, String technique, String address, String location)
      throws IOException {
    // The location last: it may be of any length.
    out.write(
        String.format(Locale.ROOT, "%12s %10s  %-14s  %-" + addressWidth + "s  %s%n", hits, rate, technique,
            address, location));
  }
}
