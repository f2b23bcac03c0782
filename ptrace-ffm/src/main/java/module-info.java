/** One Linux process under control: its threads, registers, memory and system calls, through ptrace. */
@org.jspecify.annotations.NullMarked
module io.xolotl.ptrace {
  requires static transitive org.jspecify;

  exports io.xolotl.ptrace;
}
