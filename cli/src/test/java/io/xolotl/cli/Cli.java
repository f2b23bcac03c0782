package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.xolotl.ptrace.TerminalSize;
import java.io.ByteArrayOutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * What a command did.
 *
 * @param status its exit status
 * @param output its standard output, without that of a program that it launched
 * @param messages its standard error, likewise
 */
record Cli(int status, String output, String messages) {

  private static final JsonMapper STRICT = JsonMapper.builder()
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
          DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
      .build();

  /** Runs a command in this JVM. */
  static Cli run(String... args) {
    return run(new Interruption(), args);
  }

  static Cli run(Interruption interruption, String... args) {
    return run(interruption, Optional.empty(), args);
  }

  /** The same before somebody who watches. */
  static Cli runOn(TerminalSize terminal, String... args) {
    return run(new Interruption(), Optional.of(terminal), args);
  }

  private static Cli run(Interruption interruption, Optional<TerminalSize> terminal, String... args) {
    var output = new ByteArrayOutputStream();
    var messages = new StringWriter();
    int status;
    try (Outlet outlet = Outlet.of(output, false, interruption)) {
      status = Xolotl.run(new Shell(outlet, new PrintWriter(messages, true), () -> terminal, interruption),
          args);
    }
    return new Cli(status, output.toString(StandardCharsets.UTF_8), messages.toString());
  }

  /** The output, which is one JSON document and nothing else. */
  JsonNode json() {
    return parse(output);
  }

  static JsonNode parse(String document) {
    try {
      return STRICT.readTree(document);
    } catch (JsonProcessingException e) {
      throw new AssertionError("no JSON document: " + document, e);
    }
  }

  /** Asserts that the command did what it was asked to and had nothing to say. */
  Cli done() {
    assertThat(this).isEqualTo(new Cli(Xolotl.DONE, output, ""));
    return this;
  }

  /** Asserts that the command failed with one line that says why, and printed nothing else. */
  String refused() {
    assertThat(this).isEqualTo(new Cli(Xolotl.FAILED, "", messages));
    return line();
  }

  /** Asserts that the command was used wrongly, likewise. */
  String misused() {
    assertThat(this).isEqualTo(new Cli(2, "", messages));
    return line();
  }

  private String line() {
    assertThat(messages).startsWith("xolotl: ").endsWith("\n").doesNotContain("internal error");
    assertThat(messages.lines()).hasSize(1);
    return messages;
  }
}
