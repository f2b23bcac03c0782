package io.xolotl.cli;

import io.xolotl.ptrace.TerminalSize;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The program that {@code ./xolotl} starts. */
final class Main {

  private static final int STANDARD_OUTPUT = 1;
  /** Of a terminal that does not say how large it is. */
  private static final TerminalSize SMALLEST = new TerminalSize(24, 80);

  private Main() {}

  /**
   * Runs a command and exits with its status.
   *
   * @param args what stands behind {@code ./xolotl}
   */
  public static void main(String[] args) {
    var interruption = new Interruption();
    Outlet errors = Outlet.lossy(new FileOutputStream(FileDescriptor.err), interruption);
    var messages = new PrintWriter(new OutputStreamWriter(errors, StandardCharsets.UTF_8), true);
    // Not System.out: it swallows what goes wrong with a write.
    Outlet output = Outlet.of(new FileOutputStream(FileDescriptor.out), isPipe(), interruption);
    var shell = new Shell(output, messages, Main::terminal, interruption);
    Thread.setDefaultUncaughtExceptionHandler((_, e) -> shell.say(Xolotl.internalError(e)));
    interruption.install(shell::say, status -> exit(errors, status));
    int status = run(shell, args);
    output.close();
    interruption.commandEnded();
    exit(errors, interruption.exitStatus().orElse(status));
  }

  private static void exit(Outlet errors, int status) {
    errors.close();
    System.exit(status);
  }

  private static int run(Shell shell, String[] args) {
    try {
      return Xolotl.run(shell, args);
    } catch (Error e) {
      // People get a sentence even then.
      shell.say(Xolotl.internalError(e));
      return Xolotl.FAILED;
    }
  }

  private static Optional<TerminalSize> terminal() {
    var console = System.console();
    return console != null && console.isTerminal()
        ? TerminalSize.of(STANDARD_OUTPUT).or(() -> Optional.of(SMALLEST))
        : Optional.empty();
  }

  /** Returns true if the reader can leave. What JDK's exceptions say of it is in the user's language. */
  private static boolean isPipe() {
    try {
      String file = Files.readSymbolicLink(Path.of("/proc/self/fd/1")).toString();
      return file.startsWith("pipe:") || file.startsWith("socket:");
    } catch (IOException e) {
      // Closed, as the first write will say.
      return false;
    }
  }
}
