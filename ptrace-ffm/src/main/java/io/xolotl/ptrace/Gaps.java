package io.xolotl.ptrace;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Unmapped address ranges, nearest first. */
final class Gaps {

  private static final long PAGE = 4096;
  /** The lowest address that the kernel's default {@code vm.mmap_min_addr} allows. */
  private static final long LOWEST = 0x10000;
  /** {@code TASK_SIZE_MAX} with four-level page tables: mmap gives nothing above without being asked to. */
  private static final long HIGHEST = 0x7fff_ffff_f000L;

  private Gaps() {}

  private record Candidate(long start, long distance) {}

  /**
   * Where {@code size} bytes could be mapped.
   *
   * @param mappings all mappings of the process in ascending order
   * @param near where to be near
   * @param reach the greatest distance that any byte may have from there
   * @param size in bytes, a multiple of the page size
   * @return page-aligned addresses, nearest first, at most one a gap
   */
  static List<Long> near(List<MemoryMapping> mappings, long near, long reach, long size) {
    var candidates = new ArrayList<Candidate>();
    long low = LOWEST;
    MemoryMapping below = null;
    for (MemoryMapping above : mappings) {
      if (above.start() < 0) {
        // [vsyscall] lies in the kernel's half.
        break;
      }
      // What grows into a gap keeps the gap's other end: the stack downwards, the heap upwards.
      boolean top = grows(below, "[heap]")
          || Long.compareUnsigned(above.start(), near) <= 0 && !grows(above, "[stack]");
      add(candidates, low, above.start(), top, near, reach, size);
      low = Math.max(low, above.end());
      below = above;
    }
    add(candidates, low, HIGHEST, grows(below, "[heap]"), near, reach, size);
    candidates.sort(Comparator.comparingLong(Candidate::distance));
    return candidates.stream().map(Candidate::start).toList();
  }

  private static boolean grows(@org.jspecify.annotations.Nullable MemoryMapping mapping, String name) {
    return mapping != null && mapping.path().equals(name);
  }

  private static void add(List<Candidate> candidates, long low, long high, boolean top, long near, long reach,
      long size) {
    if (high - low < size) {
      return;
    }
    long start = top ? high - size & -PAGE : low + PAGE - 1 & -PAGE;
    if (start < low || start + size > high) {
      return;
    }
    long distance = Math.max(Math.abs(near - start), Math.abs(start + size - near));
    if (distance <= reach) {
      candidates.add(new Candidate(start, distance));
    }
  }
}
