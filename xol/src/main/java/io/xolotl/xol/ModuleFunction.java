package io.xolotl.xol;

import java.util.List;

/**
 * A function of a process's module.
 *
 * @param module file name of the module
 * @param names all its names, the best one first; some may be those of other functions too
 * @param address of its first instruction in the process; for an IFUNC that of the function which chooses
 * @param size in bytes
 * @param locations each names it and no other, the best one first: by those names that are its own, else by
 *     the address in the file
 */
public record ModuleFunction(String module, List<String> names, long address, long size,
    List<ProbeLocation> locations) {

  /** {@return the best location} */
  public ProbeLocation location() {
    return locations.getFirst();
  }
}
