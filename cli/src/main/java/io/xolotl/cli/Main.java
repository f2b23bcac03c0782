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
    // What the library has to say is a line as ours are. Before anything logs; a format that was asked for is kept.
    System.getProperties().putIfAbsent("java.util.logging.SimpleFormatter.format", "xolotl: %5$s%n");
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
