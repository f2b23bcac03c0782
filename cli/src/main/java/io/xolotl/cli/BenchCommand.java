package io.xolotl.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
import picocli.CommandLine.TypeConversionException;

/** Measures what a hit costs. */
@Command(name = "bench", mixinStandardHelpOptions = true, sortOptions = false, description = "Measures what a hit costs on this machine, beside the kernel's uprobes and a tracer in C.", customSynopsis = "xolotl bench [--iterations N] [--json] [--chart FILE.svg]", footer = {
    "",
    "A program executes one instruction N times: without a probe, with a handler in interrupt context, and in",
    "task context; for each kind of instruction and each technique. With the same instruction, in the same rounds,",
    "the kernel's uprobe is measured, where this user may have it, and a minimal tracer in C that makes the same",
    "stops. Leave the machine alone meanwhile."})
final class BenchCommand implements Callable<Integer> {

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli's
  private CommandSpec command;

  @Option(names = "--iterations", paramLabel = "N", converter = IterationsConverter.class, defaultValue = "100000", description = "How often the instruction is executed for each result (default: 100000).")
  private long iterations;

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  @Option(names = "--chart", paramLabel = "FILE.svg", description = "Also draw the results into this file.")
  private @Nullable Path chart;

  @Override
  public Integer call() throws IOException {
    xolotl.refuseLaunch(command);
    Shell shell = xolotl.shell();
    if (chart != null && !Files.isWritable(chart.toAbsolutePath().getParent())) {
      // Not after minutes of measuring.
      throw new Failure(
          "the chart cannot be written: " + chart + " is in no directory that you may write to");
    }
    try (var _ = shell.interruption().hold()) {
      HitReport report = measure(shell);
      shell.print(out -> {
        if (json) {
          report.writeJson(out);
        } else {
          report.write(out);
        }
      });
      if (chart != null) {
        try (var out = Files.newBufferedWriter(chart)) {
          HitChart.write(report, out);
        }
      }
    }
    return Xolotl.DONE;
  }

  private HitReport measure(Shell shell) {
    try (HitExperiment experiment = HitExperiment.start(iterations)) {
      experiment.kernelUnavailable()
          .ifPresent(reason -> shell.say("no comparison with the kernel's uprobes: " + reason));
      List<HitExperiment.Subject> subjects = experiment.subjects();
      shell.say("warming up");
      experiment.warmUp(subjects);
      var rows = new ArrayList<HitRow>();
      String kind = "";
      for (HitExperiment.Subject subject : subjects) {
        if (isInterrupted(shell)) {
          break;
        }
        shell.say("%d of %d: %s".formatted(subjects.indexOf(subject) + 1, subjects.size(), subject));
        if (!subject.kind().equals(kind)) {
          kind = subject.kind();
          rows.add(experiment.unprobed(kind));
        }
        rows.addAll(experiment.measure(subject));
      }
      Optional<HitExperiment.Gdb> gdb = Optional.empty();
      if (!isInterrupted(shell)) {
        shell.say("a breakpoint of gdb");
        gdb = experiment.gdb(subjects);
      }
      return new HitReport(machine(), experiment.rounds(), experiment.hitsPerRound(), rows, gdb);
    } catch (AssertionError e) {
      // The programs that take part tell so what keeps them from it.
      throw new Failure(String.valueOf(e.getMessage()));
    }
  }

  private static boolean isInterrupted(Shell shell) {
    return shell.interruption().requested().isDone();
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
      try {
        long iterations = Long.parseLong(value);
        if (iterations >= 1 && iterations <= 1_000_000_000) {
          return iterations;
        }
      } catch (NumberFormatException e) {
        // Said below.
      }
      throw new TypeConversionException("'" + value + "' is no number from 1 to 1000000000");
    }
  }
}
