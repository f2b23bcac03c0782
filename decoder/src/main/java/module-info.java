/**
 * x86-64 instructions, decoded and classified for execution out of line. Zydis-based, pure Java.
 */
@org.jspecify.annotations.NullMarked
module io.xolotl.decoder {
  requires static transitive org.jspecify;

  exports io.xolotl.decoder;
}
