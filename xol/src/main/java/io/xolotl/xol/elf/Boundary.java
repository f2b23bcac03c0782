package io.xolotl.xol.elf;

import io.xolotl.decoder.DecodedInstruction;

/** What the file of a module shows of an address in its code. */
public sealed interface Boundary {

  /** Nothing is known. */
  Boundary UNPROVEN = new Unproven();

  /**
   * An instruction starts there.
   *
   * @param code what the file has there, up to the length of the longest instruction: the proof is about
   *     these bytes
   */
  record Proven(byte[] code) implements Boundary {}

  /**
   * Another instruction is around it, which a breakpoint there would destroy.
   *
   * @param instruction the one around, at its address in the process
   * @param start whether one is proved to start there as well, as behind a lock prefix that a branch leaves
   *     out
   */
  record Inside(DecodedInstruction instruction, boolean start) implements Boundary {}

  /** Neither: control flow is not known to reach it. */
  record Unproven() implements Boundary {}
}
