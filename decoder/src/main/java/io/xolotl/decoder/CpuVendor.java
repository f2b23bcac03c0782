package io.xolotl.decoder;

import java.io.FileInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * Whose reading of the instruction set applies: the two differ in near branches with an operand-size prefix.
 */
public enum CpuVendor {
  /** Intel and all others: a near branch in 64-bit code ignores prefix 66. */
  INTEL,
  /** AMD and Hygon: prefix 66 makes a near branch 16 bits wide. */
  AMD;

  /** Bytes in which the first CPU's vendor is. */
  private static final int HEAD = 512;

  /**
   * Returns the vendor of the CPU that this program runs on, from {@code /proc/cpuinfo}.
   *
   * @return {@link #INTEL} also where the file cannot be read
   */
  public static CpuVendor ofThisCpu() {
    // Its first lines are enough. No reader and no stream: a JVM that has just started takes milliseconds to
    // load them.
    try (var cpuinfo = new FileInputStream("/proc/cpuinfo")) {
      var head = new String(cpuinfo.readNBytes(HEAD), StandardCharsets.ISO_8859_1);
      int start = head.indexOf("vendor_id");
      int end = head.indexOf('\n', start);
      return start < 0 || end < 0 ? INTEL : ofCpuinfo(head.substring(start, end));
    } catch (IOException unreadable) {
      return INTEL;
    }
  }

  static CpuVendor ofCpuinfo(String line) {
    return line.endsWith("AuthenticAMD") || line.endsWith("HygonGenuine") ? AMD : INTEL;
  }
}
