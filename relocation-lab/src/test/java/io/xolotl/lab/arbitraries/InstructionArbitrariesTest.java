package io.xolotl.lab.arbitraries;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Encoding;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.generation.Simplifier;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.MachineState;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Shrinkable;
import org.junit.jupiter.api.Test;

/** What is drawn is valid and varied, and shrinks to what matters. */
class InstructionArbitrariesTest {

  @Test
  void allMnemonicsAndEncodingsAreDrawn() {
    var random = new SplittableRandom(1);
    InstructionGenerator generator = InstructionGenerator.ofAll();
    Map<String, Integer> mnemonics = new HashMap<>();
    var encodings = new EnumMap<Encoding, Integer>(Encoding.class);
    int ripRelative = 0;
    int drawn = 20 * generator.mnemonics().size();
    for (int i = 0; i < drawn; i++) {
      DecodedInstruction instruction = generator.draw(random, Case.HIGH_CODE);
      mnemonics.merge(instruction.mnemonic(), 1, Integer::sum);
      encodings.merge(instruction.encoding(), 1, Integer::sum);
      ripRelative += instruction.isRipRelative() ? 1 : 0;
    }
    assertThat(mnemonics.keySet()).containsExactlyInAnyOrderElementsOf(generator.mnemonics());
    assertThat(encodings).containsOnlyKeys(Encoding.LEGACY, Encoding.THREE_DNOW, Encoding.XOP, Encoding.VEX,
        Encoding.EVEX);
    assertThat(ripRelative).isGreaterThan(drawn / 20);
  }

  @Test
  void classesAreDrawnByTheirWeights() {
    var random = new SplittableRandom(1);
    InstructionGenerator generator = InstructionGenerator.byClass(Map.of("push", 3, "cmov", 1, "vtx", 0));
    Map<String, Integer> classes = new HashMap<>();
    for (int i = 0; i < 4000; i++) {
      classes.merge(generator.draw(random, 0).category(), 1, Integer::sum);
    }
    assertThat(classes).containsOnlyKeys("push", "cmov");
    assertThat(classes.get("push")).isBetween(2700, 3300);
    assertThatThrownBy(() -> InstructionGenerator.byClass(Map.of("none", 1)))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("'none'");
    assertThatThrownBy(() -> InstructionGenerator.byClass(Map.of("push", 0)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> InstructionGenerator.of(List.of("nonesuch")))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("'nonesuch'");
  }

  @Test
  void theSameSeedGivesTheSameCases() {
    var generator = new CaseGenerator(InstructionGenerator.ofAll(), 4);
    for (int i = 0; i < 500; i++) {
      assertThat(generator.draw(new SplittableRandom(i), i % CaseGenerator.PLACES))
          .isEqualTo(generator.draw(new SplittableRandom(i), i % CaseGenerator.PLACES));
    }
  }

  /** Shrinks as jqwik does: to a simpler value that still has the property, for as long as there is one. */
  private static <T> T shrunk(Arbitrary<T> arbitrary, Predicate<T> property) {
    var random = new Random(7);
    Shrinkable<T> falsified = arbitrary.generator(1000).next(random);
    while (!property.test(falsified.value())) {
      falsified = arbitrary.generator(1000).next(random);
    }
    Optional<Shrinkable<T>> simpler = Optional.of(falsified);
    while (simpler.isPresent()) {
      Shrinkable<T> last = simpler.get();
      falsified = last;
      simpler = last.shrink().filter(s -> property.test(s.value())).findFirst();
      simpler.ifPresent(s -> assertThat(s.distance()).isLessThan(last.distance()));
    }
    return falsified.value();
  }

  @Test
  void instructionsShrinkToTheFewestPrefixes() {
    byte[] push = shrunk(InstructionArbitraries.instructions(InstructionGenerator.of(List.of("push"))),
        code -> code.length > 3);
    assertThat(InstructionArbitraries.text(push)).contains("push");
    assertThat(push.length).isGreaterThan(3).isLessThan(8);
    byte[] locked = shrunk(InstructionArbitraries.instructions(),
        code -> Decoder.forThisCpu().decode(code, 0) instanceof DecodedInstruction i && i.isLocked());
    // The prefix, an opcode of one or two bytes, a modrm byte, perhaps a displacement and an immediate of
    // zeros.
    assertThat(locked[0]).isEqualTo((byte) 0xf0);
  }

  @Test
  void statesShrinkToThePlainOne() {
    assertThat(shrunk(InstructionArbitraries.states(), state -> true)).isEqualTo(MachineState.PLAIN);
    assertThat(shrunk(InstructionArbitraries.states(), state -> (state.flags() & 0x400) != 0))
        .isEqualTo(MachineState.PLAIN.withFlags(0x400));
    MachineState register = shrunk(InstructionArbitraries.states(), state -> state.general(3) != 0);
    assertThat(register).isEqualTo(MachineState.PLAIN.withGeneral(3, register.general(3)));
  }

  @Test
  void sequencesShrinkToOneInstruction() {
    Predicate<Case> hasPush = subject -> subject.text().contains("push");
    Case shrunk = shrunk(
        InstructionArbitraries.cases(InstructionGenerator.of(List.of("push", "add", "lea")), 4),
        subject -> hasPush.test(subject) && subject.instructions().size() > 1);
    assertThat(shrunk.instructions()).hasSize(2);
    Case simplest = Simplifier.simplest(shrunk, hasPush);
    assertThat(simplest.instructions()).hasSize(1);
    assertThat(simplest.state()).isEqualTo(MachineState.PLAIN);
    assertThat(shrunk(InstructionArbitraries.sequences(InstructionGenerator.ofAll()), subject -> true)
        .instructions())
        .hasSize(2);
  }
}
