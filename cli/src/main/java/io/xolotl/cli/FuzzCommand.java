package io.xolotl.cli;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.fuzzing.Finding;
import io.xolotl.lab.fuzzing.FuzzReport;
import io.xolotl.lab.fuzzing.FuzzReport.Tally;
import io.xolotl.lab.fuzzing.Fuzzer;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.Difference;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Oracle;
import java.io.IOException;
import java.io.Writer;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Compares instructions that are executed in place and displaced. */
@Command(name = "fuzz", mixinStandardHelpOptions = true, sortOptions = false,
    header = "Compares random instructions, probed and not.",
    customSynopsis = {
        "xolotl fuzz [--seconds N | --cases N] [--seed S] [OPTIONS]",
        "       xolotl fuzz --case TOKEN [--technique T]... [--json]"},
    description = {
        "Executes random instructions in their place and displaced, by each technique, and shows what "
            + "differs.",
        "",
        "Ends after --seconds or --cases, or by Ctrl-C or SIGTERM, and then prints its table. The exit "
            + "status is 1 if anything differs; each difference is shown with the simplest case that has it "
            + "and a command that repeats it."},
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl fuzz --seconds 60",
        "  xolotl fuzz --cases 100000 --seed 42                # the same cases each time",
        "  xolotl fuzz --mnemonic push --technique single-stepped"})
final class FuzzCommand implements Callable<Integer> {
  private static final int SECONDS = 10;
  private static final int LONGEST_SEQUENCE = 4;
  private static final Duration REFRESH = Duration.ofMillis(500);
  private static final Duration REFRESH_OF_LOG = Duration.ofSeconds(10);
  private static final String ERASE_LINE = "\r\u001b[K";

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli's
  private CommandSpec command;

  @Option(names = "--seconds", paramLabel = "N", converter = AmountConverter.class,
      description = "End after this time (default: 10).")
  private @Nullable Long seconds;

  @Option(names = "--cases", paramLabel = "N", converter = AmountConverter.class,
      description = "End after this many cases.")
  private @Nullable Long cases;

  @Option(names = "--seed", paramLabel = "S", converter = SeedConverter.class,
      description = "A number from which all cases follow (default: another one each time).")
  private @Nullable Long seed;

  @Option(names = "--mnemonic", paramLabel = "M",
      description = "Draw this instruction only; may be repeated.")
  private List<String> mnemonics = List.of();

  @Option(names = "--technique", paramLabel = "T", converter = ProbeOptions.TechniqueConverter.class,
      description = "Displace by this technique only; may be repeated (default: by each that applies).")
  private List<Technique> techniques = List.of(Technique.values());

  @Option(names = "--case", paramLabel = "TOKEN", converter = CaseConverter.class,
      description = "Execute only this case; a difference is shown with the TOKEN of its case.")
  private @Nullable Case repeated;

  @Option(names = "--json",
      description = "Print one JSON document.")
  private boolean json;

  private long shown;

  @Override
  public Integer call() throws IOException {
    xolotl.refuseLaunch(command);
    if (seconds != null && cases != null) {
      throw new ParameterException(command.commandLine(), "Give either --seconds or --cases");
    }
    if (repeated != null && (seconds != null || cases != null || seed != null || !mnemonics.isEmpty())) {
      throw new ParameterException(command.commandLine(),
          "--case can be combined only with --technique and --json");
    }
    Shell shell = xolotl.shell();
    try (Oracle oracle = Oracle.start()) {
      // A batch may take long on a busy machine; what has been compared before is good.
      shell.interruption().requested().thenRun(oracle::abandon);
      return repeated != null ? repeat(shell, oracle, repeated) : fuzz(shell, oracle);
    } catch (AssertionError e) {
      // The program that takes part tells so what keeps it from it.
      throw new Failure(String.valueOf(e.getMessage()));
    }
  }

  private Map<String, Displacer> displacers() {
    var displacers = new LinkedHashMap<String, Displacer>();
    techniques.forEach(technique -> displacers.put(Names.of(technique), new ProbeDisplacer(technique)));
    return displacers;
  }

  private int fuzz(Shell shell, Oracle oracle) throws IOException {
    long chosen = seed != null ? seed : new SecureRandom().nextLong() >>> 1;
    Duration limit = cases != null
        ? Duration.ofNanos(Long.MAX_VALUE)
        : Duration.ofSeconds(seconds == null ? SECONDS : seconds);
    InstructionGenerator instructions = instructions(shell.interruption());
    FuzzReport report = instructions == null
        ? new FuzzReport(chosen, 0, 0, 0, 0, 0, new TreeMap<>(), List.of(), Duration.ZERO)
        : new Fuzzer(oracle, new CaseGenerator(instructions, LONGEST_SEQUENCE), displacers(), chosen)
            .run(cases == null ? Long.MAX_VALUE : cases, progress -> {
              show(shell, progress);
              return progress.elapsed().compareTo(limit) < 0 && !shell.interruption().isRequested();
            });
    endProgress(shell);
    shell.print(out -> {
      if (json) {
        writeJson(out, report);
      } else {
        write(out, report);
      }
    });
    return report.findings().isEmpty() ? Xolotl.DONE : Xolotl.FAILED;
  }

  /**
   * What is drawn; null if the command is interrupted before that is known: all instructions take seconds to
   * find.
   */
  private @Nullable InstructionGenerator instructions(Interruption interruption) {
    CompletableFuture<InstructionGenerator> found = CompletableFuture.supplyAsync(
        () -> mnemonics.isEmpty() ? InstructionGenerator.ofAll() : InstructionGenerator.of(mnemonics));
    try {
      CompletableFuture.anyOf(found, interruption.requested()).join();
      return found.getNow(null);
    } catch (CompletionException e) {
      if (e.getCause() instanceof IllegalArgumentException cause) {
        throw new ParameterException(command.commandLine(), String.valueOf(cause.getMessage()), cause);
      }
      throw e;
    }
  }

  private void show(Shell shell, FuzzReport report) {
    boolean terminal = shell.terminal().get().isPresent();
    if (report.elapsed().toNanos() - shown < (terminal ? REFRESH : REFRESH_OF_LOG).toNanos()) {
      return;
    }
    shown = report.elapsed().toNanos();
    String progress = String.format(Locale.ROOT,
        "%,d cases, %,d executed displaced (%,.0f per second), %,d mnemonics, %,d differences",
        report.cases(),
        report.executed(), perSecond(report.executed(), report), report.mnemonics(), report.differences());
    if (terminal) {
      shell.messages().print(ERASE_LINE + progress);
      shell.messages().flush();
    } else {
      shell.say(progress);
    }
  }

  private void endProgress(Shell shell) {
    if (shown > 0 && shell.terminal().get().isPresent()) {
      shell.messages().print(ERASE_LINE);
      shell.messages().flush();
    }
  }

  private static double perSecond(long count, FuzzReport report) {
    return count / Math.max(report.elapsed().toNanos() / 1e9, 1e-3);
  }

  private static void write(Writer out, FuzzReport report) throws IOException {
    for (Finding finding : report.findings()) {
      out.write(finding + "\n");
      out.write('\n');
    }
    row(out, "CLASS", "CASES", "EXECUTED", "REFUSED", "DIFFERENCES");
    for (Map.Entry<String, Tally> entry : report.classes().entrySet()) {
      Tally tally = entry.getValue();
      row(out, entry.getKey(), tally.cases(), tally.executed(), tally.refused(), tally.differences());
    }
    row(out, "all", report.cases(), report.executed(), report.refused(), report.differences());
    out.write(
        String.format(Locale.ROOT, "%n%d mnemonics, %.0f executions per second, seed %d%n",
            report.mnemonics(),
            perSecond(report.executed(), report), report.seed()));
  }

  private static void row(Writer out, Object name, Object cases, Object executed, Object refused,
      Object differences)
      throws IOException {
    out.write(String.format(Locale.ROOT, "%-18s %10s %10s %10s %12s%n", name, cases, executed, refused,
        differences));
  }

  private static void writeJson(Writer out, FuzzReport report) throws IOException {
    var document = new JsonWriter(out).beginObject().name("cases").value(report.cases()).name("executed")
        .value(report.executed()).name("refused").value(report.refused()).name("mnemonics")
        .value(report.mnemonics())
        .name("differences").beginArray();
    for (Finding finding : report.findings()) {
      writeJson(document, finding);
    }
    document.endArray().name("seed").value(report.seed()).endObject();
    out.write('\n');
  }

  private static void writeJson(JsonWriter document, Finding finding) throws IOException {
    Comparison.Different different = finding.comparison();
    Case subject = different.subject();
    document.beginObject().name("technique").value(finding.technique()).name("mnemonic")
        .value(finding.mnemonic()).name("address")
        .value(Names.hex(subject.address())).name("bytes").value(HexFormat.of().formatHex(subject.code()))
        .name("text")
        .value(subject.text()).name("state").value(subject.state().toString()).name("count")
        .value(finding.count())
        .name("inPlace").value(different.inPlace().toString()).name("differences").beginArray();
    for (Difference difference : different.differences()) {
      document.beginObject().name("what").value(difference.what()).name("inPlace").value(difference.inPlace())
          .name("displaced").value(difference.displaced()).endObject();
    }
    document.endArray().name("repeat").value(finding.repetition()).endObject();
  }

  /** One case, by each technique. */
  private int repeat(Shell shell, Oracle oracle, Case subject) throws IOException {
    var differences = new LinkedHashMap<String, Comparison.Different>();
    var results = new LinkedHashMap<String, String>();
    try {
      displacers().forEach((technique, displacer) -> {
        switch (oracle.compare(List.of(subject), displacer).getFirst()) {
          case Comparison.Same same -> results.put(technique, "the same: " + same.result());
          case Comparison.NotDisplaced(_, var refusal) ->
            results.put(technique, "not displaced: " + refusal.reason());
          case Comparison.Unrepeatable(_, var endings) ->
            results.put(technique, "results in place differ from each other: " + endings);
          case Comparison.Different different -> differences.put(technique, different);
        }
      });
    } catch (RuntimeException | AssertionError e) {
      if (!oracle.isAbandoned()) {
        throw e;
      }
    }
    shell.print(out -> {
      if (json) {
        var document = new JsonWriter(out).beginObject().name("differences").beginArray();
        for (Map.Entry<String, Comparison.Different> entry : differences.entrySet()) {
          writeJson(document, new Finding(entry.getKey(), subject.text(), entry.getValue(), 1));
        }
        document.endArray().endObject();
        out.write('\n');
        return;
      }
      out.write(subject + "\n");
      for (Map.Entry<String, String> entry : results.entrySet()) {
        out.write(entry.getKey() + ": " + entry.getValue() + "\n");
      }
      for (Map.Entry<String, Comparison.Different> entry : differences.entrySet()) {
        out.write(entry.getKey() + " differs:\n");
        for (Difference difference : entry.getValue().differences()) {
          out.write("  " + difference + "\n");
        }
      }
    });
    return differences.isEmpty() ? Xolotl.DONE : Xolotl.FAILED;
  }

  static final class AmountConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return Names.parseNumber(value, 1, 1_000_000_000);
    }
  }

  static final class SeedConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return Names.parseNumber(value, 0, Long.MAX_VALUE);
    }
  }

  static final class CaseConverter implements ITypeConverter<Case> {
    @Override
    public Case convert(String value) {
      try {
        return Case.parse(value);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(String.valueOf(e.getMessage()));
      }
    }
  }
}
