package io.xolotl.cli;

import io.xolotl.bench.Environment;
import io.xolotl.bench.HitReport;
import io.xolotl.bench.HitRow;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Reads a document that {@link HitReportFormat} has written, as far as runs are compared: without gdb, whose
 * rounds are too few. Nothing is believed of the file, neither that it is such a document nor that it ends.
 */
final class BaselineFile {

  /** Ten times as many as a document has. */
  private static final int MOST_BYTES = 1 << 20;
  /** More rounds than ever; each row is tested by all of them. */
  private static final int MOST_ROUNDS = 100;
  private static final long MOST_CPUS = 1 << 20;
  private static final long MOST_HITS = 1_000_000_000;
  /** A hit takes a time between these, in nanoseconds, on any machine. */
  private static final double LEAST_NANOS = 1e-6;
  private static final double MOST_NANOS = 1e15;

  private BaselineFile() {}

  /**
   * Reads a report.
   *
   * @throws IOException if the file cannot be read
   * @throws Failure if it is no such document
   */
  static HitReport read(Path file) throws IOException {
    try {
      return report(JsonObject.parse(bytes(file)));
    } catch (JsonObject.Unfit e) {
      throw new Failure("the baseline " + file + " is no document of xolotl bench --json: " + e.getMessage());
    }
  }

  private static byte[] bytes(Path file) throws IOException, JsonObject.Unfit {
    // To open a pipe waits for a writer, and a device may have no end.
    if (!Files.isRegularFile(file)) {
      throw new FileSystemException(file.toString(), null,
          Files.exists(file) ? "it is no regular file" : "there is no such file");
    }
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MOST_BYTES + 1);
      if (bytes.length > MOST_BYTES) {
        throw new JsonObject.Unfit("it is longer than any");
      }
      return bytes;
    }
  }

  private static HitReport report(JsonObject document) throws JsonObject.Unfit {
    long schema = document.number("schema", 0, Integer.MAX_VALUE);
    if (schema != HitReportFormat.SCHEMA) {
      throw new JsonObject.Unfit("its schema is " + schema + ", and this version of Xolotl reads "
          + HitReportFormat.SCHEMA + " only; measure it anew");
    }
    int rounds = (int) document.number("rounds", 1, MOST_ROUNDS);
    var rows = new ArrayList<HitRow>();
    var keys = new HashSet<HitRow.Key>();
    for (JsonObject object : document.objects("rows")) {
      HitRow row = row(object, rounds);
      if (!keys.add(row.key())) {
        throw new JsonObject.Unfit("it has two rows " + row.key());
      }
      rows.add(row);
    }
    return new HitReport(environment(document.object("environment")), rounds,
        document.number("hitsPerRound", 1, MOST_HITS), rows, Optional.empty());
  }

  private static HitRow row(JsonObject object, int count) throws JsonObject.Unfit {
    JsonObject rounds = object.object("rounds");
    return new HitRow(object.text("instruction"), object.text("technique"), object.text("context"),
        times(rounds, "nsPerHit", count), times(rounds, "unprobedNsPerHit", count),
        timesOrNull(rounds, "kernelNsPerHit", count), timesOrNull(rounds, "cLoopNsPerHit", count),
        timesOrNull(rounds, "interruptNsPerHit", count));
  }

  private static @Nullable List<Double> timesOrNull(JsonObject rounds, String name, int count)
      throws JsonObject.Unfit {
    return rounds.isNull(name) ? null : times(rounds, name, count);
  }

  private static List<Double> times(JsonObject rounds, String name, int count) throws JsonObject.Unfit {
    List<Double> times = rounds.numbers(name);
    if (times.size() != count) {
      throw rounds.unfit(name, "has " + times.size() + " values, and there were " + count + " rounds");
    }
    if (times.stream().anyMatch(time -> !(time >= LEAST_NANOS && time <= MOST_NANOS))) {
      throw rounds.unfit(name, "has a value that no hit takes");
    }
    return times;
  }

  private static Environment environment(JsonObject object) throws JsonObject.Unfit {
    var mitigations = new TreeMap<String, String>();
    JsonObject vulnerabilities = object.object("mitigations");
    for (String name : vulnerabilities.names()) {
      mitigations.put(name, vulnerabilities.text(name));
    }
    return new Environment(object.text("version"), object.text("jdkVersion"), object.text("jdkVendor"),
        object.text("kernel"), object.text("cpu"), (int) object.number("cpus", 1, MOST_CPUS),
        object.flag("hypervisor"), date(object), object.numbers("loadAverage"),
        object.isNull("governor") ? null : object.text("governor"), mitigations);
  }

  private static Instant date(JsonObject object) throws JsonObject.Unfit {
    try {
      return Instant.parse(object.text("date"));
    } catch (DateTimeParseException e) {
      throw object.unfit("date", "is no date such as 2026-01-31T12:00:00Z");
    }
  }
}
