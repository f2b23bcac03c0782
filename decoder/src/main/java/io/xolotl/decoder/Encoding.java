package io.xolotl.decoder;

/** How an instruction is encoded. The order is that of {@code ZydisInstructionEncoding}. */
public enum Encoding {
  LEGACY, THREE_DNOW, XOP, VEX, EVEX,
  /** The encoding of the first Xeon Phi, Knights Corner. */
  MVEX
}
