package io.xolotl.cli;

import io.xolotl.bench.HitComparison;
import io.xolotl.bench.HitExperiment;
import io.xolotl.bench.HitReport;
import io.xolotl.bench.HitRow;
import io.xolotl.bench.Quartiles;
import java.io.IOException;
import java.io.Writer;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Prints what hits cost as comma-separated values (RFC 4180). */
final class HitCsv {

  /** The names of the columns, all of which are always there. */
  static final List<String> COLUMNS = List.of("instruction", "technique", "context", "nsPerHit",
      "nsPerHitLower", "nsPerHitUpper", "overheadNs", "kernelNsPerHit", "kernelRatio", "cLoopNsPerHit",
      "cLoopRatio", "interruptRatio", "baselineNsPerHit", "changeRatio", "changePValue", "changeVerdict",
      "cLoopChangeRatio", "cLoopChangePValue", "cLoopChangeVerdict");

  /** In the place of a technique. */
  private static final String GDB = "gdb";
  private static final Pattern TO_BE_QUOTED = Pattern.compile("[\",\r\n]");

  private HitCsv() {}

  /** Writes the names of the columns, a record a row, and one of gdb. Times are in nanoseconds. */
  static void write(HitReport report, @Nullable HitComparison comparison, Writer out) throws IOException {
    line(out, COLUMNS);
    for (HitRow row : report.rows()) {
      HitComparison.Row compared = comparison == null ? null : comparison.rows().get(row.key());
      var fields = new ArrayList<>(List.of(row.instruction(), row.technique(), row.context()));
      addTimes(fields, row.nanos());
      fields.add(number(row.overhead()));
      fields.add(number(row.kernel()));
      fields.add(number(row.kernelRatio()));
      fields.add(number(row.cLoop()));
      fields.add(number(row.cLoopRatio()));
      fields.add(number(row.interruptRatio()));
      fields.add(number(compared == null ? null : compared.before()));
      addChange(fields, compared == null ? null : compared.time());
      addChange(fields, compared == null ? null : compared.cLoopRatio());
      line(out, fields);
    }
    if (report.gdb().isPresent()) {
      HitExperiment.Gdb g = report.gdb().get();
      var fields = new ArrayList<>(List.of(g.instruction(), GDB, HitRow.NONE));
      addTimes(fields, g.nanos());
      while (fields.size() < COLUMNS.size()) {
        fields.add("");
      }
      line(out, fields);
    }
  }

  private static void addTimes(List<String> fields, Quartiles nanos) {
    fields.add(number(nanos));
    fields.add(JsonWriter.number(nanos.lower()));
    fields.add(JsonWriter.number(nanos.upper()));
  }

  private static void addChange(List<String> fields, HitComparison.@Nullable Change change) {
    fields.addAll(change == null
        ? List.of("", "", "")
        : List.of(JsonWriter.number(change.ratio()), JsonWriter.number(change.pValue()),
            change.verdict().label()));
  }

  private static String number(@Nullable Quartiles values) {
    return values == null ? "" : JsonWriter.number(values.median());
  }

  /** Writes one record. */
  static void line(Writer out, List<String> fields) throws IOException {
    out.write(fields.stream().map(HitCsv::field).collect(Collectors.joining(",")) + "\r\n");
  }

  private static String field(String text) {
    return TO_BE_QUOTED.matcher(text).find() ? '"' + text.replace("\"", "\"\"") + '"' : text;
  }
}
