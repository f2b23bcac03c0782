/** Target programs, instruction corpora and the JUnit extension that runs them. */
@org.jspecify.annotations.NullMarked
module io.xolotl.fixtures {
  requires static transitive org.jspecify;
  requires static org.junit.jupiter.api; // Only for those whose tests use the extension.

  exports io.xolotl.fixtures;
}
