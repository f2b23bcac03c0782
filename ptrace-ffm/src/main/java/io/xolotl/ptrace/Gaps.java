package io.xolotl.ptrace;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Unmapped address ranges, nearest first. */
final class Gaps {

  private static final long PAGE = 4096;
  /** The lowest address that the kernel's default {@code vm.mmap_min_addr} allows. */
  private static final long LOWEST = 0x10000;

  private Gaps() {}

  private record Candidate(long start, long distance) {}

  /** Where in a gap to be. */
  private enum End {
    LOW, MIDDLE, HIGH
  }

  /**
   * Where {@code size} bytes could be mapped.
   *
   * @param mappings all mappings of the process in ascending order
   * @param near where to be near
   * @param reach the greatest distance that any byte may have from there
   * @param size in bytes, a multiple of the page size
   * @param limit the first address that cannot be mapped
   * @return page-aligned addresses, nearest first, at most one a gap
   */
  static List<Long> near(List<MemoryMapping> mappings, long near, long reach, long size, long limit) {
    var candidates = new ArrayList<Candidate>();
    long low = LOWEST;
    boolean heapBelow = false;
    for (MemoryMapping above : mappings) {
      if (Long.compareUnsigned(above.start(), limit) >= 0) {
        // [vsyscall] lies in the kernel's half.
        break;
      }
      End end = end(heapBelow, above.path().equals("[stack]"), above.start() <= near);
      add(candidates, low, above.start(), end, near, reach, size);
      low = Math.max(low, above.end());
      heapBelow = above.path().equals("[heap]");
    }
    add(candidates, low, limit, end(heapBelow, false, false), near, reach, size);
    candidates.sort(Comparator.comparingLong(Candidate::distance));
    return candidates.stream().map(Candidate::start).toList();
  }

  /** What grows into a gap keeps the gap's other end: the stack downwards, the heap upwards. */
  private static End end(boolean heapBelow, boolean stackAbove, boolean nearIsAbove) {
    if (heapBelow && stackAbove) {
      return End.MIDDLE;
    }
    return heapBelow || nearIsAbove && !stackAbove ? End.HIGH : End.LOW;
  }

  private static void add(List<Candidate> candidates, long low, long high, End end, long near, long reach,
      long size) {
    long first = Math.max(low, near - reach) + PAGE - 1 & -PAGE;
    long last = Math.min(high, near + reach) - size & -PAGE;
    if (first > last) {
      return;
    }
    long start = switch (end) {
      case LOW -> first;
      case MIDDLE -> first + (last - first) / 2 & -PAGE;
      case HIGH -> last;
    };
    candidates.add(new Candidate(start, Math.max(Math.abs(near - start), Math.abs(start + size - near))));
  }
}
