package io.xolotl.cli;

import io.xolotl.bench.Environment;
import io.xolotl.bench.HitComparison;
import io.xolotl.bench.HitExperiment;
import io.xolotl.bench.HitReport;
import io.xolotl.bench.HitRow;
import io.xolotl.bench.Quartiles;
import java.io.IOException;
import java.io.Writer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Prints what hits cost, and how that has changed since an earlier run if it is compared with one. */
final class HitReportFormat {

  /** Of the JSON document. Another one means that a reader of this one would misread it. */
  static final int SCHEMA = 1;

  private static final String NOTHING = "-";
  /** Of a list that is too long for a sentence. */
  private static final int EXAMPLES = 3;

  private HitReportFormat() {}

  /** Writes a table for people. */
  static void write(HitReport report, @Nullable HitComparison comparison, Writer out) throws IOException {
    out.write(String.format(Locale.ROOT,
        "%s%nmedians of %d rounds of %,d hits; µs per hit; ratios are within a round%n%n",
        report.environment().machine(), report.rounds(), report.hitsPerRound()));
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
    if (comparison != null) {
      writeChanges(report, comparison, out);
    }
  }

  private static void line(Writer out, String... cells) throws IOException {
    out.write(String.format(Locale.ROOT, "%-11s  %-14s  %-9s  %9s  %17s  %9s  %9s  %6s  %9s  %6s  %8s%n",
        (Object[]) cells));
  }

  private static void writeChanges(HitReport report, HitComparison comparison, Writer out)
      throws IOException {
    out.write('\n');
    for (String remark : remarks(comparison)) {
      out.write(Visible.of(remark) + "\n");
    }
    out.write('\n');
    changeLine(out, "INSTRUCTION", "TECHNIQUE", "CONTEXT", "µs/HIT", "BEFORE", "RATIO", "CHANGE", "/C LOOP",
        "CHANGE");
    for (HitRow row : report.rows()) {
      HitComparison.Row compared = comparison.rows().get(row.key());
      if (compared != null) {
        HitComparison.Change relative = compared.cLoopRatio();
        changeLine(out, row.instruction(), row.technique(), row.context(), micros(row.nanos()),
            micros(compared.before()), ratio(compared.time()), compared.time().verdict().label(),
            relative == null ? NOTHING : ratio(relative),
            relative == null ? NOTHING : relative.verdict().label());
      }
    }
  }

  private static void changeLine(Writer out, String... cells) throws IOException {
    out.write(String.format(Locale.ROOT, "%-11s  %-14s  %-9s  %9s  %9s  %7s  %-15s  %7s  %s%n",
        (Object[]) cells));
  }

  /** What a person must know of a comparison: with what, what was different, and what came out. */
  static List<String> remarks(HitComparison comparison) {
    var remarks = new ArrayList<String>();
    Environment before = comparison.before().environment();
    remarks.add("compared with a run of %s, version %s, load %s".formatted(before.date(), before.version(),
        before.loadAverage().stream().findFirst().map(String::valueOf).orElse("unknown")));
    comparison.differences().forEach(difference -> remarks.add("not the same: " + difference));
    addRows(remarks, "of this run the baseline lacks", comparison.onlyNow());
    addRows(remarks, "of the baseline this run lacks", comparison.onlyBefore());
    Collection<HitComparison.Row> rows = comparison.rows().values();
    remarks.add(
        "rows of both runs: %d; time: %s; in proportion to the C loop: %s; level %s for all together"
            .formatted(rows.size(), tally(rows.stream().map(HitComparison.Row::time)),
                tally(rows.stream().map(HitComparison.Row::cLoopRatio)), HitComparison.LEVEL));
    return remarks;
  }

  private static String tally(Stream<HitComparison.@Nullable Change> changes) {
    Map<HitComparison.Verdict, Long> verdicts = changes.filter(change -> change != null)
        .collect(Collectors.groupingBy(HitComparison.Change::verdict, Collectors.counting()));
    return Stream.of(HitComparison.Verdict.values())
        .map(verdict -> verdicts.getOrDefault(verdict, 0L) + " " + verdict.label())
        .collect(Collectors.joining(", "));
  }

  private static void addRows(List<String> remarks, String who, List<HitRow.Key> rows) {
    if (!rows.isEmpty()) {
      remarks.add("%s %d rows: %s%s".formatted(who, rows.size(),
          rows.stream().limit(EXAMPLES).map(HitRow.Key::toString).collect(Collectors.joining("; ")),
          rows.size() > EXAMPLES ? "; ..." : ""));
    }
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

  private static String ratio(HitComparison.Change change) {
    return String.format(Locale.ROOT, "%.3f", change.ratio());
  }

  /** Writes one JSON document. All times are in nanoseconds. */
  static void writeJson(HitReport report, @Nullable HitComparison comparison, Writer out)
      throws IOException {
    var document = new JsonWriter(out).beginObject().name("schema").value(SCHEMA).name("environment");
    write(document, report.environment());
    document.name("machine").value(report.environment().machine()).name("rounds").value(report.rounds())
        .name("hitsPerRound").value(report.hitsPerRound()).name("comparison");
    if (comparison == null) {
      document.value((String) null);
    } else {
      write(document, comparison);
    }
    document.name("rows").beginArray();
    for (HitRow row : report.rows()) {
      write(document, row, comparison == null ? null : comparison.rows().get(row.key()));
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

  private static void write(JsonWriter document, Environment environment) throws IOException {
    document.beginObject().name("version").value(environment.version())
        .name("jdkVersion").value(environment.jdkVersion()).name("jdkVendor").value(environment.jdkVendor())
        .name("kernel").value(environment.kernel()).name("cpu").value(environment.cpu())
        .name("cpus").value(environment.cpus()).name("hypervisor").value(environment.hypervisor())
        .name("date").value(environment.date().toString());
    values(document, "loadAverage", environment.loadAverage());
    document.name("governor").value(environment.governor()).name("mitigations").beginObject();
    for (Map.Entry<String, String> mitigation : environment.mitigations().entrySet()) {
      document.name(mitigation.getKey()).value(mitigation.getValue());
    }
    document.endObject().endObject();
  }

  private static void write(JsonWriter document, HitComparison comparison) throws IOException {
    document.beginObject().name("baseline");
    write(document, comparison.before().environment());
    document.name("level").value(HitComparison.LEVEL).name("differences").beginArray();
    for (Environment.Difference difference : comparison.differences()) {
      document.beginObject().name("what").value(difference.what()).name("before").value(difference.before())
          .name("now").value(difference.now()).endObject();
    }
    document.endArray();
    keys(document, "onlyInBaseline", comparison.onlyBefore());
    keys(document, "notInBaseline", comparison.onlyNow());
    document.endObject();
  }

  private static void keys(JsonWriter document, String name, List<HitRow.Key> keys) throws IOException {
    document.name(name).beginArray();
    for (HitRow.Key key : keys) {
      document.beginObject().name("instruction").value(key.instruction()).name("technique")
          .value(key.technique()).name("context").value(key.context()).endObject();
    }
    document.endArray();
  }

  private static void write(JsonWriter document, HitRow row, HitComparison.@Nullable Row compared)
      throws IOException {
    document.beginObject().name("instruction").value(row.instruction()).name("technique")
        .value(row.technique()).name("context").value(row.context());
    median(document, "nsPerHit", row.nanos());
    median(document, "kernelNsPerHit", row.kernel());
    median(document, "cLoopNsPerHit", row.cLoop());
    quartiles(document, "nsPerHitQuartiles", row.nanos());
    quartiles(document, "overheadNsQuartiles", row.overhead());
    quartiles(document, "kernelRatioQuartiles", row.kernelRatio());
    quartiles(document, "cLoopRatioQuartiles", row.cLoopRatio());
    quartiles(document, "interruptRatioQuartiles", row.interruptRatio());
    median(document, "baselineNsPerHit", compared == null ? null : compared.before());
    change(document, "change", compared == null ? null : compared.time());
    change(document, "cLoopRatioChange", compared == null ? null : compared.cLoopRatio());
    document.name("rounds").beginObject();
    values(document, "nsPerHit", row.rounds());
    values(document, "unprobedNsPerHit", row.unprobedRounds());
    values(document, "kernelNsPerHit", row.kernelRounds());
    values(document, "cLoopNsPerHit", row.cLoopRounds());
    values(document, "interruptNsPerHit", row.interruptRounds());
    document.endObject().endObject();
  }

  private static void change(JsonWriter document, String name, HitComparison.@Nullable Change change)
      throws IOException {
    document.name(name);
    if (change == null) {
      document.value((String) null);
    } else {
      document.beginObject().name("ratio").value(change.ratio()).name("pValue").value(change.pValue())
          .name("verdict").value(change.verdict().label()).endObject();
    }
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
    values(document, name,
        values == null ? null : List.of(values.lower(), values.median(), values.upper()));
  }

  private static void values(JsonWriter document, String name, @Nullable List<Double> values)
      throws IOException {
    document.name(name);
    if (values == null) {
      document.value((String) null);
      return;
    }
    document.beginArray();
    for (double value : values) {
      document.value(value);
    }
    document.endArray();
  }
}
