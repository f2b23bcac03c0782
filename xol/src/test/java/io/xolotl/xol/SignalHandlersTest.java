package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A program that lives on signals behaves the same with every instruction of its loops and handlers probed.
 */
class SignalHandlersTest {

  private static final int ROUNDS = 12;

  @ParameterizedTest
  @CsvSource(value = {"-, INTERRUPT", "-, TASK", "BOOSTED, INTERRUPT", "TRAPPED, INTERRUPT",
      "SINGLE_STEPPED, INTERRUPT", "SINGLE_STEPPED, TASK"}, nullValues = "-")
  void everyInstructionOfLoopsAndHandlers(Technique forced, HandlerContext context) throws Exception {
    try (TargetProcess target = TargetProcess.start(FixtureProgram.SIGS, Integer.toString(ROUNDS))) {
      List<String> unprobed = run(target);
      Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("hot_trap"),
          target.address("work")));
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        List<Probe> probes = new ArrayList<>();
        List<ModuleFunction> functions = process.functions("sigs").stream()
            .filter(f -> f.names().stream().anyMatch(n -> n.startsWith("hot_") || n.equals("work"))).toList();
        assertThat(functions).hasSize(12);
        for (ModuleFunction function : functions) {
          probes.addAll(probeAll(process, function, forced, context));
        }
        assertThat(run(target)).isEqualTo(unprobed);
        for (ModuleFunction function : functions) {
          assertThat(probes).filteredOn(p -> p.address() == function.address()).as(function.toString())
              .first().extracting(Probe::hits).matches(hits -> hits >= ROUNDS / 4);
        }
      }
      before.assertNoTrace();
      assertThat(run(target)).isEqualTo(unprobed);
    }
  }

  private static List<String> run(TargetProcess target) {
    target.send("go");
    List<String> lines = new ArrayList<>();
    for (String name : List.of("repaired", "left", "on-stack", "nested", "traps", "sent-traps", "steps",
        "reaped",
        "errors")) {
      lines.add(target.awaitLine(line -> line.startsWith(name + " "), Await.PATIENCE));
    }
    target.awaitOk();
    return lines;
  }

  private static List<Probe> probeAll(ProbedProcess process, ModuleFunction function, Technique forced,
      HandlerContext context) {
    List<Probe> probes = new ArrayList<>();
    byte[] code = process.memory().read(function.address(), (int) function.size());
    for (int offset = 0; offset < code.length;) {
      var instruction = (DecodedInstruction) Decoder.forThisCpu().decode(code, offset, code.length - offset,
          function.address() + offset);
      ProbeRequest request = ProbeRequest.at(instruction.address(), hit -> {}).inContext(context)
          .trustingBoundary();
      try {
        probes.add(process.register(Optional.ofNullable(forced).map(request::with).orElse(request)));
      } catch (ProbeException e) {
        assertThat(e.reason()).as(instruction.text()).isIn(Set.of(
            ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE, ProbeException.Reason.BREAKPOINT_EXISTS));
        if (e.reason() == ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE) {
          probes.add(process.register(request));
        }
      }
      offset += instruction.length();
    }
    return probes;
  }
}
