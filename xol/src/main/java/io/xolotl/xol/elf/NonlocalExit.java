package io.xolotl.xol.elf;

import io.xolotl.decoder.Gpr;

/**
 * An instruction that gives a thread another stack pointer before it goes on elsewhere, as longjmp and the
 * unwinder of exceptions end, and what changes to another stack in the same way.
 *
 * @param address of the instruction, in the process
 * @param from where the new stack pointer is, or the address of where it is
 * @param loaded it is in memory
 * @param displacement of where in memory
 * @param popped bytes that the instructions behind it pop
 */
public record NonlocalExit(long address, Gpr from, boolean loaded, long displacement, int popped) {

  NonlocalExit movedBy(long bias) {
    return new NonlocalExit(address + bias, from, loaded, displacement, popped);
  }
}
