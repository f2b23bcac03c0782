package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.fuzzing.FuzzReport;
import io.xolotl.lab.fuzzing.Fuzzer;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Oracle;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * Random instructions do the same in place and displaced, by each technique.
 *
 * <p>{@code mvn verify} runs cases of a fixed seed, for two minutes at most; {@code mvn verify -Pfuzz} runs
 * ten minutes with a random seed, {@code -Dfuzz.seed=} repeats one and {@code -Dfuzz.seconds=} says how long.
 */
class FuzzTest {

  private static final long FIXED_SEED = 20_101_123;
  private static final int CASES = 8_000;
  private static final int FEWEST_MNEMONICS = 1_000;
  private static final Duration LIMIT = Duration.ofSeconds(60);

  static Map<String, Displacer> byEachTechnique() {
    var displacers = new LinkedHashMap<String, Displacer>();
    for (Technique technique : Technique.values()) {
      displacers.put(Names.of(technique), new ProbeDisplacer(technique));
    }
    return displacers;
  }

  private static FuzzReport fuzz(InstructionGenerator generator, long seed, long cases, Duration limit) {
    try (var oracle = Oracle.start()) {
      var fuzzer = new Fuzzer(oracle, new CaseGenerator(generator, 4), byEachTechnique(), seed);
      FuzzReport report = fuzzer.run(cases, progress -> progress.elapsed().compareTo(limit) < 0);
      System.out.println("fuzz: " + report);
      return report;
    }
  }

  @Test
  void instructionsOfAllKindsDoTheSameDisplaced() {
    boolean longRun = Boolean.getBoolean("fuzz.long");
    long seed = Long.getLong("fuzz.seed", longRun ? System.nanoTime() : FIXED_SEED);
    Duration limit = longRun ? Duration.ofSeconds(Long.getLong("fuzz.seconds", 600)) : LIMIT;
    FuzzReport report = fuzz(InstructionGenerator.ofAll(), seed, longRun ? Long.MAX_VALUE : CASES, limit);
    assertThat(report.findings()).as("%s", report).isEmpty();
    assertThat(report.executed()).isGreaterThan(report.cases());
    if (report.cases() >= CASES) {
      assertThat(report.mnemonics()).isGreaterThan(FEWEST_MNEMONICS);
    }
  }

  /** What is emulated has cases of its own in every encoding, which are rare among all. */
  @Test
  void emulatedInstructionsDoTheSameDisplaced() {
    var emulated = InstructionGenerator
        .of(List.of("call", "jmp", "ret", "push", "pushf", "pushfq", "popf", "popfq", "lea",
            "loop", "loope", "loopne", "jrcxz", "jecxz", "nop", "pause", "enter", "leave", "movsb", "stosq",
            "cmpsb", "syscall",
            "jb", "jbe", "jl", "jle", "jnb", "jnbe", "jnl", "jnle", "jno", "jnp", "jns", "jnz", "jo", "jp",
            "js", "jz"));
    FuzzReport report = fuzz(emulated, FIXED_SEED, CASES / 4, LIMIT.dividedBy(2));
    assertThat(report.findings()).as("%s", report).isEmpty();
    assertThat(report.executed()).isGreaterThan(report.cases());
  }
}
