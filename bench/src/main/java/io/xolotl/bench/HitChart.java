package io.xolotl.bench;

import io.xolotl.xol.HandlerContext;
import java.io.IOException;
import java.io.Writer;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A chart of a {@link HitReport} in SVG 1.1: a line an instruction and technique, with a mark for each thing
 * that was measured, over a logarithmic scale of time. Marks differ in form and colour; whiskers show the
 * quartiles.
 */
public final class HitChart {

  private static final int WIDTH = 900;
  private static final int LEFT = 190;
  private static final int RIGHT = 870;
  private static final int TOP = 108;
  /** For the name of the line that marks gdb's time. */
  private static final int HEADROOM = 14;
  private static final int LINE = 22;
  private static final int GROUP_GAP = 8;
  private static final int BOTTOM = 44;

  private static final String FONT = "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\"";
  private static final String INK = "#24292f";
  private static final String FAINT = "#6e7781";

  /**
   * What is marked, in the order of the legend. The colours are told apart by the colour-blind (Okabe and
   * Ito).
   */
  private enum Mark {
    UNPROBED("no probe", "#6e7781"), KERNEL("kernel's uprobe", "#d55e00"), C_LOOP("C loop, same stops",
        "#24292f"),
    INTERRUPT("Xolotl, interrupt context",
        "#0072b2"),
    TASK("Xolotl, task context", "#009e73");

    final String label;
    final String colour;

    Mark(String label, String colour) {
      this.label = label;
      this.colour = colour;
    }
  }

  /** A line of the chart: what was measured of an instruction that is executed in one way. */
  private record Line(String instruction, String technique, @Nullable HitRow unprobed,
      @Nullable HitRow interrupt, @Nullable HitRow task) {

    @Nullable
    Quartiles nanos(Mark mark) {
      return switch (mark) {
        case UNPROBED -> of(unprobed, HitRow::nanos);
        // Both contexts have the same.
        case KERNEL -> of(interrupt == null ? task : interrupt, HitRow::kernel);
        case C_LOOP -> of(interrupt == null ? task : interrupt, HitRow::cLoop);
        case INTERRUPT -> of(interrupt, HitRow::nanos);
        case TASK -> of(task, HitRow::nanos);
      };
    }

    private static @Nullable Quartiles of(@Nullable HitRow row,
        Function<HitRow, @Nullable Quartiles> quartiles) {
      return row == null ? null : quartiles.apply(row);
    }
  }

  private final HitReport report;
  private final List<Line> lines;
  private final double lowest;
  private final double highest;
  private final StringBuilder svg = new StringBuilder();

  private HitChart(HitReport report) {
    this.report = report;
    lines = lines(report.rows());
    double[] medians = DoubleStream.concat(
        lines.stream().flatMap(line -> Stream.of(Mark.values()).map(line::nanos))
            .filter(nanos -> nanos != null)
            .mapToDouble(Quartiles::median),
        report.gdb().stream().mapToDouble(gdb -> gdb.nanos().median())).toArray();
    lowest = Math.floor(Math.log10(DoubleStream.of(medians).min().orElse(1)));
    highest = Math.max(lowest + 1, Math.ceil(Math.log10(DoubleStream.of(medians).max().orElse(10))));
  }

  /** Draws the chart. */
  public static void write(HitReport report, Writer out) throws IOException {
    out.write(new HitChart(report).draw());
  }

  /** A line for each technique of an instruction, or one for the instruction if it was not probed. */
  private static List<Line> lines(List<HitRow> rows) {
    Map<HitRow.Key, HitRow> byKey = rows.stream()
        .collect(Collectors.toMap(HitRow::key, Function.identity()));
    var lines = new LinkedHashSet<Line>();
    for (HitRow row : rows) {
      String instruction = row.instruction();
      String technique = row.technique();
      boolean probed = rows.stream()
          .anyMatch(other -> other.instruction().equals(instruction) && !other.isUnprobed());
      if (!row.isUnprobed() || !probed) {
        lines.add(new Line(instruction, technique,
            byKey.get(new HitRow.Key(instruction, HitRow.NONE, HitRow.NONE)),
            byKey.get(new HitRow.Key(instruction, technique, HitRow.label(HandlerContext.INTERRUPT))),
            byKey.get(new HitRow.Key(instruction, technique, HitRow.label(HandlerContext.TASK)))));
      }
    }
    return List.copyOf(lines);
  }

  private String draw() {
    int groups = (int) lines.stream().map(Line::instruction).distinct().count();
    int end = TOP + HEADROOM + lines.size() * LINE + groups * GROUP_GAP;
    int height = end + BOTTOM;
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" %s>",
        WIDTH, height,
        WIDTH, height, FONT);
    add("<title>Time of a hit</title>");
    add("<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>", WIDTH, height);
    text(20, 30, "start", 18, INK, "bold", "Time of a hit, by instruction and technique");
    text(20, 50, "start", 12, FAINT, "normal",
        report.environment().machine() + "; medians of %d rounds of %,d hits, whiskers: quartiles"
            .formatted(report.rounds(), report.hitsPerRound()));
    legend();
    scale(end);
    int y = TOP + HEADROOM;
    String instruction = "";
    for (Line line : lines) {
      if (!line.instruction().equals(instruction)) {
        instruction = line.instruction();
        if (y > TOP + HEADROOM) {
          add("<path d=\"M20 %1$d H%2$d\" stroke=\"#d0d7de\"/>", y + GROUP_GAP / 2, RIGHT);
        }
        y += GROUP_GAP;
        text(20, y + LINE / 2 + 4, "start", 13, INK, "bold", instruction);
      }
      text(LEFT - 14, y + LINE / 2 + 4, "end", 12, INK, "normal", line.technique());
      marks(line, y + LINE / 2);
      y += LINE;
    }
    add("</svg>");
    return svg.toString();
  }

  private void legend() {
    int x = 26;
    for (Mark mark : Mark.values()) {
      symbol(mark, x, 74);
      text(x + 12, 78, "start", 12, INK, "normal", mark.label);
      x += 34 + 7 * mark.label.length();
    }
  }

  private void scale(int end) {
    for (int power = (int) lowest; power <= highest; power++) {
      double x = x(Math.pow(10, power));
      add("<path d=\"M%.1f %d V%d\" stroke=\"#d0d7de\"/>", x, TOP, end);
      text(x, end + 18, "middle", 12, FAINT, "normal", time(power));
      text(x, TOP - 8, "middle", 12, FAINT, "normal", time(power));
    }
    text((LEFT + RIGHT) / 2.0, end + 36, "middle", 12, FAINT, "normal",
        "time from hit to hit, logarithmic scale");
    report.gdb().ifPresent(gdb -> {
      double x = x(gdb.nanos().median());
      add("<path d=\"M%.1f %d V%d\" stroke=\"#cf222e\" stroke-width=\"1.5\" stroke-dasharray=\"5 4\"/>", x,
          TOP, end);
      text(x - 6, TOP + 14, "end", 12, "#cf222e", "normal", "gdb, Python stop");
    });
  }

  /** A power of ten of nanoseconds. */
  private static String time(int power) {
    String[] units = {"ps", "ns", "µs", "ms", "s"};
    int unit = Math.floorDiv(power, 3) + 1;
    return (int) Math.pow(10, Math.floorMod(power, 3)) + " " + units[Math.clamp(unit, 0, units.length - 1)];
  }

  private void marks(Line line, int y) {
    for (Mark mark : Mark.values()) {
      Quartiles nanos = line.nanos(mark);
      if (nanos != null) {
        add("<path d=\"M%.1f %d H%.1f\" stroke=\"%s\" stroke-width=\"2\" opacity=\"0.45\"/>",
            x(nanos.lower()), y,
            x(nanos.upper()), mark.colour);
        symbol(mark, x(nanos.median()), y);
      }
    }
  }

  private void symbol(Mark mark, double x, int y) {
    switch (mark) {
      case UNPROBED ->
        add("<circle cx=\"%.1f\" cy=\"%d\" r=\"4\" fill=\"#ffffff\" stroke=\"%s\" stroke-width=\"1.5\"/>", x,
            y,
            mark.colour);
      case KERNEL ->
        add("<path d=\"M%.1f %d l5.5 5.5 -5.5 5.5 -5.5 -5.5 z\" fill=\"%s\"/>", x, y - 5, mark.colour);
      case C_LOOP ->
        add("<path d=\"M%.1f %d v14\" stroke=\"%s\" stroke-width=\"3\"/>", x, y - 7, mark.colour);
      case INTERRUPT -> add("<circle cx=\"%.1f\" cy=\"%d\" r=\"5\" fill=\"%s\"/>", x, y, mark.colour);
      case TASK ->
        add("<rect x=\"%.1f\" y=\"%d\" width=\"8\" height=\"8\" fill=\"%s\"/>", x - 4, y - 4, mark.colour);
    }
  }

  /** Where a time in nanoseconds is. */
  private double x(double nanos) {
    double fraction = (Math.log10(nanos) - lowest) / (highest - lowest);
    return LEFT + Math.clamp(fraction, 0, 1) * (RIGHT - LEFT);
  }

  private void text(double x, int y, String anchor, int size, String colour, String weight, String text) {
    add("<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\" font-size=\"%d\" fill=\"%s\" "
        + "font-weight=\"%s\">%s</text>",
        x, y,
        anchor, size, colour, weight, text.replace("&", "&amp;").replace("<", "&lt;"));
  }

  private void add(String format, Object... arguments) {
    svg.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }
}
