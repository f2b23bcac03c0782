package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A baseline that cannot be used costs one sentence, before anything is measured. */
class BaselineFileTest {

  private static final String ENVIRONMENT = """
      {"version": "1", "jdkVersion": "25", "jdkVendor": "V", "kernel": "6", "cpu": "C", "cpus": 2, \
      "hypervisor": false, "date": "2026-01-31T12:00:00Z", "loadAverage": [], "governor": null, \
      "mitigations": {}}""";
  private static final String ROW = """
      {"instruction": "nop", "technique": "none", "context": "none", "rounds": {"nsPerHit": [1.5, 2], \
      "unprobedNsPerHit": [1.5, 2], "kernelNsPerHit": null, "cLoopNsPerHit": null, \
      "interruptNsPerHit": null}}""";
  private static final String DOCUMENT = """
      {"schema": 1, "environment": %s, "rounds": 2, "hitsPerRound": 100, "rows": [%s], "more": {}}"""
      .formatted(ENVIRONMENT, ROW);

  private static String refused(Path file) {
    return Cli.run("bench", "--baseline", file.toString()).refused();
  }

  private static String refused(Path directory, String document) throws IOException {
    return refused(Files.writeString(directory.resolve("baseline.json"), document));
  }

  @Test
  void theDocumentThatTheOthersAreMadeOf(@TempDir Path directory) throws IOException {
    Path file = Files.writeString(directory.resolve("baseline.json"), DOCUMENT);
    assertThat(BaselineFile.read(file).rows()).singleElement()
        .satisfies(row -> assertThat(row.rounds()).containsExactly(1.5, 2.0));
  }

  @Test
  void filesThatAreNone(@TempDir Path directory) throws Exception {
    assertThat(refused(directory.resolve("gone"))).contains("gone: there is no such file");
    assertThat(refused(directory)).contains("it is no regular file");
    assertThat(refused(Path.of("/dev/zero"))).contains("it is no regular file");
    Path pipe = directory.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    assertThat(refused(pipe)).contains("it is no regular file");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "hits", "[]", "1", "{", "{\"schema\": 1", "{} {}", "{\"a\": 1, \"a\": 2}",
      "{\"a\": NaN}", "\u0000", "<html>"})
  void textsThatAreNoJsonObject(String text, @TempDir Path directory) throws IOException {
    assertThat(refused(directory, text)).contains("baseline.json is no document of xolotl bench --json: ")
        .containsAnyOf("it is no JSON", "something follows");
  }

  @Test
  void bytesThatAreNoCharacters(@TempDir Path directory) throws IOException {
    Path file = Files.write(directory.resolve("baseline.json"),
        new byte[]{'{', '"', (byte) 0xff, (byte) 0xfe, '"', ':', '1', '}'});
    assertThat(refused(file)).contains("it is no JSON");
  }

  @Test
  void muchOfIt(@TempDir Path directory) throws IOException {
    assertThat(refused(directory, "[".repeat(100_000))).contains("it is no JSON object");
    assertThat(refused(directory, "{\"a\":" + "[".repeat(100_000))).contains("depth");
    assertThat(refused(directory, "{\"a\":".repeat(100_000))).contains("depth");
    assertThat(refused(directory, DOCUMENT + " ".repeat(2_000_000))).contains("it is longer than any");
    assertThat(refused(directory, "{\"a\": " + "9".repeat(100_000) + "}")).contains("it is no JSON");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "\"schema\": 1 | \"schema\": 2 | its schema is 2, and this version of Xolotl reads 1 only",
      "\"schema\": 1 | \"schema\": \"1\" | schema is no number",
      "\"schema\": 1 | \"schema\": 1.5 | schema is no whole number",
      "\"schema\": 1 | \"machine\": 1 | schema is missing",
      "\"rows\": [ | \"row\": [ | rows is missing",
      "\"rows\": [ | \"rows\": [7, | rows is no list of objects",
      "\"rounds\": 2 | \"rounds\": 3 | rows[0].rounds.nsPerHit has 2 values, and there were 3 rounds",
      "\"rounds\": 2 | \"rounds\": 1e300 | rounds is no whole number from 1 to 100",
      "\"nsPerHit\": [1.5 | \"nsPerHit\": [1e999 | rows[0].rounds.nsPerHit[0] is too large a number",
      "\"nsPerHit\": [1.5 | \"nsPerHit\": [1e300 | nsPerHit has a value that no hit takes",
      "\"nsPerHit\": [1.5 | \"nsPerHit\": [0 | nsPerHit has a value that no hit takes",
      "\"nsPerHit\": [1.5 | \"nsPerHit\": [-1 | nsPerHit has a value that no hit takes",
      "\"nsPerHit\": [1.5 | \"nsPerHit\": [null | nsPerHit is no list of numbers",
      "\"kernelNsPerHit\": null, | '' | rows[0].rounds.kernelNsPerHit is missing",
      "\"instruction\": \"nop\" | \"instruction\": null | rows[0].instruction is no string",
      "\"date\": \"2026 | \"date\": \"x2026 | environment.date is no date such as",
      "\"hypervisor\": false | \"hypervisor\": 0 | environment.hypervisor is no boolean",
      "\"mitigations\": {} | \"mitigations\": {\"mds\": {}} | environment.mitigations.mds is no string",
      "\"cpus\": 2 | \"cpus\": 99999999999999999999999 | environment.cpus is no whole number",
      "\"hitsPerRound\": 100 | \"hitsPerRound\": 0 | hitsPerRound is no whole number"})
  void documentsThatAreOthers(String part, String instead, String sentence, @TempDir Path directory)
      throws IOException {
    assertThat(DOCUMENT).contains(part);
    assertThat(refused(directory, DOCUMENT.replaceFirst("\\Q" + part + "\\E", instead))).contains(sentence);
  }

  @Test
  void oneRowTwice(@TempDir Path directory) throws IOException {
    assertThat(refused(directory, DOCUMENT.replace("[" + ROW, "[" + ROW + "," + ROW)))
        .contains("it has two rows nop, none, none");
  }

  @Test
  void namesCannotActOnATerminal(@TempDir Path directory) throws IOException {
    assertThat(refused(directory, DOCUMENT.replace("[" + ROW, "[" + ROW + "," + ROW)
        .replace("\"nop\"", "\"\\u001b[2J\""))).contains("two rows \\x1b[2J, none").doesNotContain("\u001b");
  }
}
