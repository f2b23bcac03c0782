package io.xolotl.ptrace;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * One line of {@code /proc/PID/maps}: a contiguous range of a process's address space.
 *
 * @param start first address, unsigned
 * @param end first address behind the range, unsigned
 * @param permissions four characters as the kernel prints them, for instance {@code r-xp}
 * @param offset offset of {@code start} in the mapped file, in bytes; 0 for anonymous memory
 * @param device device of the mapped file as the kernel prints it, for instance {@code fe:00}
 * @param inode inode of the mapped file; 0 for anonymous memory
 * @param path path of the mapped file as seen in the process's own mount namespace, a name in brackets such
 *     as {@code [stack]}, or the empty string for anonymous memory; a file that was deleted while mapped has
 *     {@code " (deleted)"} behind its path
 * @see <a href="https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html">proc_pid_maps(5)</a>
 */
public record MemoryMapping(long start, long end, String permissions, long offset, String device, long inode,
    String path) {

  /**
   * Reads all mappings of a process, in ascending order of address.
   *
   * @param pid the process
   * @return the mappings; empty for a zombie or a kernel thread
   * @throws IOException if the process does not exist or may not be inspected
   */
  public static List<MemoryMapping> of(int pid) throws IOException {
    // Several reads, between which the mappings may change; the kernel promises that addresses never go
    // backwards.
    return parseAll(Files.readAllBytes(Path.of("/proc/" + pid + "/maps")));
  }

  static List<MemoryMapping> parseAll(byte[] text) {
    var mappings = new ArrayList<MemoryMapping>();
    for (String line : new String(text, StandardCharsets.ISO_8859_1).split("\n")) {
      if (!line.isEmpty()) {
        mappings.add(parse(line));
      }
    }
    return mappings;
  }

  /**
   * Parses one line.
   *
   * @param line a line of {@code /proc/PID/maps} without its line feed
   * @return its value
   * @throws IllegalArgumentException if it is no such line
   */
  public static MemoryMapping parse(String line) {
    String[] fields = line.split(" +", 6);
    int dash = fields[0].indexOf('-');
    if (fields.length < 5 || dash < 0) {
      throw new IllegalArgumentException("not a line of /proc/PID/maps: " + line);
    }
    return new MemoryMapping(Long.parseUnsignedLong(fields[0], 0, dash, 16),
        Long.parseUnsignedLong(fields[0], dash + 1, fields[0].length(), 16), fields[1],
        Long.parseUnsignedLong(fields[2], 16), fields[3], Long.parseUnsignedLong(fields[4]),
        fields.length == 6 ? unescape(fields[5]) : "");
  }

  /** The kernel writes a line feed in a path as {@code \012}, and nothing else escaped. */
  private static String unescape(String path) {
    return new String(path.replace("\\012", "\n").getBytes(StandardCharsets.ISO_8859_1),
        StandardCharsets.UTF_8);
  }

  /** {@return true if code in this range can be executed} */
  public boolean isExecutable() {
    return permissions.charAt(2) == 'x';
  }

  /** {@return true if the process can write to this range} */
  public boolean isWritable() {
    return permissions.charAt(1) == 'w';
  }

  /** {@return true if writes to this range are shared with others that map the same file} */
  public boolean isShared() {
    return permissions.charAt(3) == 's';
  }

  /**
   * {@return true if an address lies in this range}
   *
   * @param address an address in the process, unsigned
   */
  public boolean contains(long address) {
    return Long.compareUnsigned(start, address) <= 0 && Long.compareUnsigned(address, end) < 0;
  }

  /** {@return the size of the range in bytes} */
  public long size() {
    return end - start;
  }
}
