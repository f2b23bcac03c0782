package io.xolotl.xol;

import java.util.List;

/**
 * A function of a process's module.
 *
 * @param module file name of the module
 * @param names all its names, the best one first; each can be given to {@link ProbeLocation.Symbol}
 * @param address of its first instruction in the process
 * @param size in bytes
 */
public record Function(String module, List<String> names, long address, long size) {}
