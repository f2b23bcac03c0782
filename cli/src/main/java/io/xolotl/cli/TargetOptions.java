package io.xolotl.cli;

import io.xolotl.xol.ProbingOptions;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Which process: {@code -p PID}, or {@code -- COMMAND ARGS}. */
final class TargetOptions {
  @Spec(Spec.Target.MIXEE)
  @SuppressWarnings("NullAway.Init") // picocli's
  private CommandSpec command;

  @Option(names = {"-p", "--pid"}, paramLabel = "PID", converter = ProcessConverter.class,
      description = "The process, which keeps running: its id, or its name if no other has that. A program "
          + "to launch and its arguments may be given after -- instead.")
  private @Nullable String process;

  /** Attaches or launches. A launched program waits for {@link Session#start}. */
  Session open(Xolotl xolotl, boolean outputToError, ProbingOptions options) {
    List<String> launched = xolotl.launched();
    String found = process;
    if ((found == null) == launched.isEmpty()) {
      throw new ParameterException(command.commandLine(), found == null
          ? "Give a process: -p PID, or -- COMMAND ARGS after everything else"
          : "Give either -p PID or -- COMMAND, not both");
    }
    if (found == null) {
      return Session.launch(Session.request(launched, outputToError), options);
    }
    return Session.attach(Processes.pid(found), options);
  }

  static final class ProcessConverter implements ITypeConverter<String> {
    @Override
    public String convert(String value) {
      if (!value.isEmpty() && !Processes.isNumber(value)) {
        return value;
      }
      try {
        return Long.toString(Names.parseNumber(value, 1, Integer.MAX_VALUE));
      } catch (TypeConversionException e) {
        throw new TypeConversionException("'" + value + "' is no process id");
      }
    }
  }
}
