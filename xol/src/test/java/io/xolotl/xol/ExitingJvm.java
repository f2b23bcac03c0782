package io.xolotl.xol;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.Await;
import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import java.util.concurrent.CountDownLatch;

/** The main class of a JVM that probes processes and then exits, in the way that its first argument says. */
final class ExitingJvm {

  private ExitingJvm() {}

  /**
   * Arguments: how to exit (return, exit, throw, handler, interrupt, condition, wait, block, blockTracer,
   * spin, fail), whether to follow (follow, leave), the processes.
   */
  public static void main(String[] arguments) throws InterruptedException {
    String way = arguments[0];
    ProbingOptions options = arguments[1].equals("follow")
        ? ProbingOptions.defaults().withForkPolicy(ForkPolicy.FOLLOW)
        : ProbingOptions.defaults();
    var never = new CountDownLatch(1);
    List<Probe> probes = new ArrayList<>();
    for (String pid : List.of(arguments).subList(2, arguments.length)) {
      ProbedProcess process = ProbedProcess.attach(Integer.parseInt(pid), options);
      // Another user of the same.
      ProbedProcess other = ProbedProcess.attach(Integer.parseInt(pid), options);
      String module = process.modules().stream().filter(name -> name.matches("forever|forker")).findFirst()
          .orElseThrow();
      probes.add(process.register(ProbeRequest.at(module, "work", hit -> {
        switch (way) {
          case "interrupt" -> System.exit(7);
          case "blockTracer" -> {
            System.out.println("hit");
            never.await();
          }
          case "fail" -> throw new IllegalStateException("thrown by a handler");
          default -> {
            // The other ways are main's.
          }
        }
      }).onlyIf(registers -> {
        if (way.equals("condition")) {
          System.exit(7);
        }
        return true;
      })));
      probes.add(other.register(ProbeRequest.at(module, "work_rip_load", hit -> {
        switch (way) {
          case "block" -> never.await();
          case "spin" -> {
            while (never.getCount() > 0) {
              Thread.onSpinWait();
            }
          }
          case "handler" -> System.exit(7);
          default -> {
            // The other ways are main's.
          }
        }
      }).inContext(HandlerContext.TASK)));
      other.register(ProbeRequest.at(module, "work_add", hit -> {}).with(Technique.SINGLE_STEPPED));
      other.register(ProbeRequest.at(module, "work_mov", hit -> {}).with(Technique.TRAPPED));
    }
    System.out.println("probing");
    if (!arguments[1].equals("stopped") && !way.equals("blockTracer")) {
      Await.until(() -> probes.stream().allMatch(probe -> probe.hits() > 0), () -> "hits");
      System.out.println("hit");
    }
    switch (way) {
      case "return" -> {
        // The end of main ends the JVM: no thread of the library keeps it.
      }
      case "exit" -> System.exit(7);
      case "fail" -> {
        Await.until(() -> probes.getFirst().hits() > 1000, () -> "a thousand hits");
        probes.getFirst().process().close();
        System.out.println("failures " + probes.getFirst().hits());
      }
      case "throw" -> throw new IllegalStateException("thrown by main");
      default -> {
        // Nothing comes, or "exit".
        if (new Scanner(System.in).hasNextLine()) {
          System.exit(9);
        }
        never.await();
      }
    }
  }
}
