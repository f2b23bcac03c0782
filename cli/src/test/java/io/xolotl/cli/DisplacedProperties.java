package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.arbitraries.InstructionArbitraries;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.Oracle;
import java.util.List;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** What is displaced does what it does in place. The seeds are fixed, so that every run tests the same. */
class DisplacedProperties {

  private static Oracle oracle;

  @BeforeContainer
  static void start() {
    oracle = Oracle.start();
  }

  @AfterContainer
  static void end() {
    oracle.close();
  }

  @Property(tries = 400, seed = "1")
  void displacedIsAsInPlace(@ForAll("cases") Case subject, @ForAll Technique technique) {
    assertSame(subject, technique);
  }

  @Property(tries = 200, seed = "2")
  void sequencesDisplacedAreAsInPlace(@ForAll("sequences") Case subject, @ForAll Technique technique) {
    assertSame(subject, technique);
  }

  private static void assertSame(Case subject, Technique technique) {
    Comparison comparison = oracle.compare(List.of(subject), new ProbeDisplacer(technique)).getFirst();
    assertThat(comparison).as("%s%n./xolotl fuzz --case %s%n", comparison, subject.token())
        .isNotInstanceOf(Comparison.Different.class);
  }

  @Provide
  Arbitrary<Case> cases() {
    return InstructionArbitraries.cases(InstructionGenerator.ofAll(), 1);
  }

  @Provide
  Arbitrary<Case> sequences() {
    return InstructionArbitraries.sequences(InstructionGenerator.ofAll());
  }
}
