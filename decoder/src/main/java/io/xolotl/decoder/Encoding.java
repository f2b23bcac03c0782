package io.xolotl.decoder;

/** How an instruction is encoded. */
public enum Encoding {
  LEGACY, THREE_DNOW, XOP, VEX, EVEX
}
