package io.xolotl.cli;

import io.xolotl.bench.HitExperiment;
import io.xolotl.bench.HitReport;
import io.xolotl.bench.HitRow;
import io.xolotl.bench.Quartiles;
import java.io.IOException;
import java.io.Writer;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Prints what hits cost. */
final class HitReportFormat {

  private static final String NOTHING = "-";

  private HitReportFormat() {}

  /** Writes a table for people. */
  static void write(HitReport report, Writer out) throws IOException {
    out.write(String.format(Locale.ROOT,
        "%s%nmedians of %d rounds of %,d hits; µs per hit; ratios are within a round%n%n",
        report.machine(), report.rounds(), report.hitsPerRound()));
    line(out, "INSTRUCTION", "TECHNIQUE", "CONTEXT", "µs/HIT", "QUARTILES", "OVERHEAD", "KERNEL", "RATIO",
        "C LOOP",
        "RATIO", "TASK/INT");
    for (HitRow row : report.rows()) {
      line(out, row.instruction(), row.technique(), row.context(), micros(row.nanos()),
          micros(row.nanos().lower()) + "-" + micros(row.nanos().upper()), micros(row.overhead()),
          micros(row.kernel()), ratio(row.kernelRatio()), micros(row.cLoop()), ratio(row.cLoopRatio()),
          ratio(row.interruptRatio()));
    }
    if (report.gdb().isPresent()) {
      HitExperiment.Gdb g = report.gdb().get();
      out.write(String.format(Locale.ROOT,
          "%nA breakpoint of gdb on %s, whose Python stop returns False, takes %s µs per hit: %.1f times as "
              + "long as a probe in interrupt context.%n",
          g.instruction(), micros(g.nanos()), g.ratio().median()));
    }
  }

  private static void line(Writer out, String... cells) throws IOException {
    out.write(String.format(Locale.ROOT, "%-11s  %-14s  %-9s  %9s  %17s  %9s  %9s  %6s  %9s  %6s  %8s%n",
        (Object[]) cells));
  }

  private static String micros(@Nullable Quartiles nanos) {
    return nanos == null ? NOTHING : micros(nanos.median());
  }

  private static String micros(double nanos) {
    double micros = nanos / 1_000;
    return String.format(Locale.ROOT, Math.abs(micros) < 0.1 ? "%.5f" : "%.2f", micros);
  }

  private static String ratio(@Nullable Quartiles ratio) {
    return ratio == null ? NOTHING : String.format(Locale.ROOT, "%.2f", ratio.median());
  }

  /** Writes one JSON document. All times are in nanoseconds. */
  static void writeJson(HitReport report, Writer out) throws IOException {
    var document = new JsonWriter(out).beginObject().name("machine").value(report.machine()).name("rounds")
        .value(report.rounds())
        .name("hitsPerRound").value(report.hitsPerRound()).name("rows").beginArray();
    for (HitRow row : report.rows()) {
      document.beginObject().name("instruction").value(row.instruction()).name("technique")
          .value(row.technique())
          .name("context").value(row.context());
      median(document, "nsPerHit", row.nanos());
      median(document, "kernelNsPerHit", row.kernel());
      median(document, "cLoopNsPerHit", row.cLoop());
      quartiles(document, "nsPerHitQuartiles", row.nanos());
      quartiles(document, "overheadNsQuartiles", row.overhead());
      quartiles(document, "kernelRatioQuartiles", row.kernelRatio());
      quartiles(document, "cLoopRatioQuartiles", row.cLoopRatio());
      quartiles(document, "interruptRatioQuartiles", row.interruptRatio());
      document.endObject();
    }
    document.endArray().name("gdb");
    if (report.gdb().isPresent()) {
      HitExperiment.Gdb g = report.gdb().get();
      document.beginObject().name("instruction").value(g.instruction()).name("hitsPerRound").value(g.hits());
      median(document, "nsPerHit", g.nanos());
      quartiles(document, "ratioQuartiles", g.ratio());
      document.endObject();
    } else {
      document.value((String) null);
    }
    document.endObject();
    out.write('\n');
  }

  private static void median(JsonWriter document, String name, @Nullable Quartiles values)
      throws IOException {
    document.name(name);
    if (values == null) {
      document.value((String) null);
    } else {
      document.value(values.median());
    }
  }

  private static void quartiles(JsonWriter document, String name, @Nullable Quartiles values)
      throws IOException {
    document.name(name);
    if (values == null) {
      document.value((String) null);
    } else {
      document.beginArray().value(values.lower()).value(values.median()).value(values.upper()).endArray();
    }
  }
}
