package io.xolotl.decoder;

/** How an instruction is encoded. */
@SuppressWarnings("doclint:missing") // The names say all.
public enum Encoding {
  LEGACY, THREE_DNOW, XOP, VEX, EVEX
}
