package io.xolotl.decoder;

/** What the bytes are code for. */
public enum MachineMode {
  /** 64-bit code. */
  LONG_64,
  /** 32-bit code, as a 64-bit kernel runs it; decoded, but never given to the relocation rules. */
  COMPAT_32
}
