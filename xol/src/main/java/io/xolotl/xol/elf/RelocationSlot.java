package io.xolotl.xol.elf;

import org.jspecify.annotations.Nullable;

/**
 * A place where the dynamic linker writes the address of a function: {@code Elf64_Rela} or {@code Elf32_Rel}.
 *
 * @param address of the slot, in the file's address space
 * @param kind what is written there
 * @param addend for {@link Kind#INDIRECT}, the address of the resolver in the file's address space
 * @param symbol the function's name; empty for {@link Kind#INDIRECT}
 * @param version the version asked for, if any
 */
record RelocationSlot(long address, Kind kind, long addend, String symbol, @Nullable String version) {

  /** The types that make an address of a function. */
  enum Kind {
    /** {@code R_*_GLOB_DAT} and {@code R_*_JUMP_SLOT}: the symbol's address. */
    SLOT,
    /** {@code R_X86_64_64} and {@code R_386_32}: the symbol's address and the addend. */
    ADDRESS,
    /** {@code R_*_IRELATIVE}: what the resolver returns. */
    INDIRECT;

    static @Nullable Kind ofX86_64(int type) {
      return type == 37 ? INDIRECT : common(type);
    }

    static @Nullable Kind ofI386(int type) {
      return type == 42 ? INDIRECT : common(type);
    }

    private static @Nullable Kind common(int type) {
      return switch (type) {
        case 1 -> ADDRESS;
        case 6, 7 -> SLOT;
        default -> null;
      };
    }
  }
}
