package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.bench.HitChart;
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
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;

class BenchCommandTest {

  private static final Quartiles TIME = new Quartiles(12_000, 12_345.6, 13_000);
  private static final Quartiles RATIO = new Quartiles(1, 1.25, 2);

  private static Set<String> values(JsonNode rows, String name) {
    return Stream.of(rows).flatMap(node -> node.valueStream()).map(row -> row.get(name).textValue())
        .collect(Collectors.toSet());
  }

  @Test
  void measuresEveryInstructionByEveryTechnique(@TempDir Path directory) throws Exception {
    Path chart = directory.resolve("chart.svg");
    // Fewer than the command takes: what is measured matters here, not how well.
    var messages = new StringWriter();
    var json = new StringWriter();
    var interruption = new Interruption();
    try (Outlet nothing = Outlet.of(OutputStream.nullOutputStream(), false, interruption);
        var file = Files.newBufferedWriter(chart)) {
      HitReport report = BenchCommand
          .measure(new Shell(nothing, new PrintWriter(messages, true), Optional::empty, interruption), 3);
      HitReportFormat.writeJson(report, json);
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
    return new HitReport("a CPU", 10, 1_000,
        List.of(
            new HitRow("nop", "none", "none", new Quartiles(0.2, 0.25, 0.3), Quartiles.of(0), null, null,
                null,
                null, null),
            new HitRow("nop", "emulated", "interrupt", TIME, TIME, TIME, null, RATIO, null, null),
            new HitRow("nop", "emulated", "task", TIME, TIME, null, TIME, null, RATIO, RATIO)),
        gdb);
  }

  @Test
  void aTableForPeople() throws IOException {
    var out = new StringWriter();
    HitReportFormat.write(report(Optional.of(new HitExperiment.Gdb("mov", 10, TIME, RATIO))), out);
    assertThat(out.toString().lines()).satisfiesExactly(line -> assertThat(line).isEqualTo("a CPU"),
        line -> assertThat(line).contains("10 rounds of 1,000 hits"), line -> assertThat(line).isEmpty(),
        line -> assertThat(line).startsWith("INSTRUCTION"),
        line -> assertThat(line).matches("nop +none +none +0.00025 +0.00020-0.00030 .*"),
        line -> assertThat(line)
            .matches("nop +emulated +interrupt +12.35 +12.00-13.00 +12.35 +12.35 +1.25 +- +- +-"),
        line -> assertThat(line)
            .matches("nop +emulated +task +12.35 +12.00-13.00 +12.35 +- +- +12.35 +1.25 +1.25"),
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
  }
}
