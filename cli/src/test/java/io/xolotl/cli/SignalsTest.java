package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.SANDBOX;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.Await;
import io.xolotl.fixtures.ExitStatus;
import io.xolotl.fixtures.ProcFs;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.fixtures.TargetProcess;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Ctrl-C and SIGTERM: results are printed, and the process is as it was. */
class SignalsTest {

  @ParameterizedTest
  @CsvSource({"INT,130", "TERM,143"})
  void count(String signal, int status, @RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    target.send("go");
    long address = target.address("work");
    byte[] text = ProcFs.memory(target.pid(), address, 16);
    try (
        CliProcess cli = CliProcess.start("count", "-p", Integer.toString(target.pid()), "-e", "forever:work",
            "--json")) {
      awaitBreakpoint(target, address);
      cli.signal(signal);
      Cli result = cli.result();
      assertThat(result).isEqualTo(new Cli(status, result.output(), ""));
      assertThat(result.json().get("probes")).hasSize(1);
    }
    target.send("stop");
    target.awaitLine("ok");
    assertThat(ProcFs.memory(target.pid(), address, 16)).isEqualTo(text);
    CountCommandTest.assertUntouched(target, address);
  }

  /** What must stay in a process is said, and is no failure. */
  @Test
  void countOfAProgramThatEntersASandbox(@RunsFixture(SANDBOX) TargetProcess target) throws Exception {
    long address = target.address("work_add_mem");
    try (CliProcess cli = CliProcess.start("count", "-p", Integer.toString(target.pid()), "-e",
        "sandbox:work_add_mem")) {
      awaitBreakpoint(target, address);
      target.send("strict");
      target.awaitLine("done");
      target.send("work");
      target.awaitLine("done");
      cli.signal("INT");
      Cli result = cli.result();
      assertThat(result.status()).isEqualTo(130);
      assertThat(result.output()).containsPattern("\\n +5 .*boosted .* sandbox:work_add_mem\\n");
      assertThat(result.messages())
          .matches("xolotl: process " + target.pid() + ": memory .* stays mapped, .*\\n");
    }
    target.send("work");
    target.awaitLine("done");
    target.send("exit");
    assertThat(target.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
  }

  @Test
  void trace(@RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    target.send("go");
    long address = target.address("work");
    byte[] text = ProcFs.memory(target.pid(), address, 16);
    try (
        CliProcess cli = CliProcess.start("trace", "-p", Integer.toString(target.pid()), "-e", "forever:work",
            "--regs", "rip", "--json")) {
      Await.until(() -> cli.output().lines().count() > 100, () -> "a hundred hits in the output");
      cli.signal("INT");
      Cli result = cli.result();
      assertThat(result).isEqualTo(new Cli(130, result.output(), ""));
      // The document is whole, so nothing was held back.
      assertThat(result.json().get("hits").size()).isGreaterThan(99);
      assertThat(result.json().get("hits"))
          .allMatch(
              hit -> hit.get("registers").get("rip").textValue().equals("0x" + Long.toHexString(address)));
    }
    target.send("stop");
    target.awaitLine("ok");
    assertThat(ProcFs.memory(target.pid(), address, 16)).isEqualTo(text);
    CountCommandTest.assertUntouched(target, address);
  }

  @Test
  void aLaunchedProgramEndsToo(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("pid");
    try (CliProcess cli = CliProcess.start("count", "-e", "libc.so.6:malloc", "--", "sh", "-c",
        "echo $$ > " + file + ".part && mv " + file + ".part " + file + " && exec sleep 1000")) {
      Await.until(() -> Files.exists(file), () -> "the program runs");
      int pid = Integer.parseInt(Files.readString(file, StandardCharsets.US_ASCII).strip());
      cli.signal("TERM");
      Cli result = cli.result();
      assertThat(result).isEqualTo(new Cli(143, result.output(), ""));
      assertThat(result.output()).contains("libc.so.6:malloc");
      Await.until(() -> !ProcFs.exists(pid) || ProcFs.state(pid) == 'Z', () -> "the program ends");
    }
  }

  private static void awaitBreakpoint(TargetProcess target, long address) {
    Await.until(() -> ProcFs.memory(target.pid(), address, 1)[0] == (byte) 0xcc,
        () -> "a breakpoint at work");
  }
}
