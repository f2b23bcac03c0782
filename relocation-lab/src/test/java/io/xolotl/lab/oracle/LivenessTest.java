package io.xolotl.lab.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.Liveness;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionGenerator;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What liveness calls dead may be overwritten, and the CPU sees no difference. */
class LivenessTest {

  private static final int BATCHES = 40;
  private static final int LONGEST = 6;

  static List<InstructionGenerator> generators() {
    return List.of(InstructionGenerator.ofAll(),
        InstructionGenerator.of(List.of("mov", "movzx", "movsx", "movsxd", "lea", "pop", "imul", "mul", "cdq",
            "cqo",
            "popcnt", "rorx", "shlx", "andn", "bextr", "blsr", "pdep", "pext", "mulx", "movd", "movq",
            "movmskpd", "pmovmskb", "cvttsd2si", "add", "adc", "sub", "sbb", "cmp", "neg", "xadd", "ptest",
            "comisd", "ucomiss", "and", "or", "xor", "test", "inc", "dec", "sahf", "bt", "bts", "btr", "btc",
            "clc", "stc", "jz", "jb", "jmp", "call", "shl", "rol", "cmovz", "bsf", "setz", "pushfq",
            "popfq")));
  }

  @ParameterizedTest
  @MethodSource("generators")
  void whatIsDeadMayBeOverwritten(InstructionGenerator instructions) {
    var generator = new CaseGenerator(instructions, LONGEST);
    var random = new SplittableRandom(1);
    int overwritten = 0;
    try (Oracle oracle = Oracle.start()) {
      for (int batch = 0; batch < BATCHES; batch++) {
        var cases = new ArrayList<Case>();
        var others = new ArrayList<Case>();
        for (int place = 0; place < CaseGenerator.PLACES; place++) {
          Case subject = generator.draw(random, place);
          Liveness liveness = Liveness.at(subject.code(), subject.address(), subject.address());
          cases.add(subject);
          others.add(subject.with(overwritten(subject.state(), liveness, random)));
        }
        List<Result> results = oracle.inPlace(cases);
        List<Result> again = oracle.inPlace(others);
        List<Result> once = oracle.inPlace(cases);
        for (int i = 0; i < cases.size(); i++) {
          Case subject = cases.get(i);
          // A handler would see what is dead; and some do something else each time.
          if (!(results.get(i).ending() instanceof Ending.Exited) || cases.get(i).equals(others.get(i))
              || !oracle.differences(subject, results.get(i), once.get(i)).isEmpty()) {
            continue;
          }
          overwritten++;
          assertThat(oracle.differences(subject, results.get(i), again.get(i)))
              .as("%s%n%s", subject, others.get(i).state()).isEmpty();
        }
      }
    }
    assertThat(overwritten).isGreaterThan(BATCHES);
  }

  private static MachineState overwritten(MachineState state, Liveness liveness, SplittableRandom random) {
    MachineState changed = state.withFlags(state.flags() ^ random.nextLong() & liveness.deadFlags());
    for (Gpr gpr : liveness.deadRegisters()) {
      changed = changed.withGeneral(gpr.index(), random.nextLong());
    }
    return changed;
  }
}
