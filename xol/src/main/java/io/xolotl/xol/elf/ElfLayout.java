package io.xolotl.xol.elf;

/** The two forms of ELF files with code for x86 CPUs: sizes of their headers and entries in bytes. */
enum ElfLayout {
  /** {@code ELFCLASS64}, for x86-64. */
  ELF64(64, 56, 64, 24, 8),
  /** {@code ELFCLASS32}, for i386. */
  ELF32(52, 32, 40, 16, 4);

  final int fileHeader;
  final int programHeader;
  final int sectionHeader;
  final int symbol;
  final int address;

  ElfLayout(int fileHeader, int programHeader, int sectionHeader, int symbol, int address) {
    this.fileHeader = fileHeader;
    this.programHeader = programHeader;
    this.sectionHeader = sectionHeader;
    this.symbol = symbol;
    this.address = address;
  }

  /** An address or size as it was read by jelf, which extends the sign of those with 32 bits. */
  long unsigned(long value) {
    return this == ELF32 ? value & 0xffff_ffffL : value;
  }
}
