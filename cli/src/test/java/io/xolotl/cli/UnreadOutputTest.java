package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Outputs that cannot be written, or that nobody reads: neither the process nor the end of a command waits
 * for them.
 */
@Execution(ExecutionMode.CONCURRENT)
class UnreadOutputTest {

  /** Until then the hits have filled the buffers, two megabytes, also on a busy machine. */
  private static final Duration FILLED = Duration.ofMinutes(2);

  /** Behind a shell's redirection. */
  private static CliProcess redirected(String redirection, String... args) throws Exception {
    return CliProcess.start(List.of("sh", "-c", "exec \"$@\" " + redirection, "sh"), CliProcess.modulePath(),
        args);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--help", "--version", "help", "help count", "trace --help", "classify --hex 90",
      "classify --hex 90 --json", "list -- true", "list --json -- true", "count -e libc.so.6:exit -- true",
      "count -e libc.so.6:exit --json -- true", "trace -e libc.so.6:exit -- true",
      "trace -e libc.so.6:exit --json -- true"})
  void aFullDisk(String command) throws Exception {
    try (CliProcess cli = redirected(">/dev/full", command.split(" "))) {
      assertThat(cli.result().refused()).contains("cannot be written: No space left on device");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"--help", "classify --hex 90", "count -e libc.so.6:exit --json -- true"})
  void aClosedOutput(String command) throws Exception {
    // Read-only is what a JVM makes of it, whose first file takes the number of the closed one.
    try (CliProcess cli = redirected("1</dev/null", command.split(" "))) {
      assertThat(cli.result().refused()).contains("cannot be written: Bad file descriptor");
    }
  }

  @Test
  void aReaderThatHasSeenEnough() throws Exception {
    try (CliProcess cli = CliProcess.start(
        List.of("bash", "-c", "\"$@\" | head -n 1; exit ${PIPESTATUS[0]}", "bash"), CliProcess.modulePath(),
        "classify", "/bin/sh")) {
      Cli result = cli.result();
      assertThat(result).isEqualTo(new Cli(141, result.output(), ""));
      assertThat(result.output().lines()).hasSize(1);
    }
  }

  private static CliProcess unreadTrace(TargetProcess target, String... options) throws Exception {
    var args = new ArrayList<>(
        List.of("trace", "-p", Integer.toString(target.pid()), "-e", "forever:work"));
    args.addAll(List.of(options));
    return CliProcess.startUnread(args.toArray(String[]::new));
  }

  @ParameterizedTest
  @CsvSource({"INT,130,''", "TERM,143,--drop", "TERM,143,--json"})
  void aProcessGoesOnAlthoughNobodyReads(String signal, int status, String option,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    target.send("go");
    try (CliProcess cli = option.isEmpty() ? unreadTrace(target) : unreadTrace(target, option)) {
      // Lines are left out only if the process goes on: the second message needs ten times as many hits.
      Await.until(() -> cli.messages().contains("\nxolotl: 1000 lines are left out"),
          FILLED, () -> "a thousand lines are left out: " + cli.messages());
      assertThat(cli.messages()).startsWith("xolotl: 1 line is left out, because nobody reads");
      cli.signal(signal);
      Cli result = cli.result();
      assertThat(result.status()).as(result.messages()).isEqualTo(status);
      Matcher number = Pattern
          .compile("(?m)^xolotl: (\\d+) lines were not written, because nobody reads them$")
          .matcher(result.messages());
      assertThat(number.find()).as(result.messages()).isTrue();
      assertThat(Long.parseLong(number.group(1))).isGreaterThan(1000);
      assertThat(result.messages()).doesNotContain("Exception", "internal error");
    }
    unharmed(target);
  }

  @ParameterizedTest
  @CsvSource({"INT,130", "TERM,143"})
  void aLosslessTraceLetsTheProcessWaitAndSaysSo(String signal, int status,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    target.send("go");
    try (CliProcess cli = unreadTrace(target, "--lossless")) {
      Await.until(() -> cli.messages().contains("the process has waited 1 s for the reader"),
          FILLED, () -> "a message: " + cli.messages());
      cli.signal(signal);
      Cli result = cli.result();
      assertThat(result.status()).as(result.messages()).isEqualTo(status);
      assertThat(result.messages()).doesNotContain("left out", "internal error");
    }
    unharmed(target);
  }

  private static void unharmed(TargetProcess target) throws Exception {
    CountCommandTest.assertUntouched(target, target.address("work"));
    target.send("stop");
    target.awaitLine("ok");
    assertThat(ProcFs.exists(target.pid())).isTrue();
  }
}
