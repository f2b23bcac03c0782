/** Benchmarks of the decoder and the probes. */
@org.jspecify.annotations.NullMarked
@SuppressWarnings("requires-automatic") // JMH has no module descriptor.
module io.xolotl.bench {
  requires static transitive org.jspecify;
  requires io.xolotl.fixtures;
  requires io.xolotl.xol;
  requires java.management;
  requires jdk.management;
  requires jmh.core;

  opens io.xolotl.bench;
}
