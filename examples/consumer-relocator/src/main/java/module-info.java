/** A relocator of somebody else, and its fuzzing: it depends on Xolotl's relocation lab and on nothing else. */
module consumer {
  requires io.xolotl.lab;
}
