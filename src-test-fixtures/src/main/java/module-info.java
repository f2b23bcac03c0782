/** Target programs, instruction corpora and the JUnit extension that runs them. */
@org.jspecify.annotations.NullMarked
module io.xolotl.fixtures {
  requires static transitive org.jspecify;
  requires transitive org.junit.jupiter.api;
  requires transitive io.xolotl.decoder;

  exports io.xolotl.fixtures;
  exports io.xolotl.fixtures.oracle;
}
