package io.xolotl.decoder;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * Whose reading of the instruction set applies: the two differ in near branches with an operand-size prefix.
 */
public enum CpuVendor {
  /** Intel and all others: a near branch in 64-bit code ignores prefix 66. */
  INTEL,
  /** AMD and Hygon: prefix 66 makes a near branch 16 bits wide. */
  AMD;

  /**
   * Returns the vendor of the CPU that this program runs on, from {@code /proc/cpuinfo}.
   *
   * @return {@link #INTEL} also where the file cannot be read
   */
  public static CpuVendor ofThisCpu() {
    try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"), StandardCharsets.ISO_8859_1)) {
      return lines.filter(line -> line.startsWith("vendor_id")).findFirst().map(CpuVendor::ofCpuinfo)
          .orElse(INTEL);
    } catch (IOException unreadable) {
      return INTEL;
    }
  }

  static CpuVendor ofCpuinfo(String line) {
    return line.endsWith("AuthenticAMD") || line.endsWith("HygonGenuine") ? AMD : INTEL;
  }
}
