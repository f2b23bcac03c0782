package io.xolotl.cli;

import io.xolotl.decoder.DecoderUnavailableException;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.elf.SymbolException;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.lang.module.ModuleDescriptor;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command line: its parts, and how every command ends. */
@Command(name = "xolotl", mixinStandardHelpOptions = true, versionProvider = Xolotl.Version.class,
    header = "Probes any instruction of running Linux x86-64 processes.",
    customSynopsis = {
        "xolotl COMMAND [OPTIONS]",
        "       xolotl [--help | --version]"},
    description = "Does from user space what the kernel's uprobes do: no kernel module, no agent in the "
        + "process, no root for one's own processes.",
    subcommands = {
        DemoCommand.class, CountCommand.class, TraceCommand.class, ListCommand.class,
        ClassifyCommand.class, FuzzCommand.class,
        BenchCommand.class, CommandLine.HelpCommand.class},
    exitCodeListHeading = "%nExit status:%n", exitCodeList = {
        "0:done",
        "1:refused or failed, or not all was written; standard error says why",
        "2:wrong usage",
        "130:ended by Ctrl-C, 143 by SIGTERM, 129 by the end of the terminal; results are printed and the "
            + "process is restored first",
        "141:the results are no longer read, as with | head"},
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl demo",
        "  xolotl count -e libc.so.6:malloc -e libc.so.6:free -- ls -l",
        "  xolotl help count"})
final class Xolotl {
  /** The version that the build gave the module. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[]{"xolotl " + version().orElse("")};
    }
  }

  /** The same without a name; empty where there are no modules. */
  static Optional<String> version() {
    return Optional.ofNullable(Xolotl.class.getModule().getDescriptor())
        .flatMap(ModuleDescriptor::rawVersion);
  }

  /** The heading of the footers, which are commands with a comment behind each. */
  static final String EXAMPLES = "%nExamples:%n";

  static final int DONE = CommandLine.ExitCode.OK;
  static final int FAILED = CommandLine.ExitCode.SOFTWARE;
  private static final int WRONG_USAGE = CommandLine.ExitCode.USAGE;
  /** What a shell says of a program that SIGPIPE ended, which Java ignores. */
  private static final int READER_GONE = 128 + 13;

  private final Shell shell;
  private final List<String> launched;

  private Xolotl(Shell shell, List<String> launched) {
    this.shell = shell;
    this.launched = launched;
  }

  /**
   * Runs a command.
   *
   * @param shell where it is run
   * @param args its name, options and operands
   * @return the exit status
   */
  static int run(Shell shell, String... args) {
    List<String> all = Arrays.asList(args);
    // Taken off first, so that no option of a launched program is mistaken for ours.
    int separator = all.indexOf("--");
    List<String> own = separator < 0 ? all : all.subList(0, separator);
    List<String> launched = separator < 0 ? List.of() : List.copyOf(all.subList(separator + 1, all.size()));
    CommandLine commandLine = commandLine(shell, launched);
    if (own.isEmpty()) {
      return sayWhatThereIs(commandLine.getHelp(), shell.messages());
    }
    commandLine.setOut(new PrintWriter(new OutputStreamWriter(shell.output(), StandardCharsets.UTF_8), true));
    commandLine.setErr(shell.messages());
    commandLine.setParameterExceptionHandler((e, _) -> {
      boolean unmatched = e instanceof UnmatchedArgumentException;
      shell.say(sentence(e).replaceAll("\\.$", "")
          + (unmatched ? " (a program to launch comes after --)" : "") + "; see: "
          + e.getCommandLine().getCommandSpec().qualifiedName() + " --help");
      return WRONG_USAGE;
    });
    commandLine.setExecutionExceptionHandler((e, _, _) -> report(shell, e));
    int status = commandLine.execute(own.toArray(String[]::new));
    if (status == DONE) {
      try {
        // Help and versions go through a PrintWriter, which throws nothing.
        shell.output().flush();
      } catch (IOException e) {
        return report(shell, e);
      }
    }
    return status;
  }

  /** The commands and their options, for {@link #run} and for what describes them. */
  static CommandLine commandLine(Shell shell, List<String> launched) {
    var commandLine = new CommandLine(new Xolotl(shell, launched));
    commandLine.setExpandAtFiles(false);
    describe(commandLine);
    return commandLine;
  }

  /** What every command's help and version have in common. */
  private static void describe(CommandLine commandLine) {
    CommandSpec command = commandLine.getCommandSpec().versionProvider(new Version());
    boolean operands = !command.positionalParameters().isEmpty();
    command.usageMessage().synopsisHeading("%nUsage: ").descriptionHeading("%n").parameterListHeading("%n")
        .optionListHeading(operands ? "" : "%n").commandListHeading("%nCommands:%n");
    if (command.userObject() instanceof CommandLine.HelpCommand) {
      // It is picocli's and has no annotation to write this into.
      command.usageMessage().header("Shows the help of a command.").customSynopsis("xolotl help [COMMAND]")
          .description("Without a command, shows the help of xolotl itself.")
          .footerHeading(EXAMPLES).footer("  xolotl help count");
    }
    commandLine.getSubcommands().values().forEach(Xolotl::describe);
  }

  /** Whoever gives no command is told the commands: not as a result, which nobody asked for. */
  private static int sayWhatThereIs(CommandLine.Help help, PrintWriter messages) {
    messages.printf("""
        Usage: xolotl COMMAND [OPTIONS]

        %s
        'xolotl demo' shows probes at work, 'xolotl COMMAND --help' has the options of
        a command and examples, 'xolotl --help' the exit status.
        """, help.commandList());
    messages.flush();
    return WRONG_USAGE;
  }

  Shell shell() {
    return shell;
  }

  /** What stands behind {@code --}: a program to launch and its arguments, or nothing. */
  List<String> launched() {
    return launched;
  }

  /** For commands that launch nothing. */
  void refuseLaunch(CommandSpec command) {
    if (!launched.isEmpty()) {
      throw new ParameterException(command.commandLine(),
          "'" + command.name() + "' cannot launch a program");
    }
  }

  private static int report(Shell shell, Exception e) {
    if (e instanceof Outlet.ReaderGone) {
      // Whoever reads the results has seen enough of them.
      return READER_GONE;
    }
    if (e instanceof ProbeException gone && gone.reason() == ProbeException.Reason.PROCESS_GONE) {
      // Ctrl-C gets to a launched program and to this JVM at the same time, and the program may be gone
      // before this JVM comes to its own signal.
      shell.interruption().awaitLateSignal();
    }
    shell.say(switch (e) {
      case Failure _, ProbeException _, PtraceException _, SymbolException _, DecoderUnavailableException _ ->
        sentence(e);
      case IOException _ ->
        "the results cannot be written: " + e.getMessage();
      default -> internalError(e);
    });
    return FAILED;
  }

  /** One line, whatever the message has in it. */
  private static String sentence(Throwable e) {
    return String.valueOf(e.getMessage()).replace('\n', ' ');
  }

  /** One line that helps to find a mistake in this program. */
  static String internalError(Throwable e) {
    StackTraceElement[] trace = e.getStackTrace();
    return "internal error, please report it: " + e.toString().replace('\n', ' ')
        + (trace.length == 0 ? "" : " at " + trace[0]);
  }
}
