package io.xolotl.cli;

import io.xolotl.bench.Environment;
import io.xolotl.decoder.Technique;
import io.xolotl.lab.fuzzing.Finding;
import io.xolotl.lab.fuzzing.FuzzReport;
import io.xolotl.lab.fuzzing.FuzzReport.Tally;
import io.xolotl.lab.fuzzing.Fuzzer;
import io.xolotl.lab.fuzzing.RelocationFuzzer;
import io.xolotl.lab.fuzzing.RelocationReport;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionDealer;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.Difference;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Oracle;
import io.xolotl.lab.oracle.Place;
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
import java.util.function.Function;
import java.util.function.Supplier;
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
        "xolotl fuzz [--seconds N | --cases N | --executions N] [OPTIONS]",
        "       xolotl fuzz --case TOKEN [--technique T]... [--relocation] [--json]"},
    description = {
        "Executes random instructions in their place and displaced, and shows what differs: by each "
            + "technique of a probe, which stops the process each time, and then as relocated code that "
            + "needs no stop, a thousand times as often.",
        "",
        "Ends after --seconds, of which either has half, after --cases of the techniques or --executions of "
            + "relocated code, or by Ctrl-C or SIGTERM, and then prints its tables. The exit status is 1 if "
            + "anything differs; each difference is shown with the simplest case that has it and a command "
            + "that repeats it."},
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl fuzz --seconds 60",
        "  xolotl fuzz --cases 100000 --seed 42                # the same cases each time",
        "  xolotl fuzz --relocation --executions 100000000 --seed 7",
        "  xolotl fuzz --mnemonic push --technique single-stepped"})
final class FuzzCommand implements Callable<Integer> {
  private static final int SECONDS = 10;
  private static final int LONGEST_SEQUENCE = 4;
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
      description = "End after this many cases; no relocated code unless asked for.")
  private @Nullable Long cases;

  @Option(names = "--relocation",
      description = "Relocated code only, unless --technique or --cases is given.")
  private boolean relocation;

  @Option(names = "--executions", paramLabel = "N", converter = ExecutionsConverter.class,
      description = "End after this many executions of relocated code and its originals; no techniques "
          + "unless asked for.")
  private @Nullable Long executions;

  @Option(names = "--seed", paramLabel = "S", converter = SeedConverter.class,
      description = "A number from which all cases follow (default: another one each time).")
  private @Nullable Long seed;

  @Option(names = "--mnemonic", paramLabel = "M",
      description = "Draw this instruction only; may be repeated.")
  private List<String> mnemonics = List.of();

  @Option(names = "--technique", paramLabel = "T", converter = ProbeOptions.TechniqueConverter.class,
      description = "Displace by this technique only; may be repeated (default: by each that applies).")
  private @Nullable List<Technique> techniques;

  @Option(names = "--case", paramLabel = "TOKEN", converter = CaseConverter.class,
      description = "Execute only this case; a difference is shown with the TOKEN of its case.")
  private @Nullable Case repeated;

  @Option(names = "--json",
      description = "Print one JSON document.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    xolotl.refuseLaunch(command);
    if (seconds != null && (cases != null || executions != null)) {
      throw new ParameterException(command.commandLine(),
          "Give either --seconds or --cases and --executions");
    }
    if (repeated != null && (seconds != null || cases != null || executions != null || seed != null
        || !mnemonics.isEmpty())) {
      throw new ParameterException(command.commandLine(),
          "--case can be combined only with --technique, --relocation and --json");
    }
    Shell shell = xolotl.shell();
    try {
      return repeated != null ? repeat(shell, repeated) : fuzz(shell);
    } catch (AssertionError e) {
      // The program that takes part tells so what keeps it from it.
      throw new Failure(String.valueOf(e.getMessage()));
    }
  }

  private boolean chooses() {
    return relocation || executions != null || cases != null || techniques != null;
  }

  private boolean displaces() {
    return !chooses() || cases != null || techniques != null;
  }

  private boolean relocates() {
    return !chooses() || relocation || executions != null;
  }

  private Map<String, Displacer> displacers() {
    var displacers = new LinkedHashMap<String, Displacer>();
    for (Technique technique : techniques == null ? List.of(Technique.values()) : techniques) {
      displacers.put(Names.of(technique), new ProbeDisplacer(technique));
    }
    return displacers;
  }

  private int fuzz(Shell shell) throws IOException {
    long chosen = seed != null ? seed : new SecureRandom().nextLong() >>> 1;
    Duration limit = Duration.ofSeconds(seconds == null ? SECONDS : seconds)
        .dividedBy(displaces() && relocates() ? 2 : 1);
    FuzzReport displaced = displaces() ? displace(shell, chosen, limit) : null;
    RelocationReport relocated = relocates() ? relocate(shell, chosen, limit) : null;
    shell.print(out -> {
      if (json) {
        writeJson(out, displaced, relocated);
        return;
      }
      if (displaced != null) {
        write(out, displaced);
      }
      if (relocated != null) {
        out.write(displaced == null ? "" : "\n");
        RelocationFormat.write(out, relocated);
      }
    });
    return (displaced == null || displaced.findings().isEmpty())
        && (relocated == null || relocated.isClean())
            ? Xolotl.DONE
            : Xolotl.FAILED;
  }

  private FuzzReport displace(Shell shell, long chosen, Duration limit) {
    InstructionGenerator instructions = found(shell.interruption(),
        () -> mnemonics.isEmpty() ? InstructionGenerator.ofAll() : InstructionGenerator.of(mnemonics));
    if (instructions == null) {
      return new FuzzReport(chosen, 0, 0, 0, 0, 0, new TreeMap<>(), List.of(), Duration.ZERO);
    }
    try (Oracle oracle = Oracle.start()) {
      // A batch may take long on a busy machine; what has been compared before is good.
      shell.interruption().requested().thenRun(oracle::abandon);
      var fuzzer = new Fuzzer(oracle, new CaseGenerator(instructions, LONGEST_SEQUENCE), displacers(),
          chosen);
      var progress = new FuzzProgress(shell, cases == null ? Long.MAX_VALUE : cases, limit);
      FuzzReport report = fuzzer.run(cases == null ? Long.MAX_VALUE : cases,
          state -> progress.show(state.cases(), state.elapsed(), () -> String.format(Locale.ROOT,
              "%,d cases, %,d executed displaced (%,.0f per second), %,d mnemonics, %,d differences",
              state.cases(), state.executed(), perSecond(state.executed(), state), state.mnemonics(),
              state.differences()))
              && (cases != null || state.elapsed().compareTo(limit) < 0)
              && !shell.interruption().isRequested());
      progress.end();
      return report;
    }
  }

  private RelocationReport relocate(Shell shell, long chosen, Duration limit) {
    InstructionDealer dealer = found(shell.interruption(),
        () -> mnemonics.isEmpty() ? InstructionDealer.ofAll() : InstructionDealer.of(mnemonics));
    if (dealer == null) {
      return RelocationReport.none(chosen);
    }
    long enough = executions == null ? Long.MAX_VALUE : executions;
    try (var fuzzer = new RelocationFuzzer(new ProductRelocator(), dealer, chosen,
        Runtime.getRuntime().availableProcessors())) {
      shell.interruption().requested().thenRun(fuzzer::abandon);
      var progress = new FuzzProgress(shell, enough, limit);
      RelocationReport report = fuzzer.run(enough,
          state -> progress.show(state.executions(), state.elapsed(), () -> String.format(Locale.ROOT,
              "%,d executions of relocated code (%,.0f per second), %,d differences",
              state.executions(), state.executions() / Math.max(state.elapsed().toNanos() / 1e9, 1e-3),
              state.differences()))
              && (executions != null || state.elapsed().compareTo(limit) < 0)
              && !shell.interruption().isRequested());
      progress.end();
      return report;
    }
  }

  /**
   * What instructions are drawn from; null if the command is interrupted before that is known: all
   * instructions take seconds to find.
   */
  private <T> @Nullable T found(Interruption interruption, Supplier<T> all) {
    CompletableFuture<T> found = CompletableFuture.supplyAsync(all);
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

  private static void writeJson(Writer out, @Nullable FuzzReport displaced,
      @Nullable RelocationReport relocated) throws IOException {
    String cpu = Environment.read("").cpu();
    var document = new JsonWriter(out).beginObject();
    if (displaced == null) {
      if (relocated != null) {
        RelocationFormat.writeMembers(document, relocated, cpu);
      }
    } else {
      writeMembers(document, displaced);
      if (relocated != null) {
        document.name("relocation").beginObject();
        RelocationFormat.writeMembers(document, relocated, cpu);
        document.endObject();
      }
    }
    document.endObject();
    out.write('\n');
  }

  private static void writeMembers(JsonWriter document, FuzzReport report) throws IOException {
    document.name("cases").value(report.cases()).name("executed")
        .value(report.executed()).name("refused").value(report.refused()).name("mnemonics")
        .value(report.mnemonics())
        .name("differences").beginArray();
    for (Finding finding : report.findings()) {
      writeJson(document, finding);
    }
    document.endArray().name("seed").value(report.seed());
  }

  static void writeJson(JsonWriter document, Finding finding) throws IOException {
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
    document.endArray().name("confirmed").value(finding.confirmed()).name("case").value(subject.token())
        .name("repeat").value(finding.repetition()).endObject();
  }

  /** One case, by each technique or as relocated code. */
  private int repeat(Shell shell, Case subject) throws IOException {
    var differences = new LinkedHashMap<String, Finding>();
    var results = new LinkedHashMap<String, String>();
    try (Oracle oracle = Oracle.start()) {
      shell.interruption().requested().thenRun(oracle::abandon);
      try {
        if (!relocation || techniques != null) {
          displacers().forEach((technique, displacer) -> sort(
              oracle.compare(List.of(subject), displacer).getFirst(), technique,
              different -> new Finding(technique, subject.text(), different, 1), results, differences));
        }
        if (relocation) {
          for (Place place : Place.values()) {
            String name = RelocationFuzzer.technique(place);
            sort(oracle.compare(List.of(subject), new ProductRelocator(), place).getFirst(), name,
                different -> RelocationFuzzer.finding(place, subject.text(), different), results,
                differences);
          }
        }
      } catch (RuntimeException | AssertionError e) {
        if (!oracle.isAbandoned()) {
          throw e;
        }
      }
    }
    shell.print(out -> {
      if (json) {
        var document = new JsonWriter(out).beginObject().name("differences").beginArray();
        for (Finding finding : differences.values()) {
          writeJson(document, finding);
        }
        document.endArray().endObject();
        out.write('\n');
        return;
      }
      out.write(subject + "\n");
      for (Map.Entry<String, String> entry : results.entrySet()) {
        out.write(entry.getKey() + ": " + entry.getValue() + "\n");
      }
      for (Map.Entry<String, Finding> entry : differences.entrySet()) {
        out.write(entry.getKey() + " differs:\n");
        for (Difference difference : entry.getValue().comparison().differences()) {
          out.write("  " + difference + "\n");
        }
      }
    });
    return differences.isEmpty() ? Xolotl.DONE : Xolotl.FAILED;
  }

  private static void sort(Comparison comparison, String name,
      Function<Comparison.Different, Finding> finding, Map<String, String> results,
      Map<String, Finding> differences) {
    switch (comparison) {
      case Comparison.Same same -> results.put(name, "the same: " + same.result());
      case Comparison.NotDisplaced(_, var refusal) -> results.put(name, "not displaced: " + refusal.reason());
      case Comparison.Unrepeatable(_, var endings) ->
        results.put(name, "results in place differ from each other: " + endings);
      case Comparison.Different different -> differences.put(name, finding.apply(different));
    }
  }

  static final class ExecutionsConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return Names.parseNumber(value, 1, 1_000_000_000_000L);
    }
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
