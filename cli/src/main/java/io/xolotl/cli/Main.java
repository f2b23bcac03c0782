package io.xolotl.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The program that {@code ./xolotl} starts. */
final class Main {

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
    var shell = new Shell(output, messages, Main::isTerminal, interruption);
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

  private static boolean isTerminal() {
    var console = System.console();
    return console != null && console.isTerminal();
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
