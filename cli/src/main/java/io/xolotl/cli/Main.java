package io.xolotl.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;

/** The program that {@code ./xolotl} starts. */
final class Main {

  private Main() {}

  /**
   * Runs a command and exits with its status.
   *
   * @param args what stands behind {@code ./xolotl}
   */
  public static void main(String[] args) {
    var messages = new PrintWriter(
        new OutputStreamWriter(new FileOutputStream(FileDescriptor.err), StandardCharsets.UTF_8), true);
    // What gets here is an Error; people get a sentence even then, and the JVM exits with status 1.
    Thread.setDefaultUncaughtExceptionHandler((_, e) -> messages.println(Xolotl.internalError(e)));
    // Not System.out: it swallows what goes wrong with a write.
    var shell = new Shell(new FileOutputStream(FileDescriptor.out), messages, Main::isTerminal,
        Interruption.install());
    System.exit(Xolotl.run(shell, args));
  }

  private static boolean isTerminal() {
    var console = System.console();
    return console != null && console.isTerminal();
  }
}
