/** Probes on the instructions of running processes. */
@org.jspecify.annotations.NullMarked
module io.xolotl.xol {
  requires static transitive org.jspecify;
  requires transitive io.xolotl.decoder;
  requires transitive io.xolotl.ptrace;
  requires net.fornwall.jelf;

  exports io.xolotl.xol;
}
