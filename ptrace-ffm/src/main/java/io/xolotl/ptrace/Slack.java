package io.xolotl.ptrace;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Executable memory of a process that belongs to nobody: files are mapped by pages, and the last page of a
 * program's or library's text reaches beyond it. Programs without any dynamic linking have it too, and the
 * kernel's vDSO.
 */
final class Slack {

  private static final int PT_LOAD = 1;
  private static final int PF_X = 1;
  private static final int ELF_HEADER_BYTES = 64;
  private static final int PROGRAM_HEADER_BYTES = 56;
  private static final int MOST_PROGRAM_HEADERS = 64;
  private static final int ELF_MAGIC = 0x464c_457f;
  private static final int ALIGNMENT = 16;

  private Slack() {}

  /**
   * Finds some, nearest to the beginning of the address space.
   *
   * @param bytes how much
   * @return its address, a multiple of 16; 0 if there is none
   */
  static long find(TracedProcess process, int bytes) {
    List<MemoryMapping> mappings = process.mappings();
    for (MemoryMapping mapping : mappings) {
      if (mapping.isExecutable() && !mapping.isWritable() && !mapping.isShared()
          && (mapping.inode() != 0 || mapping.path().equals("[vdso]"))) {
        long end = endOfText(process, mapping, mappings);
        long start = end + ALIGNMENT - 1 & -ALIGNMENT;
        if (end != 0 && start >= mapping.start() && mapping.end() - start >= bytes
            && isFill(process.memory().readText(start, bytes))) {
          return start;
        }
      }
    }
    return 0;
  }

  /** What linkers and compilers fill up with: the same byte all along. */
  private static boolean isFill(byte[] bytes) {
    for (byte each : bytes) {
      if (each != bytes[0]) {
        return false;
      }
    }
    return bytes.length > 0;
  }

  /** Where the segment ends that a mapping is the last of; 0 if that is not known. */
  private static long endOfText(TracedProcess process, MemoryMapping mapping, List<MemoryMapping> mappings) {
    MemoryMapping first = headerOf(mapping, mappings);
    if (first == null) {
      return 0;
    }
    byte[] header = process.memory().readText(first.start(), ELF_HEADER_BYTES);
    ByteBuffer elf = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
    if (header.length < ELF_HEADER_BYTES || elf.getInt(0) != ELF_MAGIC || header[4] != 2) {
      return 0;
    }
    long table = elf.getLong(32);
    int count = Math.min(elf.getShort(56), MOST_PROGRAM_HEADERS);
    if (elf.getShort(54) != PROGRAM_HEADER_BYTES || count <= 0 || table < 0 || table > first.size()) {
      return 0;
    }
    byte[] headers = process.memory().readText(first.start() + table, count * PROGRAM_HEADER_BYTES);
    ByteBuffer segments = ByteBuffer.wrap(headers).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at + PROGRAM_HEADER_BYTES <= headers.length; at += PROGRAM_HEADER_BYTES) {
      long offset = segments.getLong(at + 8);
      long fileBytes = segments.getLong(at + 32);
      long end = mapping.start() + offset + fileBytes - mapping.offset();
      if (segments.getInt(at) == PT_LOAD && (segments.getInt(at + 4) & PF_X) != 0 && fileBytes > 0
          && fileBytes == segments.getLong(at + 40) && end > mapping.start() && end <= mapping.end()) {
        return end;
      }
    }
    return 0;
  }

  private static @Nullable MemoryMapping headerOf(MemoryMapping mapping, List<MemoryMapping> mappings) {
    MemoryMapping first = null;
    for (MemoryMapping each : mappings) {
      if (each.offset() == 0 && each.inode() == mapping.inode() && each.device().equals(mapping.device())
          && each.path().equals(mapping.path()) && each.start() <= mapping.start()) {
        first = each;
      }
    }
    return first;
  }
}
