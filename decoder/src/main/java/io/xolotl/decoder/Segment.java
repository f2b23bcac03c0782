package io.xolotl.decoder;

/**
 * The base that is added to an address. In 64-bit code only these two segments have one (Intel SDM, volume 1,
 * 3.4.2.1); in 32-bit code the kernel gives the others base 0, unless the program makes itself segments of
 * its own.
 */
public enum Segment {
  /** No segment prefix, or one of cs, ds, es and ss, whose base is 0. */
  NONE,
  /** The base of fs is added. */
  FS,
  /** The base of gs is added. */
  GS
}
