package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static io.xolotl.fixtures.FixtureProgram.DLOPENER;
import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.PERCPU;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.TerminalSize;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CountCommandTest {

  @Test
  void everyCallInALaunchedProgram() {
    JsonNode document = Cli
        .run("count", "-e", "libc.so.6:malloc", "-e", "libc:free", "--json", "--", "ls", "/proc/self")
        .done().json();
    assertThat(document.fieldNames()).toIterable().containsExactly("pid", "seconds", "probes",
        "childrenNotProbed", "exitStatus");
    assertThat(document.get("pid").intValue()).isPositive();
    assertThat(document.get("seconds").doubleValue()).isPositive();
    assertThat(document.get("childrenNotProbed").intValue()).isZero();
    assertThat(document.get("exitStatus").intValue()).isZero();
    JsonNode probes = document.get("probes");
    assertThat(probes).extracting(probe -> probe.get("location").textValue()).containsExactly(
        "libc.so.6:malloc",
        "libc:free");
    for (JsonNode probe : probes) {
      assertThat(probe.fieldNames()).toIterable().containsExactly("location", "aliases", "address",
          "technique", "hits", "hitsPerSecond");
      assertThat(probe.get("hitsPerSecond").doubleValue()).isPositive();
      assertThat(probe.get("address").textValue()).matches("0x[0-9a-f]+");
      assertThat(probe.get("technique").textValue()).isIn("emulated", "boosted", "trapped", "single-stepped");
      assertThat(probe.get("hits").longValue()).isPositive();
    }
  }

  @Test
  void theStatusOfALaunchedProgram() {
    assertThat(launched("sh", "-c", "exit 7").get("exitStatus").intValue()).isEqualTo(7);
    assertThat(launched("sh", "-c", "kill -KILL $$").get("exitStatus").intValue()).isEqualTo(128 + 9);
  }

  private static JsonNode launched(String... command) {
    var args = new ArrayList<>(List.of("count", "-e", "libc.so.6:exit", "--json", "--"));
    args.addAll(List.of(command));
    return Cli.run(args.toArray(String[]::new)).done().json();
  }

  @Test
  void aTableForPeople() {
    assertThat(Cli.run("count", "-e", "libc.so.6:exit", "--", "true").done().output().lines())
        .satisfiesExactly(
            line -> assertThat(line).matches(" +HITS +HITS/S  TECHNIQUE +ADDRESS +LOCATION"),
            line -> assertThat(line).matches(" +1 +[0-9]+  [a-z-]+ +0x[0-9a-f]+  libc.so.6:exit"),
            line -> assertThat(line).isEqualTo("true exited with status 0"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"emulated", "single-stepped"})
  void aForcedTechnique(String technique) {
    // push rbp or the like: either technique can execute it.
    JsonNode probe = Cli
        .run("count", "-e", CALLS.path().getFileName() + ":work", "--technique", technique, "--json",
            "--for", "0s", "--", CALLS.path().toString(), "1", "1")
        .done().json().get("probes").get(0);
    assertThat(probe.get("technique").textValue()).isEqualTo(technique);
  }

  /** What a pattern matches and cannot be probed is left out, and said; what is named alone is an error. */
  @Test
  void restartableSequences(@RunsFixture(value = PERCPU, args = {"1", "file"}) TargetProcess target) {
    String pid = Integer.toString(target.pid());
    Cli pattern = Cli.run("count", "-p", pid, "-e", "percpu:percpu_*", "--for", "0s",
        "--all");
    assertThat(pattern.status()).isEqualTo(Xolotl.DONE);
    assertThat(pattern.messages()).containsPattern("xolotl: 6 of the [0-9]+ functions")
        .contains(": 6 restartable-sequence");
    assertThat(pattern.output()).contains("percpu_end").doesNotContain("percpu_commit");
    assertThat(Cli.run("count", "-p", pid, "-e", "percpu:percpu_commit", "--for", "0s").refused())
        .contains("restartable sequence").contains("abort handler");
  }

  @ParameterizedTest
  @ValueSource(strings = {"interrupt", "task"})
  void everyCallInARunningProgram(String context,
      @RunsFixture(value = CALLS, args = {"4", "500"}) TargetProcess target) {
    long address = target.address("work");
    byte[] text = ProcFs.memory(target.pid(), address, 16);
    var counted = CompletableFuture
        .supplyAsync(() -> Cli.run("count", "-p", Integer.toString(target.pid()), "-e",
            "calls:work", "-e", "0x" + Long.toHexString(address), "--context", context, "--json"));
    // The program works when it is told to; until then it is probed.
    Await.until(() -> ProcFs.memory(target.pid(), address, 1)[0] == (byte) 0xcc,
        () -> "a breakpoint at work");
    target.send("go");
    target.awaitLine("ok");
    target.send("exit");
    JsonNode document = counted.join().done().json();
    assertThat(document.has("exitStatus")).as("only of launched programs").isFalse();
    JsonNode row = document.get("probes").get(0);
    assertThat(document.get("probes")).as("one place has one row").hasSize(1);
    assertThat(row.get("hits").longValue()).isEqualTo(2000);
    assertThat(row.get("aliases").get(0).textValue()).isEqualTo("0x" + Long.toHexString(address));
    assertThat(text[0]).isNotEqualTo((byte) 0xcc);
  }

  @ParameterizedTest
  @ValueSource(strings = {"python3 -c 'while True: bytearray(1000)'",
      "bash -c 'while :; do x=${x}y; x=${x#y}; done'",
      "perl -e 'while (1) { $x = [1, 2, 3] }'"})
  void programsWorkOnWhileProbedAndAfterwards(String command) {
    String program = command.substring(0, command.indexOf(' '));
    assumeTrue(
        Cli.run("list", "--", program).status() == Xolotl.DONE, () -> program + " is not installed");
    try (TargetProcess target = TargetProcess.start(List.of("sh", "-c", "exec " + command))) {
      String pid = Integer.toString(target.pid());
      // A version manager's shell script may stand in for the program, and becomes it in the end.
      Await.until(
          () -> runs(target, program)
              && Cli.run("list", "-p", pid, "libc.so.6:malloc").status() == Xolotl.DONE,
          () -> program + " runs and has loaded its libc");
      long address = Long.decode(Cli.run("list", "-p", pid, "libc.so.6:malloc", "--json").done().json()
          .get("functions").get(0).get("address").textValue());
      var interruption = new Interruption();
      var counted = CompletableFuture.supplyAsync(
          () -> Cli.run(interruption, "count", "-p", pid, "-e", "libc.so.6:malloc", "--json"));
      Await.until(() -> ProcFs.memory(target.pid(), address, 1)[0] == (byte) 0xcc || counted.isDone(),
          () -> "a breakpoint at malloc");
      // The program waits for nothing itself: from now on it gives the CPU up where it hits the probe.
      long before = switches(target);
      Await.until(() -> switches(target) > before + 100 || counted.isDone(), () -> "hits");
      interruption.request();
      JsonNode probe = counted.join().done().json().get("probes").get(0);
      assertThat(probe.get("hits").longValue()).isGreaterThan(10);
      assertThat(probe.get("address").textValue()).isEqualTo("0x" + Long.toHexString(address));
      assertUntouched(target, address);
      assertThat(target.isAlive()).isTrue();
    }
  }

  private static long switches(TargetProcess target) {
    return Long.parseLong(ProcFs.status(target.pid(), "voluntary_ctxt_switches"));
  }

  private static boolean runs(TargetProcess target, String program) {
    try {
      return Path.of("/proc/" + target.pid() + "/exe").toRealPath().getFileName().toString()
          .startsWith(program);
    } catch (IOException e) {
      return false;
    }
  }

  static void assertUntouched(TargetProcess target, long address) {
    for (int thread : ProcFs.threads(target.pid())) {
      assertThat(ProcFs.tracerPid(thread)).isZero();
    }
    assertThat(ProcFs.memory(target.pid(), address, 1)[0]).isNotEqualTo((byte) 0xcc);
  }

  @Test
  void allFunctionsOfAPattern() {
    Cli cli = Cli.run("count", "-e", "libc.so.6:pthread_mutex_*", "--json", "--", "true");
    assertThat(cli.status()).isZero();
    assertThat(cli.json().get("probes")).extracting(probe -> probe.get("location").textValue())
        .contains("libc.so.6:pthread_mutex_lock", "libc.so.6:pthread_mutex_unlock")
        .allMatch(location -> location.startsWith("libc.so.6:pthread_mutex_"));
    assertThat(Cli.run("count", "-e", "libc.so.6:no_such_*", "--", "true").refused())
        .contains("no function matches 'libc.so.6:no_such_*'");
  }

  @Test
  void refusedFunctionsOfAPatternAreSkipped() {
    FixtureProgram insns = FixtureProgram.INSNS;
    Cli cli = Cli.run("count", "-e", "insns:*", "--policy", "strict", "--technique", "trapped", "--for", "0s",
        "--json",
        "--", insns.path().toString(), "0");
    assertThat(cli.status()).isZero();
    assertThat(cli.json().get("probes")).isNotEmpty();
    assertThat(cli.messages())
        .matches("xolotl: [0-9]+ of the [0-9]+ functions that match insns:\\* are not probed: .*\n");
  }

  @Test
  void anInterruptionEndsItInOrder(@RunsFixture(value = FOREVER, args = "2") TargetProcess target) {
    long address = target.address("work");
    byte[] text = ProcFs.memory(target.pid(), address, 16);
    var interruption = new Interruption();
    var counted = CompletableFuture.supplyAsync(
        () -> Cli.run(interruption, "count", "-p", Integer.toString(target.pid()), "-e", "forever:work",
            "--json"));
    Await.until(() -> ProcFs.memory(target.pid(), address, 1)[0] == (byte) 0xcc,
        () -> "a breakpoint at work");
    interruption.request();
    assertThat(counted.join().done().json().get("probes")).hasSize(1);
    assertThat(ProcFs.memory(target.pid(), address, 16)).isEqualTo(text);
    assertUntouched(target, address);
  }

  @Test
  void aLaunchedProgramEndsWithTheTime() {
    JsonNode document = Cli
        .run("count", "-e", "libc.so.6:malloc", "--for", "100ms", "--json", "--", "sleep", "1000")
        .done().json();
    assertThat(document.get("exitStatus").intValue()).isEqualTo(128 + 15);
  }

  private static long hits(JsonNode document) {
    long sum = 0;
    for (JsonNode probe : document.get("probes")) {
      sum += probe.get("hits").longValue();
    }
    return sum;
  }

  private static JsonNode counted(String options, String... command) {
    var args = new ArrayList<>(List.of("count", "-e", "libc:malloc", "--json"));
    args.addAll(List.of(options.split(" ")));
    args.add("--");
    args.addAll(List.of(command));
    Cli cli = Cli.run(args.toArray(String[]::new));
    assertThat(cli.status()).as(cli.messages()).isZero();
    return cli.json();
  }

  /** Children, and what they execute, count as much as they do alone. */
  @Test
  void whatAShellRuns() {
    long alone = hits(counted("--all", "ls", "/"));
    JsonNode document = counted("--follow --by pid", "sh", "-c", "ls /; ls /");
    JsonNode rows = document.get("probes");
    assertThat(rows).hasSize(3);
    assertThat(rows.get(0).get("pid").intValue()).isEqualTo(document.get("pid").intValue());
    assertThat(List.of(rows.get(1).get("hits").longValue(), rows.get(2).get("hits").longValue()))
        .containsExactly(alone, alone);
    assertThat(document.get("childrenNotProbed").intValue()).isZero();
    assertThat(hits(counted("--follow", "sh", "-c", "ls /; ls /"))).isEqualTo(hits(document));
    // Under several names, at one address, by patterns, and where a module comes later: each hit counts once.
    JsonNode often = counted("-e libc:mall*c -e libc.so.6:*alloc --follow", "sh", "-c", "ls /; ls /");
    assertThat(rowsOf(often, "libc:malloc")).singleElement()
        .satisfies(row -> assertThat(row.get("hits").longValue()).isEqualTo(hits(document)));
    JsonNode separately = counted("-e libc:* --all", "ls", "/");
    JsonNode followed = counted("-e libc:* --follow --by pid", "sh", "-c", "ls /; ls /");
    List<Integer> pids = new ArrayList<>();
    rowsOf(followed, "libc:malloc").forEach(row -> pids.add(row.get("pid").intValue()));
    assertThat(pids).hasSize(3);
    for (int pid : pids.subList(1, 3)) {
      long sum = 0;
      for (JsonNode row : followed.get("probes")) {
        sum += row.get("pid").intValue() == pid ? row.get("hits").longValue() : 0;
      }
      // What the shell has done before it has executed it is the same process's.
      assertThat(sum).isGreaterThanOrEqualTo(hits(separately)).isLessThan(hits(separately) + 200);
    }
  }

  private static List<JsonNode> rowsOf(JsonNode document, String location) {
    var rows = new ArrayList<JsonNode>();
    document.get("probes").forEach(row -> {
      boolean alias = false;
      for (JsonNode each : row.get("aliases")) {
        alias |= each.textValue().equals(location);
      }
      if (alias || row.get("location").textValue().equals(location)) {
        rows.add(row);
      }
    });
    return rows;
  }

  /** The program before has nothing of what the pattern names. */
  @Test
  void aPatternOfAProgramThatIsExecuted(@TempDir Path directory) throws Exception {
    Path source = Files.writeString(directory.resolve("later.c"),
        """
            #define FN __attribute__((noipa))
            FN int work_one(int x) { return x + 1; }
            FN int work_two(int x) { return x + 2; }
            int main(void) { int sum = 0; for (int i = 0; i < 10; i++) sum += work_one(i) + work_two(i); return !sum; }
            """);
    Path program = directory.resolve("later");
    assertThat(
        new ProcessBuilder("gcc", "-O1", "-o", program.toString(), source.toString()).inheritIO().start()
            .waitFor())
        .isZero();
    for (String command : List.of("exec " + program, program + "; true")) {
      JsonNode document = Cli
          .run("count", "-e", "later:work_*", "--follow", "--json", "--", "sh", "-c", command)
          .json();
      assertThat(document.get("probes")).as(command).hasSize(2)
          .allSatisfy(row -> assertThat(row.get("hits").longValue()).isEqualTo(10));
    }
  }

  @Test
  void aPatternOfALibraryThatIsLoadedLater(@RunsFixture(DLOPENER) TargetProcess target) {
    var interruption = new Interruption();
    var counted = CompletableFuture.supplyAsync(() -> Cli.run(interruption, "count", "-p",
        Integer.toString(target.pid()), "-e", "libplug.so:plug_*", "--json"));
    Await.until(() -> ProcFs.tracerPid(target.pid()) != 0 || counted.isDone(),
        () -> "the command has attached");
    // The linker's function is probed as soon as anything waits.
    Await.until(() -> waitsForModules(target) || counted.isDone(), () -> "the command waits");
    target.send("load");
    target.awaitLine("loaded ");
    target.awaitOk();
    for (int i = 0; i < 5; i++) {
      target.send("go");
      target.awaitLine("plug ");
    }
    interruption.request();
    Cli cli = counted.join();
    assertThat(cli.messages()).contains("libplug.so:plug_* waits until its module is loaded");
    assertThat(rowsOf(cli.json(), "libplug.so:plug_work")).singleElement()
        .satisfies(row -> assertThat(row.get("hits").longValue()).as("the constructor's, too").isEqualTo(6));
  }

  private static boolean waitsForModules(TargetProcess target) {
    String listed = Cli.run("list", "-p", Integer.toString(target.pid()), "ld-linux-x86-64:_dl_debug_state",
        "--json").output();
    JsonNode functions = Cli.parse(listed).get("functions");
    return ProcFs.memory(target.pid(), Long.decode(functions.get(0).get("address").textValue()),
        1)[0] == (byte) 0xcc;
  }

  @Test
  void childrenThatAreNotProbedAreSaid() {
    Cli cli = Cli.run("count", "-e", "libc:malloc", "--", "sh", "-c", "ls / > /dev/null; ls / > /dev/null");
    assertThat(cli.status()).isZero();
    assertThat(cli.messages()).isEqualTo("xolotl: 2 processes that it created ran without probes; --follow "
        + "probes them\n");
    assertThat(counted("--all", "sh", "-c", "ls / > /dev/null; true").get("childrenNotProbed").intValue())
        .isEqualTo(1);
  }

  /** Each compiler, assembler and linker of a build. */
  @Test
  void whatMakeRuns(@TempDir Path directory) throws Exception {
    assumeTrue(new ProcessBuilder("sh", "-c", "command -v make > /dev/null").start().waitFor() == 0,
        "there is no make");
    Files.writeString(directory.resolve("a.c"), "int a(void) { return 1; }\n");
    Files.writeString(directory.resolve("main.c"), "int a(void); int main(void) { return a() - 1; }\n");
    Files.writeString(directory.resolve("Makefile"),
        "t: a.o main.o\n\t@ls / > /dev/null\n\t$(CC) -o t a.o main.o\n");
    long alone = hits(counted("--all", "ls", "/"));
    JsonNode document = counted("--follow --by pid", "make", "-s", "-C", directory.toString());
    assertThat(document.get("exitStatus").intValue()).isZero();
    assertThat(directory.resolve("t")).isExecutable();
    // make; for each object file and for the program a driver and at least two tools.
    assertThat(document.get("probes").size()).isGreaterThan(9);
    assertThat(document.get("probes"))
        .allSatisfy(row -> assertThat(row.get("hits").longValue()).isPositive());
  }

  @Test
  void theProcessOfAName(@RunsFixture(value = CALLS, args = {"1", "10"}) TargetProcess target,
      @TempDir Path directory) throws Exception {
    Path program = directory.resolve("of-this-test-only");
    Files.copy(CALLS.path(), program);
    assertThat(program.toFile().setExecutable(true)).isTrue();
    String name = program.getFileName().toString();
    assertThat(Cli.run("list", "-p", name).refused()).contains("no process is called '" + name + "'");
    try (TargetProcess first = TargetProcess.start(List.of(program.toString(), "1", "10"))) {
      first.awaitLine("ready");
      assertThat(Cli.run("list", "-p", name).done().output()).contains(name);
      try (TargetProcess second = TargetProcess.start(List.of(program.toString(), "1", "11"))) {
        second.awaitLine("ready");
        assertThat(Cli.run("list", "-p", name).refused()).contains("2 processes are called '" + name + "'",
            Integer.toString(first.pid()), second.pid() + " ", name + " 1 11");
      }
    }
  }

  @Test
  void theMostHitsFirst() {
    String output = Cli.run("count", "-e", "libc.so.6:exit", "-e", "libc.so.6:malloc", "-e", "libc.so.6:fork",
        "--", "ls", "/").done().output();
    assertThat(output.lines().skip(1).toList()).satisfiesExactly(
        line -> assertThat(line).contains("libc.so.6:malloc"),
        line -> assertThat(line).contains("libc.so.6:exit"),
        line -> assertThat(line).matches(" +1  without a hit \\(--all\\)"),
        line -> assertThat(line).isEqualTo("ls exited with status 0"));
    assertThat(
        Cli.run("count", "-e", "libc.so.6:exit", "-e", "libc.so.6:malloc", "--top", "1", "--", "ls", "/")
            .done().output())
        .contains("malloc", " 1  more with hits").doesNotContain("libc.so.6:exit");
    assertThat(
        Cli.run("count", "-e", "libc.so.6:exit", "-e", "libc.so.6:fork", "--all", "--", "ls", "/").done()
            .output())
        .contains("libc.so.6:fork");
  }

  /** What is misspelt among others does not take them with it, nor does what comes later or never. */
  @Test
  void whatIsRefusedOrNotThereYet() {
    Cli cli = Cli.run("count", "-e", "libc.so.6:exit", "-e", "libc.so.6:maloc", "-e", "libnone.so:x", "--",
        "ls", "/");
    assertThat(cli.status()).isZero();
    assertThat(cli.output()).contains(" 1 ", "libc.so.6:exit");
    assertThat(cli.messages().lines().toList()).satisfiesExactlyInAnyOrder(
        line -> assertThat(line).contains("libc.so.6:maloc is not probed: ", "nearest: malloc"),
        line -> assertThat(line).contains("libnone.so:x waits until its module is loaded: "));
    Cli never = Cli.run("count", "-e", "libnone.so:x", "--", "true");
    assertThat(never.status()).isEqualTo(Xolotl.FAILED);
    assertThat(never.messages()).contains("waits", "nothing of what was to be probed has been there");
  }

  @Test
  void allOfLibcAtOnce() {
    Cli cli = Cli.run("count", "-e", "libc.so.6:*", "--json", "--", "true");
    assertThat(cli.status()).as(cli.messages()).isZero();
    assertThat(cli.json().get("exitStatus").intValue()).isZero();
    assertThat(cli.json().get("probes").size()).isGreaterThan(2000);
    assertThat(hits(cli.json())).isPositive();
  }

  /** Addresses go before locations, and locations before lines break. */
  @ParameterizedTest
  @CsvSource({"12, 100, true", "12, 75, false", "8, 50, false", "1, 1, false"})
  void aTerminal(int rows, int columns, boolean addresses) {
    Cli cli = Cli.runOn(new TerminalSize(rows, columns), "count", "-e", "libc.so.6:*", "--", "ls", "/");
    assertThat(cli.status()).isZero();
    List<String> lines = cli.output().lines().toList();
    // A launched program writes to the same terminal, so that nothing was refreshed.
    assertThat(lines).hasSize(Math.max(1, rows - 5) + 4).hasSizeLessThan(Math.max(rows, 6));
    assertThat(lines.getFirst().contains("ADDRESS")).isEqualTo(addresses);
    assertThat(lines.subList(0, lines.size() - 3)).allMatch(line -> line.length() <= columns);
    assertThat(lines.get(lines.size() - 3)).matches(" +[0-9]+  more with hits .*");
    assertThat(lines.get(lines.size() - 2)).matches(" +[0-9]+  without a hit .*");
  }
}
