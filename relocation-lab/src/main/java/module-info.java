/**
 * For those who relocate instructions: the CPU as an oracle, what draws instructions and machine states for
 * it, and a fuzzer. jqwik is needed only by those who use the arbitraries.
 */
@org.jspecify.annotations.NullMarked
module io.xolotl.lab {
  requires static transitive org.jspecify;
  requires static net.jqwik.api;
  requires transitive io.xolotl.decoder;

  exports io.xolotl.lab;
  exports io.xolotl.lab.arbitraries;
  exports io.xolotl.lab.fuzzing;
  exports io.xolotl.lab.generation;
  exports io.xolotl.lab.oracle;
}
