package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** What people read before they know a command. */
@Execution(ExecutionMode.CONCURRENT)
class HelpTest {
  private static final String EXAMPLES = "\n\nExamples:\n";
  /** A word of a shell: what stands between quotes or blanks. */
  private static final Pattern WORD = Pattern.compile("'([^']*)'|([^\\s']+)");

  /** The lists of arguments that name each command; the empty one is for {@code xolotl} itself. */
  static Stream<List<String>> commands() {
    return Stream.concat(Stream.of(List.of()), xolotl().getSubcommands().keySet().stream().map(List::of));
  }

  /** A parser of its own for each test: they run side by side. Nothing is run with it. */
  private static CommandLine xolotl() {
    return Xolotl.commandLine(null, List.of());
  }

  private static String help(List<String> command) {
    return Cli.run(with(command, "--help")).done().output();
  }

  private static String[] with(List<String> command, String option) {
    return Stream.concat(command.stream(), Stream.of(option)).toArray(String[]::new);
  }

  private static CommandLine parser(List<String> command) {
    return command.isEmpty() ? xolotl() : xolotl().getSubcommands().get(command.getFirst());
  }

  @ParameterizedTest
  @MethodSource("commands")
  void linesFitATerminalAndBreakBetweenWords(List<String> command) {
    String help = help(command);
    assertThat(help.lines()).allSatisfy(line -> {
      assertThat(line).hasSizeLessThanOrEqualTo(80).doesNotEndWith(" ");
      // Not within a name such as --trust-boundary, within [--seed S], or before punctuation.
      assertThat(line).doesNotEndWith("-").doesNotContainPattern("^\\s*[.,;:)\\]]");
      assertThat(line.chars().filter(c -> c == '[').count()).as(line)
          .isEqualTo(line.chars().filter(c -> c == ']').count());
    });
    for (OptionSpec option : parser(command).getCommandSpec().options()) {
      assertThat(help).containsPattern("(?m)^ .*" + Pattern.quote(option.longestName()) + "([ =]|$)");
    }
  }

  @ParameterizedTest
  @MethodSource("commands")
  void aPurposeStandsFirst(List<String> command) {
    String[] header = parser(command).getCommandSpec().usageMessage().header();
    assertThat(header).hasSize(1);
    assertThat(help(command)).startsWith(header[0] + "\n\nUsage: xolotl");
  }

  @ParameterizedTest
  @MethodSource("commands")
  void examplesAreCommands(List<String> command) {
    String help = help(command);
    assertThat(help).contains(EXAMPLES);
    List<String> examples = help.substring(help.indexOf(EXAMPLES) + EXAMPLES.length()).lines().toList();
    assertThat(examples).isNotEmpty().allSatisfy(example -> {
      List<String> words = words(example);
      assertThat(words).startsWith("xolotl").containsAll(command);
      int separator = words.indexOf("--");
      assertThat(separator).isNotEqualTo(words.size() - 1);
      xolotl().parseArgs(words.subList(1, separator < 0 ? words.size() : separator).toArray(String[]::new));
    });
  }

  private static List<String> words(String line) {
    var words = new ArrayList<String>();
    WORD.matcher(line.replaceFirst(" +#.*", "")).results()
        .forEach(word -> words.add(word.group(1) == null ? word.group(2) : word.group(1)));
    return words;
  }

  @ParameterizedTest
  @MethodSource("commands")
  void theVersionIsTheSame(List<String> command) {
    if (parser(command).getCommandSpec().findOption("--version") != null) {
      assertThat(Cli.run(with(command, "--version")).done().output())
          .isEqualTo(Cli.run("--version").output());
    }
  }

  @Test
  void withoutACommandAllAreShown() {
    Cli nothing = Cli.run();
    assertThat(nothing).isEqualTo(new Cli(2, "", nothing.messages()));
    assertThat(nothing.messages().lines()).hasSizeLessThan(24)
        .allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
    xolotl().getSubcommands().forEach((name, command) -> assertThat(nothing.messages())
        .containsPattern(
            "(?m)^  " + name + " +" + Pattern.quote(command.getCommandSpec().usageMessage().header()[0])
                + "$"));
    assertThat(nothing.messages()).contains("xolotl demo", "xolotl COMMAND --help");
  }
}
