/** Probes on the instructions of running processes. */
@org.jspecify.annotations.NullMarked
@SuppressWarnings("module") // Those that it exports to are compiled after this module.
module io.xolotl.xol {
  requires static transitive org.jspecify;
  requires transitive io.xolotl.decoder;
  requires transitive io.xolotl.ptrace;
  requires net.fornwall.jelf;
  requires org.tukaani.xz;

  exports io.xolotl.xol;
  exports io.xolotl.xol.elf to
      io.xolotl.bench, io.xolotl.cli;
}
