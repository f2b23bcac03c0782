package io.xolotl.xol.example;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.arbitraries.InstructionArbitraries;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Oracle;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

class PushAndPopProperties {

  private static Oracle oracle;

  @BeforeContainer
  static void start() {
    oracle = Oracle.start();
  }

  @AfterContainer
  static void end() {
    oracle.close();
  }

  /** What is tested: here, probes on the instructions. */
  private static Displacer.Displacement probe(int pid, List<Long> addresses) {
    ProbedProcess process = ProbedProcess.attach(pid);
    process.register(addresses.stream().map(a -> ProbeRequest.at(a, hit -> {}).trustingBoundary()).toList());
    return Displacer.displacement(Map.of(), process::close);
  }

  @Property(tries = 200, seed = "1")
  void doTheSameDisplaced(@ForAll("pushesAndPops") Case subject) {
    Comparison comparison = oracle.compare(List.of(subject), PushAndPopProperties::probe).getFirst();
    assertThat(comparison).isInstanceOf(Comparison.Same.class);
  }

  @Provide
  Arbitrary<Case> pushesAndPops() {
    return InstructionArbitraries.cases(InstructionGenerator.of(List.of("push", "pop")), 3);
  }
}
