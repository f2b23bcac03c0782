package io.xolotl.cli;

import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.xol.ProbeHandler;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbingOptions;
import io.xolotl.xol.Registration;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Shows probes at work. */
@Command(name = "demo", mixinStandardHelpOptions = true,
    header = "Probes a sort at work and checks that it sorted right.",
    customSynopsis = "xolotl demo",
    description = "Counts what sort(1) calls in libc, shows what the handlers see, and checks that the "
        + "program's results are right all the same. Takes some seconds.",
    footerHeading = Xolotl.EXAMPLES, footer = "  xolotl demo")
final class DemoCommand implements Callable<Integer> {

  /** Enough for sort(1) to use several threads. */
  private static final int LINES = 300_000;
  private static final String COPY = "memcpy";
  private static final List<String> FUNCTIONS = List.of("malloc", "free", "read", "write", "strlen", COPY,
      "pthread_create", "pthread_mutex_lock", "pthread_cond_wait");
  private static final Duration TICK = Duration.ofSeconds(1);

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli's
  private CommandSpec command;

  /** What the handlers see. They run in interrupt context, one at a time; read when none runs any more. */
  private static final class Seen {
    long bytesCopied;
    final Set<Integer> threads = new HashSet<>();
  }

  @Override
  public Integer call() throws IOException {
    xolotl.refuseLaunch(command);
    Path directory = Files.createTempDirectory("xolotl-demo");
    Path unsorted = directory.resolve("unsorted");
    Path sorted = directory.resolve("sorted");
    try {
      run(unsorted, sorted);
    } finally {
      Files.deleteIfExists(unsorted);
      Files.deleteIfExists(sorted);
      Files.delete(directory);
    }
    return Xolotl.DONE;
  }

  private void run(Path unsorted, Path sorted) throws IOException {
    Shell shell = xolotl.shell();
    String[] lines = randomLines();
    Files.write(unsorted, Arrays.asList(lines));
    shell.print(out -> out.write(String.format(Locale.ROOT,
        """
            sort(1) sorts %,d lines with several threads. Breakpoints are inserted in some functions of
            libc. A thread that hits one is stopped, a Java handler reads its arguments, the instruction
            under the breakpoint is executed elsewhere, and the thread runs on.

            """,
        LINES)));
    var sort = List.of("sort", "--parallel=4", "--buffer-size=64M", "--output=" + sorted,
        unsorted.toString());
    var environment = new HashMap<>(System.getenv());
    environment.put("LC_ALL", "C");
    environment.put("TMPDIR", String.valueOf(sorted.getParent()));
    var seen = new Seen();
    ProbeHandler handler = hit -> {
      seen.threads.add(hit.threadId());
      if (hit.probe().location().toString().endsWith(COPY)) {
        seen.bytesCopied += hit.registers().argument(2);
      }
    };
    Session session = Session.launch(LaunchRequest.of(sort).withEnvironment(environment),
        ProbingOptions.defaults());
    CountTable table;
    try (session) {
      // Another libc may have some of these functions only, or others that cannot be found before they are
      // called.
      Registration registration = session.process().registerPossible(FUNCTIONS.stream()
          .map(function -> ProbeRequest.at("libc.so.6", function, handler).whenItIsMapped()).toList());
      if (registration.probes().isEmpty()) {
        throw new Failure("sort has no libc.so.6 with functions to probe: "
            + registration.refused().getFirst().why().getMessage());
      }
      var rows = new ProbeRows(false);
      registration.probes().forEach(probe -> rows.add(probe, List.of()));
      table = new CountTable(rows, new CountTable.Choice(false, Integer.MAX_VALUE), false);
      session.run(null, TICK, () -> {
        // Only the end matters.
      }, shell.interruption());
      session.end();
    }
    shell.print(out -> table.write(out, Optional.empty()));
    if (shell.interruption().isRequested() && session.exitStatus().orElse(-1) != 0) {
      shell.say("the demo was interrupted before sort had finished");
      return;
    }
    check(session, sorted, lines);
    shell.print(out -> out.write(String.format(Locale.ROOT, """

        The handlers saw %d threads, and %,d bytes copied by %s.
        The output of sort is right, line by line, although %,d of its calls were intercepted.
        """, seen.threads.size(), seen.bytesCopied, COPY,
        table.rows().all().stream().mapToLong(ProbeRows.Row::hits).sum())));
  }

  private static String[] randomLines() {
    var random = new SplittableRandom(1);
    var lines = new String[LINES];
    Arrays.setAll(lines, _ -> HexFormat.of().toHexDigits(random.nextLong()));
    return lines;
  }

  private static void check(Session session, Path sorted, String[] lines) throws IOException {
    if (session.exitStatus().orElse(-1) != 0) {
      throw new Failure("the demo did not finish: " + session.epilogue());
    }
    Arrays.sort(lines);
    if (!Files.readAllLines(sorted).equals(Arrays.asList(lines))) {
      throw new Failure("sort's output is wrong, so probing changed what it does; please report this");
    }
  }
}
