package io.xolotl.xol.elf;

import org.jspecify.annotations.Nullable;

/**
 * A place where the dynamic linker writes the address of a function: {@code Elf64_Rela}.
 *
 * @param address of the slot, in the file's address space
 * @param type one of the types here
 * @param addend for {@link #IRELATIVE}, the address of the resolver in the file's address space
 * @param symbol the function's name; empty for {@link #IRELATIVE}
 * @param version the version asked for, if any
 */
record RelocationSlot(long address, int type, long addend, String symbol, @Nullable String version) {
  static final int ADDRESS_64 = 1;
  static final int GLOB_DAT = 6;
  static final int JUMP_SLOT = 7;
  static final int IRELATIVE = 37;
}
