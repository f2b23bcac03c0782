package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.INSNS;
import static io.xolotl.fixtures.FixtureProgram.SLEEPER;
import static io.xolotl.fixtures.FixtureProgram.ZOMBIE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.xol.ProbeLocation;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each mistake has its sentence. */
@Execution(ExecutionMode.CONCURRENT)
class BadInputTest {

  private static String count(int pid, String location) {
    return Cli.run("count", "-p", Integer.toString(pid), "-e", location).refused();
  }

  @Test
  void processesThatCannotBeProbed(@RunsFixture(ZOMBIE) TargetProcess zombie) {
    assertThat(count(4_194_300, "libc.so.6:malloc")).contains("there is no process 4194300");
    int dead = Integer.parseInt(zombie.awaitLine("zombie ").substring("zombie ".length()));
    assertThat(count(dead, "libc.so.6:malloc")).contains(Integer.toString(dead), "has ended");
    assumeTrue(ProcFs.exists(2) && ProcFs.mappings(2).equals(List.of("")),
        "process 2 is not a visible kernel thread");
    assertThat(count(2, "libc.so.6:malloc")).contains("process 2", "kernel thread");
  }

  @Test
  void aProcessOfAnotherUser(@RunsFixture(SLEEPER) TargetProcess target, @TempDir Path directory)
      throws Exception {
    String[] args = {"count", "-p", Integer.toString(target.pid()), "-e", "libc.so.6:malloc"};
    if (!ProcFs.status((int) ProcessHandle.current().pid(), "Uid").startsWith("0")) {
      assertThat(Cli.run("count", "-p", "1", "-e", "libc.so.6:malloc").refused()).contains("process 1");
      return;
    }
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/setpriv")), "setpriv is not installed");
    try (CliProcess cli = CliProcess.start(
        List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        readableModulePath(directory), args)) {
      assertThat(cli.result().refused()).contains("process " + target.pid(), "belongs to user");
    }
  }

  /** The modules where everybody may read them. */
  private static String readableModulePath(Path directory) throws IOException {
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
    var copies = new ArrayList<String>();
    for (String module : CliProcess.modulePath().split(File.pathSeparator)) {
      Path source = Path.of(module);
      Path copy = directory.resolve(copies.size() + "-" + source.getFileName());
      try (Stream<Path> files = Files.walk(source)) {
        for (Path file : files.toList()) {
          Path to = copy.resolve(source.relativize(file));
          Files.copy(file, source.equals(file) ? copy : to);
          Files.setPosixFilePermissions(source.equals(file) ? copy : to,
              PosixFilePermissions.fromString("rwxr-xr-x"));
        }
      }
      copies.add(copy.toString());
    }
    return String.join(File.pathSeparator, copies);
  }

  @Test
  void namesThatDoNotExist(@RunsFixture(SLEEPER) TargetProcess target) {
    // It may be loaded later.
    Cli waiting = Cli.run("count", "-p", Integer.toString(target.pid()), "-e", "libk.so.6:malloc", "--for",
        "0s");
    assertThat(waiting.status()).isEqualTo(Xolotl.FAILED);
    assertThat(waiting.messages()).contains("no module 'libk.so.6'", "nearest: libc.so.6, ");
    assertThat(count(target.pid(), "libc.so.6:maloc")).contains("no function 'maloc'",
        "nearest: malloc, ").matches("(?s).*nearest: \\S+, \\S+, \\S+\n");
  }

  @Test
  void addressesWithoutAnInstruction(@RunsFixture(INSNS) TargetProcess target) {
    assertThat(count(target.pid(), "0x10")).contains("nothing is mapped at 0x10");
    assertThat(count(target.pid(), "0x" + Long.toHexString(target.address("site_mid"))))
        .contains("in the middle of 'mov rax");
  }

  @Test
  void instructionsThatAreRefused(@RunsFixture(INSNS) TargetProcess target) {
    assertThat(count(target.pid(), "insns:site_int3_own")).contains("breakpoint");
    assertThat(count(target.pid(), "insns:site_hlt")).contains("hlt", "privileged");
    assertThat(Cli.run("count", "-p", Integer.toString(target.pid()), "--policy", "strict", "-e",
        "insns:site_mov_rip_load").refused()).contains("strict");
    assertThat(ProcFs.tracerPid(target.pid())).isZero();
  }

  @Test
  void programsThatCannotBeStarted() {
    assertThat(Cli.run("count", "-e", "libc.so.6:malloc", "--", "no-such-program-anywhere").refused())
        .contains("cannot start no-such-program-anywhere");
    assertThat(Cli.run("trace", "-e", "libc.so.6:malloc", "--", "/etc/passwd").refused())
        .contains("cannot start /etc/passwd");
  }

  @Test
  void aProgramWhoseProbesAreRefusedDoesNotRun(@TempDir Path directory) {
    Path file = directory.resolve("file");
    assertThat(Cli.run("count", "-e", "libc.so.6:maloc", "--", "touch", file.toString()).refused())
        .contains("nearest: malloc");
    assertThat(Files.exists(file)).isFalse();
  }

  @Test
  void wrongUsage() {
    assertThat(Cli.run("-x").misused()).contains("Unknown option", "see: xolotl --help");
    assertThat(Cli.run("cuont").misused()).contains("cuont");
    assertThat(Cli.run("count", "-e", "libc:malloc").misused()).contains("Give a process");
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", "1", "--", "ls").misused()).contains("not both");
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", "0").misused()).contains("no process id");
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", "no such name").refused())
        .contains("no process is called 'no such name'");
    assertThat(Cli.run("count", "-p", "1").misused()).contains("Missing required option",
        "see: xolotl count --help");
    assertThat(Cli.run("count", "-e", "malloc", "-p", "1").misused()).contains("neither MODULE:SYMBOL");
    assertThat(Cli.run("count", "-e", "libc:malloc", "ls", "-l").misused()).contains("comes after --");
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", "1", "--for", "soon").misused())
        .contains("no duration");
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", "1", "--technique", "magic").misused())
        .contains("none of emulated, boosted, trapped, single-stepped");
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", "1", "--context", "none").misused())
        .contains("none of interrupt, task");
    assertThat(Cli.run("demo", "--", "ls").misused()).contains("cannot launch a program");
  }

  /** Integer.parseInt takes a sign and the digits of every script; a leading zero makes no number octal. */
  @ParameterizedTest
  @ValueSource(strings = {"+5", "-5", "５", "٥", "0x5", " 5", "5 ", "1_000", "99999999999999999999"})
  void numbersAreAsciiDigits(String number) {
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", number).misused()).contains("no process id");
    for (String option : List.of("--seconds", "--cases", "--seed")) {
      assertThat(Cli.run("fuzz", option, number).misused()).contains("is no number from");
    }
    assertThat(Cli.run("bench", "--iterations", number).misused()).contains("is no number from");
    assertThat(Cli.run("count", "-e", "libc:malloc", "-p", "1", "--for", number + "s").misused())
        .contains("no duration");
    assertThat(Cli.run("classify", "--hex", "90", "--address", "0x" + number).misused())
        .contains("no address");
    assertThat(Cli.run("count", "-p", "1", "-e", "0x" + number).misused()).contains("no hexadecimal address");
  }

  private static List<ProbeLocation> readings(String text) {
    ProbeLocation location = ProbeLocation.parse(text);
    assertThat(location).hasToString(text).isInstanceOf(ProbeLocation.Written.class);
    return ((ProbeLocation.Written) location).readings();
  }

  @Test
  void offsetsAreDecimalOrHexadecimal() {
    assertThat(readings("m:f+010")).containsExactly(new ProbeLocation.Symbol("m", "f+010", 0),
        new ProbeLocation.Symbol("m", "f", 10));
    assertThat(readings("m:f+0x010")).containsExactly(new ProbeLocation.Symbol("m", "f+0x010", 0),
        new ProbeLocation.Symbol("m", "f", 16), new ProbeLocation.FileAddress("m:f", 16));
    assertThat(ProbeLocation.parse("m+0x010")).isEqualTo(new ProbeLocation.FileAddress("m", 16));
    assertThat(ProbeLocation.parse("0xffffffffffffffff")).isEqualTo(new ProbeLocation.Address(-1));
    assertThat(Cli.run("count", "-p", "1", "-e", "m:f+99999999999999999999").misused()).contains("no offset");
  }

  @Test
  void helpIsNoMistake() {
    for (String command : List.of("demo", "count", "trace", "list", "classify", "fuzz", "bench", "help")) {
      String help = Cli.run(command, "--help").done().output();
      assertThat(help).contains("xolotl " + command);
      assertThat(Cli.run("help", command).done().output()).isEqualTo(help);
    }
    assertThat(Cli.run("help").done().output()).isEqualTo(Cli.run("--help").done().output());
    assertThat(Cli.run("help", "cuont").misused()).contains("Unknown subcommand 'cuont'; see");
    assertThat(Cli.run("--help").done().output()).contains("Exit status");
    assertThat(Cli.run("--version").done().output()).startsWith("xolotl ");
  }
}
