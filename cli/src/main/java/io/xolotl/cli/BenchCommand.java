package io.xolotl.cli;

import io.xolotl.bench.HitChart;
import io.xolotl.bench.HitExperiment;
import io.xolotl.bench.HitReport;
import io.xolotl.bench.HitRow;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Measures what a hit costs. */
@Command(name = "bench", mixinStandardHelpOptions = true, sortOptions = false,
    header = "Measures what a hit costs on this machine.",
    description = "Measures it beside the kernel's uprobes and a tracer in C.",
    customSynopsis = "xolotl bench [--iterations N] [--json] [--chart FILE.svg]",
    footer = {"",
        "A program executes one instruction N times without a probe, with a handler in interrupt "
            + "context, and with one in task context, for each kind of instruction and each technique. The "
            + "kernel's uprobe, if this user may use it, and a minimal tracer in C that makes the same stops "
            + "are measured with the same instruction in the same rounds. Run nothing else on the machine "
            + "meanwhile. Ctrl-C or SIGTERM ends the command, which then prints the results that are "
            + "complete."})
final class BenchCommand implements Callable<Integer> {

  /** Without a probe fewer take hardly longer than it takes to read the clock. */
  private static final long LEAST_ITERATIONS = 1_000;

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli's
  private CommandSpec command;

  @Option(names = "--iterations", paramLabel = "N", converter = IterationsConverter.class,
      defaultValue = "100000",
      description = "How often the instruction is executed for each result, at least 1000 (default: 100000).")
  private long iterations;

  @Option(names = "--json",
      description = "Print one JSON document.")
  private boolean json;

  @Option(names = "--chart", paramLabel = "FILE.svg",
      description = "Also draw the results into this file.")
  private @Nullable Path chart;

  @Override
  public Integer call() throws IOException {
    xolotl.refuseLaunch(command);
    Shell shell = xolotl.shell();
    // Not after minutes of measuring.
    try (FileChannel file = chart == null ? null : open(chart)) {
      HitReport report = measure(shell, iterations);
      shell.print(out -> {
        if (json) {
          HitReportFormat.writeJson(report, out);
        } else {
          HitReportFormat.write(report, out);
        }
      });
      if (file != null) {
        draw(report, file);
      }
    }
    return Xolotl.DONE;
  }

  private static FileChannel open(Path chart) {
    try {
      return FileChannel.open(chart, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException | UnsupportedOperationException e) {
      throw new Failure("the chart cannot be written: " + chart + ": " + reason(e));
    }
  }

  private void draw(HitReport report, FileChannel file) {
    var text = new StringWriter();
    try {
      HitChart.write(report, text);
      ByteBuffer bytes = StandardCharsets.UTF_8.encode(text.toString());
      file.truncate(0);
      while (bytes.hasRemaining()) {
        file.write(bytes);
      }
    } catch (IOException e) {
      throw new Failure("the chart cannot be written: " + chart + ": " + reason(e));
    }
  }

  /**
   * Exceptions of files have the file as their message, and what is wrong in another place or in their type.
   */
  private static String reason(Exception e) {
    return switch (e) {
      case NoSuchFileException _ -> "there is no such directory";
      case AccessDeniedException _ -> "permission denied";
      case FileSystemException f when f.getReason() != null -> f.getReason();
      default -> String.valueOf(e.getMessage());
    };
  }

  /**
   * Measures until all is measured or the command is interrupted.
   *
   * @param iterations how often the instruction is executed for each result, at least once
   */
  static HitReport measure(Shell shell, long iterations) {
    try (HitExperiment experiment = HitExperiment.start(iterations)) {
      // A measurement may take a minute; without its program it ends at once.
      shell.interruption().requested().thenRun(experiment::abandon);
      var rows = new ArrayList<HitRow>();
      Optional<HitExperiment.Gdb> gdb = Optional.empty();
      try {
        gdb = measure(shell, experiment, rows);
      } catch (RuntimeException | AssertionError e) {
        if (!isInterrupted(shell)) {
          throw e;
        }
        // It was about a measurement that is left out; those before it are good.
      }
      return new HitReport(machine(), experiment.rounds(), experiment.hitsPerRound(), rows, gdb);
    } catch (AssertionError e) {
      // The programs that take part tell so what keeps them from it.
      throw new Failure(String.valueOf(e.getMessage()));
    }
  }

  private static Optional<HitExperiment.Gdb> measure(Shell shell, HitExperiment experiment,
      List<HitRow> rows) {
    experiment.kernelUnavailable()
        .ifPresent(reason -> shell.say("the kernel's uprobes are not measured: " + reason));
    List<HitExperiment.Subject> subjects = experiment.subjects();
    shell.say("warming up");
    experiment.warmUp(subjects);
    String kind = "";
    for (HitExperiment.Subject subject : subjects) {
      shell.say("%d of %d: %s".formatted(subjects.indexOf(subject) + 1, subjects.size(), subject));
      if (!subject.kind().equals(kind)) {
        kind = subject.kind();
        rows.add(experiment.unprobed(kind));
      }
      rows.addAll(experiment.measure(subject));
    }
    shell.say("a breakpoint of gdb");
    return experiment.gdb(subjects);
  }

  private static boolean isInterrupted(Shell shell) {
    return shell.interruption().isRequested();
  }

  private static String machine() {
    return "%s, %d CPUs, Linux %s".formatted(cpu(), Runtime.getRuntime().availableProcessors(),
        System.getProperty("os.version"));
  }

  private static String cpu() {
    try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines.filter(line -> line.startsWith("model name")).findFirst()
          .map(line -> line.substring(line.indexOf(':') + 1).strip()).orElse("unknown CPU");
    } catch (IOException e) {
      return "unknown CPU";
    }
  }

  static final class IterationsConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return Names.parseNumber(value, LEAST_ITERATIONS, 1_000_000_000);
    }
  }
}
