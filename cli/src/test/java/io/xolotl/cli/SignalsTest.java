package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.SANDBOX;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Ctrl-C and SIGTERM: results are printed, and the process is as it was. */
@Execution(ExecutionMode.CONCURRENT)
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
          .matches("xolotl: the memory .* in process " + target.pid() + ", .* stays mapped, .*\\n");
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
      // The shell has run mv.
      assertThat(result).isEqualTo(new Cli(143, result.output(),
          "xolotl: 1 process that it created ran without probes; --follow probes them\n"));
      assertThat(result.output()).contains("libc.so.6:malloc");
      Await.until(() -> !ProcFs.exists(pid) || ProcFs.state(pid) == 'Z', () -> "the program ends");
    }
  }

  /** A state of a command at which a signal comes; none is a time. */
  private enum Moment {
    /** The JVM has been started, and what it does is not known: there may be no results. */
    STARTING,
    /** A program that takes part exists. */
    PROGRAM_EXISTS,
    /** One is traced: probed, or about to be. */
    PROGRAM_TRACED,
    /** There is a message. */
    MESSAGE,
    /** There are results, perhaps all: the command may have ended by itself. */
    OUTPUT;

    boolean isReached(CliProcess cli) {
      return switch (this) {
        case STARTING -> true;
        case PROGRAM_EXISTS -> descendants(cli).findAny().isPresent();
        case PROGRAM_TRACED -> descendants(cli).anyMatch(Moment::isTraced);
        case MESSAGE -> !cli.messages().isEmpty();
        case OUTPUT -> !cli.output().isEmpty();
      };
    }

    private static Stream<ProcessHandle> descendants(CliProcess cli) {
      return ProcessHandle.of(cli.pid()).stream().flatMap(ProcessHandle::descendants);
    }

    private static boolean isTraced(ProcessHandle process) {
      try {
        return ProcFs.tracerPid((int) process.pid()) != 0;
      } catch (UncheckedIOException gone) {
        return false;
      }
    }
  }

  static Stream<Arguments> commandsAndMoments() {
    return Stream.of("fuzz --seconds 600 --seed 1 --json,STARTING PROGRAM_EXISTS PROGRAM_TRACED",
        "fuzz --cases 10 --seed 1 --json,OUTPUT", "fuzz --seconds 600,PROGRAM_TRACED",
        "fuzz --relocation --mnemonic push --executions 1000000000 --json,PROGRAM_EXISTS",
        "bench --json,PROGRAM_EXISTS MESSAGE", "bench,PROGRAM_TRACED",
        "demo,PROGRAM_EXISTS PROGRAM_TRACED OUTPUT",
        "count -e libc.so.6:nanosleep --json -- sleep 1000,STARTING PROGRAM_EXISTS PROGRAM_TRACED",
        "count -e libc.so.6:exit -- true,OUTPUT",
        "trace -e libc.so.6:malloc --json -- sleep 1000,PROGRAM_EXISTS PROGRAM_TRACED OUTPUT",
        "list --json -- sleep 1000,PROGRAM_EXISTS OUTPUT",
        "classify " + System.getProperty("java.home") + "/lib/server/libjvm.so --json,OUTPUT",
        "help count,STARTING OUTPUT")
        .flatMap(row -> Stream.of(row.substring(row.indexOf(',') + 1).split(" "))
            .flatMap(moment -> Stream.of("INT", "TERM").map(signal -> Arguments
                .of(row.substring(0, row.indexOf(',')), Moment.valueOf(moment), signal))));
  }

  /** Ctrl-C gets to the whole process group, twice if somebody is impatient; SIGTERM to the command alone. */
  @ParameterizedTest
  @MethodSource("commandsAndMoments")
  void everyCommandAtEveryMoment(String command, Moment moment, String signal) throws Exception {
    try (CliProcess cli = CliProcess.start(List.of("setsid"), CliProcess.modulePath(), command.split(" "))) {
      // Fuzz needs seconds of a CPU before its first case.
      Await.until(() -> moment.isReached(cli) || !cli.isAlive(), Duration.ofMinutes(3),
          () -> moment + " of " + cli.messages());
      // One that has ended by itself gets none.
      if (signal.equals("INT")) {
        cli.trySignal("INT", -cli.pid());
      }
      cli.trySignal(signal, cli.pid());
      Cli result = cli.result();
      int expected = signal.equals("INT") ? 130 : 143;
      // A list is short: the command may have come to its end before it comes to the signal.
      if (moment == Moment.OUTPUT || command.startsWith("list")) {
        assertThat(result.status()).as("%s", result).isIn(0, expected);
      } else {
        assertThat(result.status()).as("%s", result).isEqualTo(expected);
      }
      assertThat(result.messages()).doesNotContain("Exception", "internal error", "shutting down",
          "is closed", "take too long");
      if (command.contains("--json")
          && !(result.output().isEmpty() && mayHaveNoResults(command, moment, signal))) {
        result.json();
      } else if (command.startsWith("fuzz") && moment != Moment.STARTING) {
        assertThat(result.output()).contains("CLASS", "seed ");
      } else if (command.equals("bench")) {
        assertThat(result.output()).contains("INSTRUCTION");
      }
    }
  }

  /** Ctrl-C ends a launched program too, perhaps before it has probes: then there is a sentence. */
  private static boolean mayHaveNoResults(String command, Moment moment, String signal) {
    return moment == Moment.STARTING
        || moment != Moment.OUTPUT && signal.equals("INT") && command.contains(" -- ");
  }

  private static void awaitBreakpoint(TargetProcess target, long address) {
    Await.until(() -> ProcFs.memory(target.pid(), address, 1)[0] == (byte) 0xcc,
        () -> "a breakpoint at work");
  }
}
