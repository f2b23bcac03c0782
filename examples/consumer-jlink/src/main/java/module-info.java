/** A program that becomes an image: this module, those of Xolotl, and those of the JDK that they need. */
module consumer {
  requires io.xolotl.xol;
}
