package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The programs in {@code examples/}, run as their comments say: from source, in a JVM of their own. */
@Execution(ExecutionMode.CONCURRENT)
class ExamplesTest {

  private static final Path EXAMPLES = Path.of("..", "examples");

  /** What the java command of a JVM that was terminated by SIGTERM exits with. */
  private static final ExitStatus TERMINATED = new ExitStatus.Exited(128 + 15);

  @TempDir
  private Path directory;

  private static TargetProcess run(String example, Object... arguments) {
    var command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "--enable-native-access=io.xolotl.ptrace",
        "--illegal-native-access=deny",
        "-p", System.getProperty("jdk.module.path"), "--add-modules", "io.xolotl.xol",
        EXAMPLES.resolve(example + ".java").toString()));
    Arrays.stream(arguments).map(Object::toString).forEach(command::add);
    return TargetProcess.start(command);
  }

  /**
   * Waits for the end of an example that must have nothing to complain of, and for the end of what it prints.
   */
  private static List<String> outputOf(TargetProcess example, ExitStatus expected) {
    assertThat(example.exitStatus()).as(example::stderr).isEqualTo(expected);
    assertThat(example.stderr()).isEmpty();
    return wholeOutput(example);
  }

  /** What an example that has ended printed: its last lines may still be on their way. */
  private static List<String> wholeOutput(TargetProcess example) {
    assertThatThrownBy(() -> example.awaitLine(line -> false, Await.PATIENCE))
        .hasMessageStartingWith("no line");
    return example.output();
  }

  private Path compiled(String name, String source) throws Exception {
    Path file = Files.writeString(directory.resolve(name + ".c"), source);
    Path program = directory.resolve(name);
    // Without builtins, or the compiler would drop calls of malloc.
    Process gcc = new ProcessBuilder("gcc", "-O1", "-Wall", "-Werror", "-fno-builtin", "-o",
        program.toString(), file.toString()).inheritIO().start();
    assertThat(gcc.waitFor()).isZero();
    return program;
  }

  static List<Path> sources() throws Exception {
    try (Stream<Path> files = Files.list(EXAMPLES)) {
      return files.filter(file -> file.toString().endsWith(".java")).sorted().toList();
    }
  }

  @Test
  void theReadmeNamesEachOfTheFour() throws Exception {
    List<String> names = sources().stream().map(file -> file.getFileName().toString()).toList();
    assertThat(names).containsExactly("FailAllocation.java", "FixBug.java", "TimeFunction.java",
        "TraceArguments.java");
    List<String> readme = Files.readAllLines(EXAMPLES.resolve("README.md"));
    assertThat(names)
        .allSatisfy(name -> assertThat(readme).filteredOn(line -> line.contains("(" + name + ")"))
            .hasSize(1));
  }

  @ParameterizedTest
  @MethodSource("sources")
  void eachIsShortSaysHowToRunItAndCompilesWithoutWarnings(Path source) throws Exception {
    assertThat(Files.readAllLines(source)).hasSizeLessThan(80);
    assertThat(source).content().contains("""
         * java --enable-native-access=io.xolotl.ptrace -p cli/target/lib \
        --add-modules io.xolotl.xol \\
         *     examples/%s\s""".formatted(source.getFileName()));

    ToolProvider javac = ToolProvider.findFirst("javac").orElseThrow();
    var messages = new StringWriter();
    var output = new PrintWriter(messages, true);
    int status = javac.run(output, output, "-Xlint:all", "-Werror", "-p",
        System.getProperty("jdk.module.path"),
        "--add-modules", "io.xolotl.xol", "-d", directory.toString(), source.toString());
    assertThat(messages).hasToString("");
    assertThat(status).isZero();
  }

  @Test
  void tracesTheArgumentsOfEachCallUntilTheProcessEnds(
      @RunsFixture(value = FixtureProgram.CALLS, args = {"2",
          "50"}) TargetProcess target) {
    List<Integer> threads = ProcFs.threads(target.pid());
    try (TargetProcess example = run("TraceArguments", target.pid(), "calls:work")) {
      example.awaitLine("Tracing calls:work in process " + target.pid() + ".");
      target.send("go");
      target.awaitOk();
      target.send("exit");
      List<String> lines = outputOf(example, ExitStatus.SUCCESS);
      assertThat(lines.getFirst()).startsWith("Tracing");

      Pattern call = Pattern.compile("thread (\\d+): calls:work\\((0x[0-9a-f]+)(, 0x[0-9a-f]+){5}\\)");
      List<MatchResult> calls = lines.stream().skip(1).map(line -> {
        Matcher matcher = call.matcher(line);
        assertThat(matcher.matches()).as(line).isTrue();
        return matcher.toMatchResult();
      }).toList();
      // Thread t calls work(t << 32 | i).
      assertThat(calls).extracting(c -> Long.decode(c.group(2))).containsExactlyInAnyOrderElementsOf(
          LongStream.range(0, 100).mapToObj(i -> i / 50 << 32 | i % 50).toList());
      for (long team = 0; team < 2; team++) {
        long member = team;
        assertThat(calls).filteredOn(c -> Long.decode(c.group(2)) >> 32 == member)
            .extracting(c -> Integer.valueOf(c.group(1))).hasSize(50).containsOnly(
                threads.get((int) member + 1));
      }
    }
    assertThat(target.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
  }

  @Test
  void fixesAResultAsLongAsItRuns(
      @RunsFixture(FixtureProgram.ALTER) TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("add")));
    target.send("go");
    target.awaitLine("add 5");
    try (TargetProcess example = run("FixBug", target.pid(), "alter:add", "-0x2a")) {
      example.awaitLine("Fixing alter:add in process " + target.pid() + ".");
      for (int i = 0; i < 3; i++) {
        target.send("go");
        assertThat(target.awaitLine("add ")).isEqualTo("add -42");
        assertThat(target.awaitLine("skip_me ")).isEqualTo("skip_me 1");
        assertThat(target.awaitLine("message ")).isEqualTo("message hello");
      }
      example.signal("TERM");
      String fixed = "thread " + target.pid() + ": alter:add(2, ...) returned 5, made -42";
      assertThat(outputOf(example, TERMINATED).stream().skip(1)).containsExactly(fixed, fixed, fixed);
    }
    target.send("go");
    assertThat(target.awaitLine("add ")).isEqualTo("add 5");
    before.assertNoTrace();
  }

  /** Each allocation has a size of its own, so that the size tells which one failed. */
  private static final String ALLOCATES = """
      #include <stdio.h>
      #include <stdlib.h>
      int main(void) {
        int failures = 0;
        long last = 0;
        for (long i = 1; i <= 200; i++) {
          if (!malloc(10000 + i)) {
            failures++;
            last = 10000 + i;
          }
        }
        printf("failed %d last %ld\\n", failures, last);
        return failures == 1 ? 7 : 8;
      }
      """;

  private static final Pattern FAILED = Pattern.compile(
      "Call (\\d+), malloc\\((\\d+)\\) called from allocates:main\\+0x[0-9a-f]+ in thread \\d+ returned 0\\.\n"
          + "The command exited with status 7\\.\n");

  private static long failedSize(TargetProcess example, long number) {
    String printed = example.awaitLine("failed 1 last ");
    assertThat(example.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
    Matcher report = FAILED.matcher(example.stderr());
    assertThat(report.matches()).as(example.stderr()).isTrue();
    assertThat(report.group(1)).isEqualTo(Long.toString(number));
    assertThat(printed).isEqualTo("failed 1 last " + report.group(2));
    return Long.parseLong(report.group(2));
  }

  @Test
  void failsTheCallOfMallocThatIsAskedForAndNoOther() throws Exception {
    Path program = compiled("allocates", ALLOCATES);
    try (TargetProcess hundredth = run("FailAllocation", "--", program);
        TargetProcess other = run("FailAllocation", "150", "--", program)) {
      // The libraries may have allocated before main; as much each time.
      long size = failedSize(hundredth, 100);
      assertThat(size).isBetween(10_050L, 10_100L);
      assertThat(failedSize(other, 150)).isEqualTo(size + 50);
    }
  }

  @Test
  void letsACommandAloneThatAllocatesLess() throws Exception {
    Path program = compiled("allocates", ALLOCATES);
    try (TargetProcess example = run("FailAllocation", "1000000", "--", program)) {
      example.awaitLine("failed 0 last 0");
      assertThat(example.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
      Matcher report = Pattern.compile("There were only (\\d+) calls of malloc; all went on as usual\\.\n"
          + "The command exited with status 8\\.\n").matcher(example.stderr());
      assertThat(report.matches()).as(example.stderr()).isTrue();
      assertThat(Long.parseLong(report.group(1))).isBetween(200L, 250L);
    }
  }

  /** A program that does not check what malloc returns. */
  @Test
  void tellsThatTheCommandWasKilled() throws Exception {
    Path program = compiled("careless", """
        #include <stdlib.h>
        int main(void) {
          for (int i = 0; i < 200; i++) *(volatile char *)malloc(1 + i) = 1;
          return 0;
        }
        """);
    try (TargetProcess example = run("FailAllocation", "--", program)) {
      assertThat(example.exitStatus()).as(example::stderr).isEqualTo(ExitStatus.SUCCESS);
      assertThat(example.stderr()).startsWith("Call 100, malloc(")
          .endsWith(" returned 0.\nThe command was killed by signal 11.\n");
    }
  }

  /** Sleeps at least as long as it is told, which shows in the times. */
  private static final String NAPS = """
      #include <stdio.h>
      #include <string.h>
      #include <time.h>
      __attribute__((noipa)) int nap(long milliseconds) {
        struct timespec time = {0, milliseconds * 1000000};
        return nanosleep(&time, 0);
      }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        while (puts("ready"), fgets(line, sizeof line, stdin)) {
          if (!strcmp(line, "exit\\n")) return 0;
          int failures = 0;
          for (long i = 1; i <= 3; i++) failures -= nap(i == 3 ? 300 : 20);
          printf("failures %d\\n", failures);
        }
      }
      """;

  private static void assertTimesOfNaps(List<String> output, int calls) {
    assertThat(output).hasSize(2);
    Matcher report = Pattern
        .compile("(\\d+) calls: mean ([0-9.]+) us, median ([0-9.]+) us, maximum ([0-9.]+) us")
        .matcher(output.getLast());
    assertThat(report.matches()).as(output.getLast()).isTrue();
    assertThat(report.group(1)).isEqualTo(Integer.toString(calls));
    double mean = Double.parseDouble(report.group(2));
    double median = Double.parseDouble(report.group(3));
    double maximum = Double.parseDouble(report.group(4));
    assertThat(median).isGreaterThanOrEqualTo(20_000).isLessThan(maximum);
    assertThat(mean).isBetween((20_000.0 + 20_000 + 300_000) / 3, maximum);
    assertThat(maximum).isBetween(300_000.0, Await.PATIENCE.toNanos() / 1e3);
  }

  @Test
  void timesAsManyCallsAsAreAskedForAndLeaves() throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(compiled("naps", NAPS).toString()));
        TargetProcess example = run("TimeFunction", target.pid(), "naps:nap", "6")) {
      target.awaitLine("ready");
      example.awaitLine("Timing naps:nap in process " + target.pid() + ".");
      for (int i = 0; i < 2; i++) {
        target.send("go");
        assertThat(target.awaitLine("failures ")).isEqualTo("failures 0");
      }
      assertTimesOfNaps(outputOf(example, ExitStatus.SUCCESS), 6);
      Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
      target.send("go");
      assertThat(target.awaitLine("failures ")).isEqualTo("failures 0");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void timesWhatThereIsWhenTheProcessOrTheExampleEndsBefore(boolean process) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(compiled("naps", NAPS).toString()));
        TargetProcess example = run("TimeFunction", target.pid(), "naps:nap")) {
      target.awaitLine("ready");
      example.awaitLine("Timing naps:nap");
      target.send("go");
      assertThat(target.awaitLine("failures ")).isEqualTo("failures 0");
      if (process) {
        target.send("exit");
        assertThat(target.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
      } else {
        example.signal("TERM");
      }
      assertTimesOfNaps(outputOf(example, process ? ExitStatus.SUCCESS : TERMINATED), 3);
    }
  }

  @Test
  void saysThatNoCallHasReturned(
      @RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    try (TargetProcess example = run("TimeFunction", target.pid(), "libc.so.6:malloc")) {
      example.awaitLine("Timing");
      target.send("exit");
      assertThat(outputOf(example, ExitStatus.SUCCESS)).last().isEqualTo("No call has returned.");
    }
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|',
      textBlock = """
          TraceArguments | PID alter:nothing    | alter has no function 'nothing'
          FixBug         | PID nowhere:add 1    | 'nowhere'
          TimeFunction   | PID add              | 'add' is neither MODULE:SYMBOL[+OFFSET], MODULE+0xADDRESS nor 0xADDRESS
          FailAllocation | -- /nowhere/program  | /nowhere/program
          """)
  void refusesInASentence(String example, String arguments, String sentence,
      @RunsFixture(FixtureProgram.ALTER) TargetProcess target)
      throws Exception {
    String pid = Integer.toString(target.pid());
    try (TargetProcess refused = run(example, (Object[]) arguments.replace("PID", pid).split(" "))) {
      assertThat(refused.exitStatus()).isEqualTo(new ExitStatus.Exited(1));
      assertThat(wholeOutput(refused)).isEmpty();
      assertThat(refused.stderr()).contains(sentence).doesNotContain("Exception").hasLineCount(1);
    }
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
    target.send("go");
    assertThat(target.awaitLine("add ")).isEqualTo("add 5");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', textBlock = """
      TraceArguments | someone alter:add    | Usage: TraceArguments PID MODULE:FUNCTION
      FixBug         | 1 alter:add much     | Usage: FixBug PID MODULE:FUNCTION VALUE
      TimeFunction   | 1 alter:add 0        | Usage: TimeFunction PID MODULE:FUNCTION [CALLS]
      FailAllocation | 100 --               | Usage: FailAllocation [NUMBER] -- COMMAND [ARGUMENT...]
      """)
  void saysHowToUseIt(String example, String arguments, String usage) {
    try (TargetProcess refused = run(example, (Object[]) arguments.split(" "))) {
      assertThat(refused.exitStatus()).isEqualTo(new ExitStatus.Exited(2));
      assertThat(wholeOutput(refused)).isEmpty();
      assertThat(refused.stderr()).isEqualTo(usage + "\n");
    }
  }
}
