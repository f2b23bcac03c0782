package io.xolotl.cli;

import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbingOptions;
import java.io.PrintWriter;
import java.util.concurrent.CountDownLatch;

/** The main class of a JVM like that of a command, whose handler does not return. */
final class StubbornCommand {

  private static volatile boolean never;

  private StubbornCommand() {}

  /** Arguments: the process, an address in it, the handler's context, and whether it returns when it is interrupted. */
  public static void main(String[] arguments) {
    var shell = new Shell(System.out, new PrintWriter(System.err, true), () -> false, Interruption.install());
    SecondSignal.install(shell::say);
    boolean returns = Boolean.parseBoolean(arguments[3]);
    try (Session session = Session.attach(Integer.parseInt(arguments[0]), ProbingOptions.defaults())) {
      session.process().register(ProbeRequest.at(Long.decode(arguments[1]), hit -> {
        System.out.println("entered");
        if (returns) {
          new CountDownLatch(1).await();
        }
        while (!never) {
          Thread.onSpinWait();
        }
      }).in(HandlerContext.valueOf(arguments[2])));
      shell.interruption().requested().join();
    }
  }
}
