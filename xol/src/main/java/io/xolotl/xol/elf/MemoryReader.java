package io.xolotl.xol.elf;

/** Reads the memory of the process whose symbols are resolved. */
@FunctionalInterface
public interface MemoryReader {
  /**
   * Copies memory of the process.
   *
   * @param address first address to read, in the process, unsigned
   * @param destination receives the bytes
   * @param offset where the first byte goes
   * @param length how many bytes are wanted
   * @return how many bytes were copied, from 0, where nothing is readable, to {@code length}
   */
  int read(long address, byte[] destination, int offset, int length);
}
