package io.xolotl.xol;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import java.util.List;
import java.util.Optional;

/**
 * The main class of a JVM that runs as in a container. It probes a program that it has attached to, and one
 * that it has launched, and prints the technique of each probe with its hits, whether something is left
 * behind, and what is refused to a program that has added a filter.
 */
final class ConfinedJvm {

  private ConfinedJvm() {}

  /** No arguments. */
  public static void main(String[] arguments) {
    try (var target = TargetProcess.start(FixtureProgram.SANDBOX)) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        List<Probe> probes = List.of(probe(process, "work_push", Optional.empty()),
            probe(process, "work_rip_load", Optional.empty()),
            probe(process, "work_add", Optional.of(Technique.TRAPPED)),
            probe(process, "work_nop", Optional.of(Technique.SINGLE_STEPPED)));
        done(target, "work");
        probes.forEach(probe -> System.out.println(probe.technique() + " " + probe.hits()));
      }
      System.out.println("slots " + ProcFs.mappings(target.pid()).stream()
          .filter(line -> line.contains(" r-xp 00000000 00:00 0") && !line.contains("[")).count());
      done(target, "filter allow 11");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        try {
          System.out.println(probe(process, "work_rip_load", Optional.empty()).technique());
        } catch (ProbeException e) {
          System.out.println(e.reason());
        }
      }
      done(target, "work");
    }
    try (ProbedProcess process = ProbedProcess.launch(LaunchRequest.of(List.of("/bin/true")))) {
      Probe probe = process
          .register(ProbeRequest.at("libc.so.6", "exit", hit -> {}).with(Technique.SINGLE_STEPPED));
      process.start();
      System.out.println(process.end().join() + " " + probe.hits());
    }
  }

  private static Probe probe(ProbedProcess process, String symbol, Optional<Technique> technique) {
    ProbeRequest request = ProbeRequest.at("sandbox", symbol, hit -> {});
    return process.register(technique.map(request::with).orElse(request));
  }

  private static void done(TargetProcess target, String command) {
    target.send(command);
    target.awaitLine("done");
  }
}
