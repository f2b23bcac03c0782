package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Names that a program has chosen do nothing to the terminal of whoever looks at it. */
class HostileNamesTest {

  /** ESC, the C1 character that begins a control sequence, a line feed, and what reverses the order. */
  private static final List<String> ACTS = List.of("\u001b[31m", "\u009b2J", "\n", "\u202e");
  private static final String LINE_FEED = "work\nof 0x0 hits";
  private static final String SEQUENCE = "work\u001b[31m\u009b2J\u202e";

  @TempDir
  private Path directory;

  /** The program with its functions work and expected_work under other names, in a file of such a name. */
  private Path renamed() throws Exception {
    Path program = directory.resolve("calls\u001b[31m\u202e");
    Process objcopy = new ProcessBuilder("objcopy", "--redefine-sym", "work=" + LINE_FEED, "--redefine-sym",
        "expected_work=" + SEQUENCE, CALLS.path().toString(), program.toString()).inheritIO().start();
    assertThat(objcopy.waitFor()).isZero();
    return program;
  }

  private static void assertHarmless(String text, int lines) {
    assertThat(text.lines()).hasSize(lines);
    assertThat(text.replace("\n", "")).doesNotContain(ACTS.toArray(String[]::new));
  }

  @Test
  void tablesAndLines() throws Exception {
    Path program = renamed();
    String name = program.getFileName().toString();
    try (TargetProcess target = TargetProcess.start(List.of(program.toString(), "1", "1000000"))) {
      target.awaitLine("ready");
      String pid = Integer.toString(target.pid());
      assertThat(Cli.run("list", "-p", pid).done().output())
          .contains("calls\\x1b[31m\\u202e").doesNotContain(ACTS.getFirst(), ACTS.getLast());
      String functions = Cli.run("list", "-p", pid, name + ":work*of*").done().output();
      assertThat(functions).contains("work\\x0aof 0x0 hits");
      assertHarmless(functions, 1);
      String count = Cli.run("count", "-p", pid, "-e", name + ":work*", "--for", "0.1", "--all").done()
          .output();
      assertThat(count).contains("work\\x1b[31m\\x9b2J\\u202e");
      assertThat(count.replace("\n", "")).doesNotContain(ACTS.getFirst(), ACTS.get(1), ACTS.getLast());
      assertThat(ProcFs.tracerPid(target.pid())).isZero();
    }
  }

  @Test
  void messages() throws Exception {
    Path program = renamed();
    String name = program.getFileName().toString();
    String message = Cli.run("count", "-e", name + ":work\u001b[31mx", "--", program.toString(), "1", "1")
        .refused();
    assertThat(message).contains("\\x1b");
    assertHarmless(message, 1);
  }

  /** Escapes of its own make a document harmless, and it says exactly what the names are. */
  @Test
  void documents() throws Exception {
    Path program = renamed();
    JsonNode functions = Cli.run("list", program.getFileName() + ":work*", "--json", "--", program.toString(),
        "1", "1").done().json().get("functions");
    assertThat(functions).isNotEmpty();
    assertThat(functions.toString()).contains("work\\nof 0x0 hits", "work\\u001B[31m");
  }

  @ParameterizedTest
  @ValueSource(strings = {"plain", "with blanks, and ümläüts", "漢字", "\\x1b"})
  void whatDoesNothingStays(String text) {
    assertThat(Visible.of(text)).isEqualTo(text);
  }

  @Test
  void whatActsIsShown() {
    assertThat(Visible.of("a\tb\u0000\u007f\u0085\u2028\u2066\ud800"))
        .isEqualTo("a\\x09b\\x00\\x7f\\x85\\u2028\\u2066\\ud800");
  }
}
