/** Target programs, and the JUnit extension that runs them. */
@org.jspecify.annotations.NullMarked
module io.xolotl.fixtures {
  requires static transitive org.jspecify;
  requires transitive io.xolotl.lab;
  requires java.logging;
  requires org.junit.jupiter.api;
  requires org.opentest4j;

  exports io.xolotl.fixtures;
}
