/** x86-64 instructions, decoded as Zydis understands them, and classified for execution out of line. */
@org.jspecify.annotations.NullMarked
module io.xolotl.decoder {
  requires static transitive org.jspecify;

  exports io.xolotl.decoder;
}
