/** A program on the module path that depends on Xolotl and on nothing else. */
module consumer {
  requires io.xolotl.xol;
}
