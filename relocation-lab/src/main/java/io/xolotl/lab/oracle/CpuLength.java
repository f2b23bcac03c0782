package io.xolotl.lab.oracle;

/**
 * How many bytes of an instruction the CPU fetches.
 *
 * @param bytes the number; 0 if it wants more than there were
 * @param invalid the CPU raised an invalid-opcode exception, for which it need not have fetched all bytes
 */
public record CpuLength(int bytes, boolean invalid) {}
