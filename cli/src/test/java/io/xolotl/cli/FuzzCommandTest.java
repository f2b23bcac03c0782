package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.MachineState;
import io.xolotl.ptrace.TerminalSize;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class FuzzCommandTest {

  @Test
  void casesAsADocument() {
    Cli run = Cli.run("fuzz", "--cases", "300", "--seed", "7", "--json");
    assertThat(run.status()).as("%s", run).isZero();
    JsonNode report = run.json();
    assertThat(report.get("cases").asLong()).isEqualTo(300);
    assertThat(report.get("executed").asLong()).isGreaterThan(300);
    assertThat(report.get("refused").asLong()).isBetween(1L, 100L);
    assertThat(report.get("mnemonics").asInt()).isGreaterThan(100);
    assertThat(report.get("differences").isArray()).isTrue();
    assertThat(report.get("differences")).isEmpty();
    assertThat(report.get("seed").asLong()).isEqualTo(7);
    assertThat(report).hasSize(6);
  }

  /** As the launcher starts it, without JUnit, which the fixtures need in tests only. */
  @Test
  void needsNoModulesOfTests() throws Exception {
    assertThat(CliProcess.modulePath()).doesNotContain("junit");
    try (CliProcess cli = CliProcess.start("fuzz", "--cases", "20", "--seed", "3", "--json")) {
      Cli run = cli.result();
      assertThat(run.status()).as("%s", run).isZero();
      assertThat(run.json().get("cases").asLong()).isEqualTo(20);
    }
  }

  @Test
  void oneInstructionByOneTechnique() {
    Cli run = Cli.run("fuzz", "--cases", "50", "--mnemonic", "push", "--technique", "emulated", "--seed",
        "1");
    assertThat(run.status()).as("%s", run).isZero();
    assertThat(run.output()).contains("CLASS", "push", "1 mnemonics", "seed 1");
    assertThat(run.output().lines().filter(line -> line.startsWith("all"))).singleElement()
        .satisfies(line -> assertThat(line.split(" +")).startsWith("all", "50"));
  }

  @Test
  void endsAfterItsTimeAndByInterruption() {
    assertThat(Cli.run("fuzz", "--seconds", "1", "--technique", "single-stepped", "--seed", "2").status())
        .isZero();
    var interruption = new Interruption();
    interruption.request();
    assertThat(Cli.run(interruption, "fuzz", "--cases", "1000000000", "--json").json().get("cases").asLong())
        .isLessThan(1000);
  }

  @Test
  void oneCaseAgain() {
    // add rax, rbx
    String token = Case.of(new byte[]{0x48, 0x01, (byte) 0xd8}, MachineState.PLAIN).token();
    Cli run = Cli.run("fuzz", "--case", token).done();
    assertThat(run.output()).contains("48 01 d8   add rax, rbx", "trapped: the same: ended at",
        "emulated: not displaced");
    assertThat(Cli.run("fuzz", "--case", token, "--json").done().output())
        .isEqualTo("{\"differences\":[]}\n");
  }

  @Test
  void relocatedCodeAsADocument() {
    Cli run = Cli.run("fuzz", "--relocation", "--executions", "500000", "--seed", "7", "--json");
    assertThat(run.status()).as("%s", run).isZero();
    JsonNode report = run.json();
    assertThat(report.get("executions").asLong()).isGreaterThanOrEqualTo(500_000);
    assertThat(report.get("executionsPerSecond").asDouble()).isPositive();
    assertThat(report.get("seed").asLong()).isEqualTo(7);
    assertThat(report.get("digest").asText()).matches("[0-9a-f]{16}");
    assertThat(report.get("mnemonics").asInt()).isGreaterThan(report.get("mnemonicsOnThisCpu").asInt());
    assertThat(report.get("mnemonicsOnThisCpu").asInt()).isGreaterThan(100);
    assertThat(report.get("mnemonicsNotReached").isArray()).isTrue();
    assertThat(report.get("forms").asInt()).isGreaterThan(100);
    assertThat(report.get("outcomes").get("completed").asLong()).isGreaterThan(100_000);
    assertThat(report.get("hangs").asLong()).isNotNegative();
    assertThat(report.get("differences")).isEmpty();
    assertThat(report.get("differencesDropped").asLong()).isZero();
    assertThat(report.get("cpu").asText()).isNotEmpty();
    assertThat(report.get("reasons").findValuesAsText("mnemonic")).contains("wrpkru");
    assertThat(report.get("mnemonicsRefused").valueStream().map(JsonNode::asText)).contains("int3", "vmrun");
    assertThat(Cli.run("fuzz", "--executions", "500000", "--seed", "7", "--json").json().get("digest"))
        .isEqualTo(report.get("digest"));
  }

  @Test
  void bothUnlessOneIsAskedFor() {
    Cli run = Cli.run("fuzz", "--seconds", "4", "--mnemonic", "push", "--seed", "1").done();
    assertThat(run.output()).contains("CLASS", "push", "RELOCATED", "completed", "digest ");
    JsonNode both = Cli.run("fuzz", "--seconds", "4", "--mnemonic", "push", "--json").json();
    assertThat(both.get("cases").asLong()).isPositive();
    assertThat(both.get("relocation").get("executions").asLong()).isPositive();
    assertThat(Cli.run("fuzz", "--cases", "10", "--mnemonic", "push").done().output())
        .doesNotContain("RELOCATED");
    assertThat(Cli.run("fuzz", "--seconds", "1", "--relocation", "--mnemonic", "push").done().output())
        .contains("RELOCATED").doesNotContain("CLASS");
    // A mnemonic that is never executed is no mistake where it is displaced.
    assertThat(Cli.run("fuzz", "--relocation", "--mnemonic", "wrpkru").misused())
        .contains("the process could not write its results");
  }

  @Test
  void progressSaysHowLongItWillTake() {
    var messages = new StringWriter();
    var shell = new Shell(Outlet.lossy(OutputStream.nullOutputStream(), new Interruption()),
        new PrintWriter(messages), () -> Optional.of(new TerminalSize(24, 80)), new Interruption());
    var progress = new FuzzProgress(shell, 1_000, Duration.ofSeconds(1));
    assertThat(progress.show(10, Duration.ofMillis(499), () -> "too soon")).isTrue();
    assertThat(progress.show(100, Duration.ofSeconds(2), () -> "a tenth")).isTrue();
    assertThat(messages.toString()).isEqualTo("\r\u001b[Ka tenth, 18 s left");
    progress.end();
    assertThat(messages.toString()).endsWith("left\r\u001b[K");
    progress = new FuzzProgress(shell, Long.MAX_VALUE, Duration.ofSeconds(10));
    assertThat(progress.show(100, Duration.ofSeconds(2), () -> "by time")).isTrue();
    assertThat(messages.toString()).endsWith("by time, 8 s left");
  }

  @Test
  void relocatedCodeEndsByInterruption() {
    var interruption = new Interruption();
    interruption.request();
    assertThat(Cli.run(interruption, "fuzz", "--executions", "1000000000000", "--json").json()
        .get("executions").asLong()).isLessThan(100_000_000);
  }

  @Test
  void oneCaseOfRelocatedCodeAgain() {
    // call [rbp], which reads what the call overwrites: the one thing that relocated code does otherwise.
    MachineState state = MachineState.PLAIN;
    long below = state.general(MachineState.RSP) - 8;
    String token = Case.of(new byte[]{(byte) 0xff, 0x55, 0x00}, state.withGeneral(5, below)).token();
    Cli run = Cli.run("fuzz", "--relocation", "--case", token);
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.output()).contains("call [rbp]", "relocated near differs:", "relocated far differs:")
        .doesNotContain("trapped");
    String repeat = Cli.run("fuzz", "--relocation", "--case", token, "--json").json().get("differences")
        .get(0)
        .get("repeat").asText();
    assertThat(repeat).isEqualTo("./xolotl fuzz --relocation --case " + token);
    String same = Case.of(new byte[]{(byte) 0xff, 0x55, 0x00}, state.withGeneral(5, below - 8)).token();
    assertThat(Cli.run("fuzz", "--relocation", "--case", same).done().output())
        .contains("relocated near: the same", "relocated far: the same");
  }

  @Test
  void wrongUsage() {
    assertThat(Cli.run("fuzz", "--seconds", "1", "--cases", "1").misused())
        .contains("either --seconds or --cases");
    assertThat(Cli.run("fuzz", "--seconds", "1", "--executions", "1").misused())
        .contains("either --seconds or --cases");
    assertThat(Cli.run("fuzz", "--executions", "0").misused()).contains("from 1");
    assertThat(Cli.run("fuzz", "--cases", "0").misused()).contains("from 1");
    assertThat(Cli.run("fuzz", "--mnemonic", "nonesuch").misused()).contains("no instruction 'nonesuch'");
    assertThat(Cli.run("fuzz", "--technique", "magic").misused()).contains("'magic'");
    assertThat(Cli.run("fuzz", "--case", "xyz").misused()).contains("is not the token of a case");
    assertThat(Cli.run("fuzz", "--case", Case.of(new byte[]{0}, MachineState.PLAIN).token(), "--cases", "1")
        .misused())
        .contains("--case can be combined only with");
    assertThat(Cli.run("fuzz", "--", "ls").misused()).contains("cannot launch a program");
  }
}
