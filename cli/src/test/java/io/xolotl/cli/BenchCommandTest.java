package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.bench.Environment;
import io.xolotl.bench.HitChart;
import io.xolotl.bench.HitComparison;
import io.xolotl.bench.HitExperiment;
import io.xolotl.bench.HitReport;
import io.xolotl.bench.HitRow;
import io.xolotl.bench.Quartiles;
import io.xolotl.decoder.Technique;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;

class BenchCommandTest {

  private static final Quartiles TIME = new Quartiles(12_000, 12_346, 13_000);
  private static final Quartiles RATIO = new Quartiles(1, 1.25, 2);

  /** Its quartiles are {@link #TIME}. */
  private static final List<Double> TIMES = List.of(13_000.0, 11_000.0, 12_346.0, 14_000.0, 12_000.0);
  /** {@link #TIMES} in proportion to it has {@link #RATIO} as its quartiles. */
  private static final List<Double> OTHERS = List.of(6_500.0, 22_000.0, 9_876.8, 3_500.0, 12_000.0);

  private static Set<String> values(JsonNode rows, String name) {
    return Stream.of(rows).flatMap(node -> node.valueStream()).map(row -> row.get(name).textValue())
        .collect(Collectors.toSet());
  }

  private static HitReport measure(StringWriter messages, long iterations, String... only) {
    var interruption = new Interruption();
    try (Outlet nothing = Outlet.of(OutputStream.nullOutputStream(), false, interruption)) {
      return BenchCommand.measure(
          new Shell(nothing, new PrintWriter(messages, true), Optional::empty, interruption), iterations,
          new Only(List.of(only)));
    }
  }

  @Test
  void measuresEveryInstructionByEveryTechnique(@TempDir Path directory) throws Exception {
    Path chart = directory.resolve("chart.svg");
    // Fewer than the command takes: what is measured matters here, not how well.
    var messages = new StringWriter();
    var json = new StringWriter();
    HitReport report = measure(messages, 3);
    HitReportFormat.writeJson(report, null, json);
    try (var file = Files.newBufferedWriter(chart)) {
      HitChart.write(report, file);
    }
    assertThat(messages.toString()).contains("xolotl: 1 of ", "nop, emulated");
    JsonNode document = Cli.parse(json.toString());
    assertThat(document.get("rounds").intValue()).isEqualTo(3);
    assertThat(document.get("hitsPerRound").intValue()).isEqualTo(1);
    JsonNode rows = document.get("rows");
    // A CPU without AVX has no "vex".
    assertThat(values(rows, "instruction")).contains("nop", "push", "call", "jcc", "mov", "lea", "ret",
        "nop5");
    assertThat(values(rows, "context")).containsExactlyInAnyOrder("none", "interrupt", "task");
    assertThat(values(rows, "technique"))
        .isEqualTo(Stream.concat(Stream.of("none"), Stream.of(Technique.values()).map(Names::of))
            .collect(Collectors.toSet()));
    for (JsonNode row : rows) {
      assertThat(row.get("nsPerHit").doubleValue()).as("%s", row).isPositive();
      assertThat(row.get("nsPerHitQuartiles")).as("%s", row).hasSize(3);
      assertThat(row.get("rounds").get("nsPerHit")).as("%s", row).hasSize(3);
      assertThat(row.get("change").isNull()).as("%s", row).isTrue();
      boolean probed = !row.get("technique").textValue().equals("none");
      assertThat(row.get("cLoopNsPerHit").isNumber()).as("%s", row).isEqualTo(probed);
      assertThat(row.get("interruptRatioQuartiles").isArray()).as("%s", row)
          .isEqualTo(row.get("context").textValue().equals("task"));
    }
    long lines = rows.valueStream().filter(row -> row.get("context").textValue().equals("task")).count();
    assertThat(squares(parse(chart))).isEqualTo(lines + 1);
  }

  private static Document parse(Path svg) throws Exception {
    return DocumentBuilderFactory.newDefaultInstance().newDocumentBuilder().parse(svg.toFile());
  }

  /** The marks of task context, one of them in the legend. */
  private static long squares(Document svg) {
    var rectangles = svg.getElementsByTagName("rect");
    return IntStream.range(0, rectangles.getLength())
        .filter(i -> rectangles.item(i).getAttributes().getNamedItem("width").getNodeValue().equals("8"))
        .count();
  }

  private static HitReport report(Optional<HitExperiment.Gdb> gdb) {
    List<Double> unprobed = List.of(0.25, 0.2, 0.3, 0.1, 0.4);
    return new HitReport(environment("a CPU"), 5, 1_000,
        List.of(new HitRow("nop", "none", "none", unprobed, unprobed, null, null, null),
            new HitRow("nop", "emulated", "interrupt", TIMES, unprobed, OTHERS, null, null),
            new HitRow("nop", "emulated", "task", TIMES, unprobed, null, OTHERS, TIMES)),
        gdb);
  }

  private static Environment environment(String cpu) {
    return new Environment("1.0", "25.0.1", "a vendor", "6.1", cpu, 2, true,
        Instant.parse("2026-01-31T12:00:00Z"), List.of(0.25, 0.5, 1.0), null,
        new TreeMap<>(Map.of("meltdown", "Not affected")));
  }

  /** Writes a document as a baseline. */
  private static Path write(Path directory, HitReport report) throws IOException {
    var text = new StringWriter();
    HitReportFormat.writeJson(report, null, text);
    return Files.writeString(directory.resolve("baseline.json"), text.toString());
  }

  @Test
  void aTableForPeople() throws IOException {
    var out = new StringWriter();
    HitReportFormat.write(report(Optional.of(new HitExperiment.Gdb("mov", 10, TIME, RATIO))), null, out);
    assertThat(out.toString().lines()).satisfiesExactly(
        line -> assertThat(line).isEqualTo("a CPU, 2 CPUs, Linux 6.1"),
        line -> assertThat(line).contains("5 rounds of 1,000 hits"), line -> assertThat(line).isEmpty(),
        line -> assertThat(line).startsWith("INSTRUCTION"),
        line -> assertThat(line).matches("nop +none +none +0.00025 +0.00020-0.00030 .*"),
        line -> assertThat(line)
            .matches("nop +emulated +interrupt +12.35 +12.00-13.00 +12.35 +9.88 +1.25 +- +- +-"),
        line -> assertThat(line)
            .matches("nop +emulated +task +12.35 +12.00-13.00 +12.35 +- +- +9.88 +1.25 +1.00"),
        line -> assertThat(line).isEmpty(),
        line -> assertThat(line).contains("gdb on mov", "12.35 µs per hit: 1.3 times"));
  }

  @Test
  void aChartWithoutGdb(@TempDir Path directory) throws Exception {
    Path chart = directory.resolve("chart.svg");
    try (var out = Files.newBufferedWriter(chart)) {
      HitChart.write(report(Optional.empty()), out);
    }
    assertThat(squares(parse(chart))).isEqualTo(2);
    assertThat(Files.readString(chart)).contains(">100 ps<", ">1 ns<", ">10 µs<", ">100 µs<")
        .doesNotContain("gdb", ">1 ms<");
  }

  @Test
  void aChartOfSomeRows() throws IOException {
    HitReport all = report(Optional.empty());
    // The legend has one of each.
    for (int row = 0; row < all.rows().size(); row++) {
      var svg = new StringWriter();
      HitChart.write(new HitReport(all.environment(), 5, 1_000, List.of(all.rows().get(row)),
          Optional.empty()), svg);
      assertThat(svg.toString().split("<rect", -1).length - 1).as("squares").isEqualTo(row == 2 ? 3 : 2);
      assertThat(svg.toString().split("<circle", -1).length - 1).as("circles").isEqualTo(row == 2 ? 2 : 3);
    }
  }

  @Test
  void theDocumentSaysWhereAndWhen() throws IOException {
    var out = new StringWriter();
    HitReportFormat.writeJson(report(Optional.empty()), null, out);
    JsonNode document = Cli.parse(out.toString());
    assertThat(document.get("schema")).isEqualTo(Cli.parse("1"));
    assertThat(document.get("comparison").isNull()).isTrue();
    assertThat(document.get("environment")).isEqualTo(Cli.parse("""
        {"version": "1.0", "jdkVersion": "25.0.1", "jdkVendor": "a vendor", "kernel": "6.1",
         "cpu": "a CPU", "cpus": 2, "hypervisor": true, "date": "2026-01-31T12:00:00Z",
         "loadAverage": [0.25, 0.5, 1], "governor": null, "mitigations": {"meltdown": "Not affected"}}"""));
  }

  @Test
  void theDocumentIsReadBack(@TempDir Path directory) throws IOException {
    HitReport report = report(Optional.empty());
    assertThat(BaselineFile.read(write(directory, report))).isEqualTo(report);
  }

  /** Twice as fast as ten rounds before, on another machine, with other rows. */
  private static HitReport changed() {
    List<Double> slow = IntStream.range(0, 10).mapToObj(i -> 20_000.0 + i).toList();
    return new HitReport(environment("evil \u001b[2J CPU"), 10, 500,
        List.of(new HitRow("nop", "emulated", "interrupt", slow, slow, slow, slow, null),
            new HitRow("ret", "emulated", "interrupt", slow, slow, null, null, null)),
        Optional.empty());
  }

  private static HitComparison comparison() {
    return HitComparison.of(report(Optional.empty()), changed());
  }

  @Test
  void whatHasChangedForPeople() throws IOException {
    var out = new StringWriter();
    HitReportFormat.write(report(Optional.empty()), comparison(), out);
    assertThat(out.toString().lines().skip(8)).satisfiesExactly(
        line -> assertThat(line)
            .isEqualTo("compared with a run of 2026-01-31T12:00:00Z, version 1.0, load 0.25"),
        line -> assertThat(line)
            .isEqualTo("not the same: cpu: evil \\x1b[2J CPU before, a CPU now"),
        line -> assertThat(line).isEqualTo("not the same: hitsPerRound: 500 before, 1000 now"),
        line -> assertThat(line)
            .isEqualTo("of this run the baseline lacks 2 rows: nop, none, none; nop, emulated, task"),
        line -> assertThat(line)
            .isEqualTo("of the baseline this run lacks 1 rows: ret, emulated, interrupt"),
        line -> assertThat(line).isEqualTo("rows of both runs: 1; time: 1 faster, 0 slower, "
            + "0 not-significant, 0 too-few-rounds; in proportion to the C loop: 0 faster, 0 slower, "
            + "0 not-significant, 0 too-few-rounds; level 0.05 for all together"),
        line -> assertThat(line).isEmpty(), line -> assertThat(line).startsWith("INSTRUCTION"),
        line -> assertThat(line)
            .matches("nop +emulated +interrupt +12.35 +20.00 +0.617 +faster +- +-"));
  }

  @Test
  void whatHasChangedForPrograms() throws IOException {
    var out = new StringWriter();
    HitReportFormat.writeJson(report(Optional.empty()), comparison(), out);
    JsonNode document = Cli.parse(out.toString());
    JsonNode comparison = document.get("comparison");
    assertThat(comparison.get("baseline").get("cpu").textValue()).startsWith("evil");
    assertThat(comparison.get("differences").valueStream().map(each -> each.get("what").textValue()))
        .containsExactly("cpu", "hitsPerRound");
    assertThat(comparison.get("onlyInBaseline")).hasSize(1);
    assertThat(comparison.get("notInBaseline")).hasSize(2);
    JsonNode row = document.get("rows").get(1);
    assertThat(row.get("baselineNsPerHit").doubleValue()).isCloseTo(20_004, within(1.0));
    assertThat(row.get("change").get("verdict").textValue()).isEqualTo("faster");
    assertThat(row.get("change").get("ratio").doubleValue()).isCloseTo(0.617, within(0.001));
    assertThat(row.get("change").get("pValue").doubleValue()).isLessThan(0.001);
    assertThat(row.get("cLoopRatioChange").isNull()).isTrue();
    assertThat(document.get("rows").get(0).get("change").isNull()).isTrue();
  }

  @Test
  void commaSeparatedValues() throws IOException {
    var out = new StringWriter();
    HitCsv.write(report(Optional.of(new HitExperiment.Gdb("mov", 10, TIME, RATIO))), comparison(), out);
    assertThat(out.toString()).isEqualTo("""
        instruction,technique,context,nsPerHit,nsPerHitLower,nsPerHitUpper,overheadNs,kernelNsPerHit,\
        kernelRatio,cLoopNsPerHit,cLoopRatio,interruptRatio,baselineNsPerHit,changeRatio,changePValue,\
        changeVerdict,cLoopChangeRatio,cLoopChangePValue,cLoopChangeVerdict
        nop,none,none,0.25,0.2,0.3,0,,,,,,,,,,,,
        nop,emulated,interrupt,12346,12000,13000,12346,9876.8,1.25,,,,20005,0.61716,0.000666,faster,,,
        nop,emulated,task,12346,12000,13000,12346,,,9876.8,1.25,1,,,,,,,
        mov,gdb,none,12346,12000,13000,,,,,,,,,,,,,
        """.replace("\n", "\r\n"));
  }

  @Property
  void anyFieldComesBack(@ForAll @Size(min = 1, max = 4) List<String> fields) throws IOException {
    var out = new StringWriter();
    HitCsv.line(out, fields);
    assertThat(out.toString()).endsWith("\r\n");
    assertThat(fieldsOf(out.toString())).isEqualTo(fields);
  }

  /** Reads one record of RFC 4180: a quotation mark inside of a quoted field is doubled. */
  private static List<String> fieldsOf(String line) {
    var fields = new ArrayList<String>();
    var matcher = Pattern.compile("\\G(?:\"((?:[^\"]|\"\")*+)\"|([^\",\r\n]*))(,|\r\n$)").matcher(line);
    int end = 0;
    while (end < line.length() && matcher.find()) {
      fields.add(matcher.group(1) == null ? matcher.group(2) : matcher.group(1).replace("\"\"", "\""));
      end = matcher.end();
    }
    assertThat(end).isEqualTo(line.length());
    return fields;
  }

  /** Twice the same, as often as the command measures it, with fewer hits than it takes. */
  @Test
  void aRunIsComparedWithOneBefore(@TempDir Path directory) throws IOException {
    var messages = new StringWriter();
    HitReport before = measure(messages, 10, "nop/boosted");
    assertThat(before.rows()).extracting(row -> row.key().toString())
        .containsExactly("nop, boosted, interrupt", "nop, boosted, task");
    assertThat(before.gdb()).isEmpty();
    assertThat(messages.toString()).contains("1 of 1: nop, boosted").doesNotContain("breakpoint of gdb");
    Cli cli = Cli.run("bench", "--iterations", "1000", "--only", "nop/boosted/interrupt", "--only",
        "ret/none",
        "--baseline", write(directory, before).toString(), "--json");
    assertThat(cli.status()).isZero();
    JsonNode document = cli.json();
    assertThat(document.get("environment").get("date").textValue())
        .matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ");
    assertThat(document.get("gdb").isNull()).isTrue();
    assertThat(document.get("rows").valueStream()
        .map(row -> row.get("instruction").textValue() + " " + row.get("context").textValue()))
        .containsExactly("nop interrupt", "ret none");
    assertThat(document.get("rows").get(0).get("change").get("verdict").textValue())
        .isIn("faster", "slower", "not-significant");
    assertThat(document.get("comparison").get("onlyInBaseline").get(0).get("context").textValue())
        .isEqualTo("task");
    assertThat(document.get("comparison").get("notInBaseline").get(0).get("instruction").textValue())
        .isEqualTo("ret");
    assertThat(document.get("comparison").get("differences").valueStream()
        .map(each -> each.get("what").textValue())).containsExactly("hitsPerRound");
  }

  @Test
  void onlyATracer() {
    HitReport report = measure(new StringWriter(), 1, "mov/boosted/task/c-loop");
    assertThat(report.rows()).singleElement().satisfies(row -> {
      assertThat(row.key()).hasToString("mov, boosted, task");
      assertThat(row.cLoopRatio()).isNotNull();
      assertThat(row.kernel()).isNull();
      assertThat(row.interruptRatio()).isNull();
    });
  }

  @Test
  void whatMatchesNothing() {
    Cli cli = Cli.run("bench", "--only", "nop", "--only", "no/such");
    assertThat(cli.status()).isEqualTo(Xolotl.FAILED);
    assertThat(cli.output()).isEmpty();
    assertThat(cli.messages().lines().reduce((_, last) -> last)).hasValueSatisfying(
        line -> assertThat(line).contains("--only 'no/such' matches nothing", "instructions nop, push, call",
            "techniques emulated, boosted, trapped, single-stepped", "contexts interrupt, task",
            "tracers xolotl, kernel, c-loop, gdb", "none, without a probe"));
  }

  /** What there is when it ends is compared, too. */
  @Test
  void anInterruptedComparison(@TempDir Path directory) throws IOException {
    var interruption = new Interruption();
    interruption.request();
    String file = write(directory, report(Optional.empty())).toString();
    Cli json = Cli.run(interruption, "bench", "--baseline", file, "--json");
    assertThat(json.status()).isZero();
    assertThat(json.json().get("comparison").get("onlyInBaseline")).hasSize(3);
    Cli csv = Cli.run(interruption, "bench", "--baseline", file, "--csv");
    assertThat(csv.output()).isEqualTo(String.join(",", HitCsv.COLUMNS) + "\r\n");
    assertThat(csv.messages()).contains("xolotl: not the same: cpu: a CPU before, ",
        "xolotl: of the baseline this run lacks 3 rows: nop, none, none; ");
    assertThat(Cli.run(interruption, "bench", "--baseline", file).output())
        .contains("compared with a run of 2026-01-31T12:00:00Z");
  }

  @Test
  void aFileThatCannotBeWritten() {
    assertThat(Cli.run("bench", "--json", "--chart", "/does/not/exist.svg").refused())
        .contains("/does/not/exist.svg: there is no such directory");
    assertThat(Cli.run("bench", "--chart", "/").refused()).contains("the chart cannot be written: /");
  }

  /** As after an interruption, so that it does not take minutes: what there is is printed and drawn. */
  @Test
  void aChartOnAFullDisk(@TempDir Path directory) throws Exception {
    var interruption = new Interruption();
    interruption.request();
    Cli full = Cli.run(interruption, "bench", "--json", "--chart", "/dev/full");
    assertThat(full.status()).isEqualTo(Xolotl.FAILED);
    assertThat(full.json().get("rows")).isEmpty();
    assertThat(full.messages()).contains("/dev/full: No space left on device");
    Path chart = Files.writeString(directory.resolve("chart.svg"), "x".repeat(100_000));
    assertThat(Cli.run(interruption, "bench", "--json", "--chart", chart.toString()).status()).isZero();
    assertThat(squares(parse(chart))).isEqualTo(1);
  }

  @Test
  void wrongUsage() {
    assertThat(Cli.run("bench", "--iterations", "999").misused()).contains("'999' is no number from 1000 to");
    assertThat(Cli.run("bench", "--iterations", "many").misused()).contains("'many' is no number");
    assertThat(Cli.run("bench", "--", "ls").misused()).contains("cannot launch a program");
    assertThat(Cli.run("bench", "--json", "--csv").misused()).contains("--json or --csv, not both");
  }
}
