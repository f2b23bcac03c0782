package io.xolotl.decoder;

/** The base that 64-bit code adds to an address: only these two segments have one (Intel SDM, volume 1, 3.4.2.1). */
public enum Segment {
  /** No segment prefix, or one of cs, ds, es and ss, which 64-bit code ignores. */
  NONE, FS, GS
}
