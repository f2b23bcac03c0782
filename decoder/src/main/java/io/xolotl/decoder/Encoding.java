package io.xolotl.decoder;

/** How an instruction is encoded. The order is that of {@code ZydisInstructionEncoding}. */
public enum Encoding {
  LEGACY, THREE_DNOW, XOP, VEX, EVEX,
  /** Of the Xeon Phi's first generation, Knights Corner. */
  MVEX
}
