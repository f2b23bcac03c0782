package io.xolotl.decoder.reference;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The executable segment of a file that this system runs (ELF, "Program Header"): code, and what lies between
 * it.
 *
 * @param mode64 64-bit code
 * @param bytes the segment
 */
record ElfCode(boolean mode64, byte[] bytes) {

  private static final int CLASS = 4;
  private static final int CLASS_64 = 2;
  private static final int LOAD = 1;
  private static final int EXECUTABLE = 1;

  static ElfCode of(Path path) throws IOException {
    byte[] file = Files.readAllBytes(path);
    ByteBuffer elf = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    boolean mode64 = file[CLASS] == CLASS_64;
    int headers = mode64 ? (int) elf.getLong(32) : elf.getInt(28);
    int size = elf.getShort(mode64 ? 54 : 42);
    int count = elf.getShort(mode64 ? 56 : 44);
    for (int at = headers; at < headers + size * count; at += size) {
      int flags = elf.getInt(at + (mode64 ? 4 : 24));
      if (elf.getInt(at) == LOAD && (flags & EXECUTABLE) != 0) {
        int start = mode64 ? (int) elf.getLong(at + 8) : elf.getInt(at + 4);
        int length = mode64 ? (int) elf.getLong(at + 32) : elf.getInt(at + 16);
        return new ElfCode(mode64, Arrays.copyOfRange(file, start, start + length));
      }
    }
    throw new IOException(path + " has no executable segment");
  }
}
