package io.xolotl.lab.arbitraries;

import io.xolotl.decoder.Decoder;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.generation.StateGenerator;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.MachineState;
import java.util.Random;
import java.util.function.Function;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;

/**
 * Instructions, machine states and cases for jqwik's properties. What falsifies a property is shrunk to the
 * fewest instructions and prefixes and the simplest state; failures print bytes, assembly and state.
 *
 * {@snippet :
 * @Provide
 * Arbitrary<Case> cases() {
 *   return InstructionArbitraries.cases(InstructionGenerator.ofAll(), 1);
 * }
 * }
 */
@SuppressWarnings("exports") // Whoever uses it has jqwik.
public final class InstructionArbitraries {

  /** Does nothing: the code of a case whose state is all that matters. */
  private static final byte[] NOP = {(byte) 0x90};

  private InstructionArbitraries() {}

  /** {@return valid instructions, all mnemonics and all encodings of each alike} */
  public static Arbitrary<byte[]> instructions() {
    return instructions(InstructionGenerator.ofAll());
  }

  /**
   * {@return valid instructions}
   *
   * @param generator which, and how often
   */
  public static Arbitrary<byte[]> instructions(InstructionGenerator generator) {
    return shrinking(random -> Case.of(generator.draw(random, 0).bytes(), MachineState.PLAIN),
        subject -> subject.instructions().getFirst());
  }

  /** {@return machine states with interesting values, which shrink to {@link MachineState#PLAIN}} */
  public static Arbitrary<MachineState> states() {
    return shrinking(random -> Case.of(NOP, StateGenerator.draw(random)), Case::state);
  }

  /**
   * {@return instructions and states that fit, so that most memory operands are accessible}
   *
   * @param generator of the instructions
   * @param longest how many instructions a case has at most
   */
  public static Arbitrary<Case> cases(InstructionGenerator generator, int longest) {
    var cases = new CaseGenerator(generator, longest);
    return shrinking(random -> cases.draw(random, random.nextInt(CaseGenerator.PLACES)), Function.identity());
  }

  /**
   * {@return short straight sequences of instructions, from two to four, as cases are}
   *
   * @param generator of the instructions
   */
  public static Arbitrary<Case> sequences(InstructionGenerator generator) {
    return cases(generator, 4).filter(subject -> subject.instructions().size() > 1);
  }

  /**
   * {@return what an instruction is, for messages}
   *
   * @param instruction its bytes
   */
  public static String text(byte[] instruction) {
    return Decoder.forThisCpu().decode(instruction, 0).toString();
  }

  private static <T> Arbitrary<T> shrinking(Function<Random, Case> generator,
      Function<Case, T> part) {
    return Arbitraries.fromGenerator(random -> new ShrinkableCase<>(generator.apply(random), part));
  }
}
