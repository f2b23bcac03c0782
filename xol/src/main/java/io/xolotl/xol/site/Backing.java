package io.xolotl.xol.site;

import io.xolotl.ptrace.MemoryMapping;

/**
 * What is mapped at an address, to notice that something else is mapped there later.
 *
 * @param device device of the file
 * @param inode inode of the file, 0 for anonymous memory
 * @param offset offset in the file, 0 for anonymous memory
 */
record Backing(String device, long inode, long offset) {

  static Backing of(MemoryMapping mapping, long address) {
    boolean file = mapping.inode() != 0;
    return new Backing(mapping.device(), mapping.inode(),
        file ? mapping.offset() + address - mapping.start() : 0);
  }

  boolean isAnonymous() {
    return inode == 0;
  }

  /** Returns true if a mapping is one of the same file. */
  boolean isOf(MemoryMapping mapping) {
    return mapping.inode() == inode && mapping.device().equals(device);
  }
}
