/** What a hit costs, beside the kernel's uprobes, a tracer in C and gdb. */
@org.jspecify.annotations.NullMarked
@SuppressWarnings("module") // What it exports to is compiled after this module.
module io.xolotl.bench {
  requires static transitive org.jspecify;
  requires io.xolotl.lab;
  requires transitive io.xolotl.xol;

  exports io.xolotl.bench to
      io.xolotl.cli;
}
