package io.xolotl.cli;

import io.xolotl.xol.Probe;
import java.io.IOException;
import java.io.Writer;
import java.util.List;
import java.util.Locale;

/** A line a probe, with its hits, for people. */
final class CountTable {
  /** ECMA-48: cursor to the beginning of the line N lines up, then erase all from there. */
  private static final String ERASE_LINES = "\033[%dF\033[J";

  private final List<Probe> probes;
  private final int locationWidth;
  private final int addressWidth;
  private final long began = System.nanoTime();

  /** What the last refresh showed, which the next one replaces and compares with. */
  private final long[] shownHits;
  private long shownAt = began;
  private int shownLines;

  CountTable(List<Probe> probes) {
    this.probes = List.copyOf(probes);
    shownHits = new long[probes.size()];
    locationWidth = width(probes.stream().map(probe -> probe.location().toString()).toList(), "LOCATION");
    addressWidth = width(probes.stream().map(probe -> Names.hex(probe.address())).toList(), "ADDRESS");
  }

  private static int width(List<String> column, String heading) {
    return column.stream().mapToInt(String::length).reduce(heading.length(), Math::max);
  }

  List<Probe> probes() {
    return probes;
  }

  /** Replaces the table on the terminal by one of this moment, with the hits a second since the last one. */
  void refresh(Writer out) throws IOException {
    long now = System.nanoTime();
    double seconds = (now - shownAt) / 1e9;
    erase(out);
    heading(out);
    for (int i = 0; i < shownHits.length; i++) {
      long hits = probes.get(i).hits();
      line(out, probes.get(i), hits, (hits - shownHits[i]) / seconds);
      shownHits[i] = hits;
    }
    shownAt = now;
    shownLines = shownHits.length + 1;
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
    row(out, "LOCATION", "ADDRESS", "TECHNIQUE", "HITS", "HITS/S");
  }

  private void line(Writer out, Probe probe, long hits, double rate) throws IOException {
    row(out, probe.location().toString(), Names.hex(probe.address()), Names.of(probe.technique()), Long.toString(hits),
        String.format(Locale.ROOT, "%.0f", rate));
  }

  private void row(Writer out, String location, String address, String technique, String hits, String rate)
      throws IOException {
    out.write(String.format(Locale.ROOT, "%-" + locationWidth + "s  %-" + addressWidth + "s  %-14s %12s %10s%n", location,
        address, technique, hits, rate));
  }
}
