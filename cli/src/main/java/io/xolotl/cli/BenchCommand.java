package io.xolotl.cli;

import io.xolotl.bench.Environment;
import io.xolotl.bench.HitChart;
import io.xolotl.bench.HitComparison;
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
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** Measures what a hit costs. */
@Command(name = "bench", mixinStandardHelpOptions = true, sortOptions = false,
    header = "Measures what a hit costs on this machine.",
    description = "A program executes one instruction N times without a probe, with a handler in interrupt "
        + "context, and with one in task context, for each kind of instruction and each technique. The "
        + "kernel's uprobe, if this user may use it, and a minimal tracer in C that makes the same stops "
        + "are measured with the same instruction in the same rounds. Run nothing else on the machine "
        + "meanwhile. Ctrl-C or SIGTERM ends the command, which then prints the results that are "
        + "complete. docs/performance.md has the document, and what --baseline calls significant.",
    customSynopsis = {
        "xolotl bench [--iterations N] [--only PATTERN]... [--json | --csv]",
        "                    [--baseline FILE.json] [--chart FILE.svg]"},
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl bench --json                         # to keep, and to compare with",
        "  xolotl bench --baseline before.json         # what has changed since",
        "  xolotl bench --only mov --only 'nop*/task'  # mov, and nops in task context",
        "  xolotl bench --only none --only kernel      # no probe, and the kernel's",
        "  xolotl bench --csv                          # for a spreadsheet"})
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

  @Option(names = "--only", paramLabel = "PATTERN",
      description = "Measure only what PATTERN matches: an instruction, technique, context or tracer, in "
          + "which * and ? stand for any characters, or several of these joined by /, which must all match. "
          + "May be repeated, for what any of them matches.")
  private List<String> only = new ArrayList<>();

  @Option(names = "--json",
      description = "Print one JSON document.")
  private boolean json;

  @Option(names = "--csv",
      description = "Print comma-separated values.")
  private boolean csv;

  @Option(names = "--baseline", paramLabel = "FILE.json",
      description = "Also say what has changed significantly since the run that has printed this document. "
          + "The exit status does not depend on it.")
  private @Nullable Path baseline;

  @Option(names = "--chart", paramLabel = "FILE.svg",
      description = "Also draw the results into this file.")
  private @Nullable Path chart;

  @Override
  public Integer call() throws IOException {
    xolotl.refuseLaunch(command);
    if (json && csv) {
      throw new ParameterException(command.commandLine(), "Give --json or --csv, not both");
    }
    Shell shell = xolotl.shell();
    // Both files not after minutes of measuring.
    HitReport before = baseline == null ? null : read(baseline);
    try (FileChannel file = chart == null ? null : open(chart)) {
      HitReport report = measure(shell, iterations, new Only(only));
      HitComparison comparison = before == null ? null : HitComparison.of(report, before);
      if (csv && comparison != null) {
        HitReportFormat.remarks(comparison).forEach(shell::say);
      }
      shell.print(out -> {
        if (json) {
          HitReportFormat.writeJson(report, comparison, out);
        } else if (csv) {
          HitCsv.write(report, comparison, out);
        } else {
          HitReportFormat.write(report, comparison, out);
        }
      });
      if (file != null) {
        draw(report, file);
      }
    }
    return Xolotl.DONE;
  }

  private static HitReport read(Path baseline) {
    try {
      return BaselineFile.read(baseline);
    } catch (IOException e) {
      throw new Failure("the baseline cannot be read: " + baseline + ": " + reason(e));
    }
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
   * @param only what is wanted
   */
  static HitReport measure(Shell shell, long iterations, Only only) {
    // Before anything of this makes a load itself.
    Environment environment = Environment.read(Xolotl.version().orElse("unknown"));
    try (HitExperiment experiment = HitExperiment.start(iterations, only)) {
      // A measurement may take a minute; without its program it ends at once.
      shell.interruption().requested().thenRun(experiment::abandon);
      var rows = new ArrayList<HitRow>();
      Optional<HitExperiment.Gdb> gdb = Optional.empty();
      try {
        gdb = measure(shell, experiment, only, rows);
      } catch (RuntimeException | AssertionError e) {
        if (!isInterrupted(shell)) {
          throw e;
        }
        // It was about a measurement that is left out; those before it are good.
      }
      return new HitReport(environment, experiment.rounds(), experiment.hitsPerRound(), rows, gdb);
    } catch (AssertionError e) {
      // The programs that take part tell so what keeps them from it.
      throw new Failure(String.valueOf(e.getMessage()));
    }
  }

  private static Optional<HitExperiment.Gdb> measure(Shell shell, HitExperiment experiment, Only only,
      List<HitRow> rows) {
    experiment.kernelUnavailable()
        .ifPresent(reason -> shell.say("the kernel's uprobes are not measured: " + reason));
    List<HitExperiment.Subject> subjects = experiment.subjects();
    only.requireMatches(experiment.measurements(subjects));
    List<HitExperiment.Subject> wanted = subjects.stream().filter(experiment::wants).toList();
    shell.say("warming up");
    experiment.warmUp(wanted);
    String kind = "";
    for (HitExperiment.Subject subject : subjects) {
      if (!subject.kind().equals(kind)) {
        kind = subject.kind();
        if (experiment.wantsUnprobed(kind)) {
          rows.add(experiment.unprobed(kind));
        }
      }
      if (wanted.contains(subject)) {
        shell.say("%d of %d: %s".formatted(wanted.indexOf(subject) + 1, wanted.size(), subject));
        rows.addAll(experiment.measure(subject));
      }
    }
    if (!experiment.wantsGdb()) {
      return Optional.empty();
    }
    shell.say("a breakpoint of gdb");
    Optional<HitExperiment.Gdb> gdb = experiment.gdb(subjects);
    if (gdb.isEmpty()) {
      shell.say("gdb is not measured: there is none");
    }
    return gdb;
  }

  private static boolean isInterrupted(Shell shell) {
    return shell.interruption().isRequested();
  }

  static final class IterationsConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return Names.parseNumber(value, LEAST_ITERATIONS, 1_000_000_000);
    }
  }
}
