/**
 * Target programs and the JUnit extension that runs them; the CPU as an oracle, what draws instructions and
 * machine states for it, and a fuzzer. JUnit and jqwik are needed only by those who use the extension or the
 * arbitraries.
 */
@org.jspecify.annotations.NullMarked
module io.xolotl.fixtures {
  requires static transitive org.jspecify;
  requires static net.jqwik.api;
  requires static org.junit.jupiter.api;
  requires transitive io.xolotl.decoder;

  exports io.xolotl.fixtures;
  exports io.xolotl.fixtures.arbitraries;
  exports io.xolotl.fixtures.fuzzing;
  exports io.xolotl.fixtures.generation;
  exports io.xolotl.fixtures.oracle;
}
