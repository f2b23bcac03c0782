package io.xolotl.xol;

import java.util.Scanner;
import java.util.concurrent.CountDownLatch;

/** The main class of a JVM whose handler returns when it is told to, however often it is interrupted. */
final class StubbornJvm {

  private static volatile boolean released;

  private StubbornJvm() {}

  /**
   * Arguments: the process, an address in it, the handler's context, what waits for it. Reads a line that
   * releases it.
   */
  public static void main(String[] arguments) throws InterruptedException {
    ProbedProcess process = ProbedProcess.attach(Integer.parseInt(arguments[0]));
    var entered = new CountDownLatch(1);
    Probe probe = process.register(ProbeRequest.at(Long.decode(arguments[1]), hit -> stubborn(entered))
        .inContext(HandlerContext.valueOf(arguments[2])));
    entered.await();
    System.out.println("entered");
    Thread waiter = Thread.ofPlatform().start(() -> {
      switch (arguments[3]) {
        case "close" -> process.close();
        case "unregister" -> probe.unregister();
        case "register" -> process.register(ProbeRequest.at("forever", "work_mov", hit -> {}));
        case "none" -> {
          // The exit alone.
        }
        default -> throw new AssertionError(arguments[3]);
      }
      System.out.println("went on");
    });
    new Scanner(System.in).nextLine();
    released = true;
    waiter.join();
    if (arguments[3].equals("none")) {
      // Signals end it.
      new CountDownLatch(1).await();
    }
    process.close();
    System.out.println("closed after " + probe.hits());
  }

  private static void stubborn(CountDownLatch entered) {
    entered.countDown();
    while (!released) {
      Thread.onSpinWait();
    }
  }
}
