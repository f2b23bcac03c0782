package io.xolotl.xol.elf;

/**
 * An ELF file at its place in a process.
 *
 * @param name the file name, for instance {@code libc.so.6}, or {@code [vdso]}
 * @param path the path in the process's mount namespace, without {@code " (deleted)"}
 * @param bias what is added to an address of the file to get the address in the process; 0 for a non-PIE
 *     program
 * @param start first address of its lowest segment, unsigned
 * @param end first address behind its highest segment, unsigned
 */
public record LoadedModule(String name, String path, long bias, long start, long end) {}
