package consumer;

import io.xolotl.lab.fuzzing.FuzzReport;
import io.xolotl.lab.fuzzing.Fuzzer;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.Oracle;
import java.util.List;
import java.util.Map;

/**
 * Lets the CPU decide whether instructions that {@link JumpRelocator} has displaced do what they do in their
 * place: {@code mvn compile exec:exec}.
 */
public final class FuzzMyRelocator {

  /** The same cases each time. */
  private static final long SEED = 42;
  private static final int CASES = 4_000;
  /** It only computes, and so never faults: a fault in a copy has another address, which nobody mends here. */
  private static final List<String> MNEMONICS = List.of("lea");

  private FuzzMyRelocator() {}

  /** Prints what is found with a deliberate mistake and without it; fails if either is not as it should be. */
  public static void main(String... arguments) {
    FuzzReport wrong = fuzz(false);
    System.out.println("with its mistake: " + wrong.differences() + " differences, the first of them:");
    wrong.findings().stream().limit(1).forEach(System.out::println);
    FuzzReport right = fuzz(true);
    System.out.println("without it: " + right.differences() + " differences in " + right.executed() + " cases");
    right.findings().forEach(System.out::println);
    if (wrong.findings().isEmpty() || !right.findings().isEmpty() || right.executed() == 0) {
      throw new IllegalStateException("the mistake must be found, and no other");
    }
  }

  private static FuzzReport fuzz(boolean adjusts) {
    try (var oracle = Oracle.start()) {
      // One instruction a case: what is behind it is free for the copy.
      var cases = new CaseGenerator(InstructionGenerator.of(MNEMONICS), 1);
      return new Fuzzer(oracle, cases, Map.of("jump", new JumpRelocator(adjusts)), SEED)
          .run(CASES, progress -> true);
    }
  }
}
