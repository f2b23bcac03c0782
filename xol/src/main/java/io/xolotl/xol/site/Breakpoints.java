package io.xolotl.xol.site;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.site.SiteException.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Writes breakpoints into text and takes them out, with one read a page however many there are.
 *
 * <p>Each instruction's first byte changes, and nothing else: a thread that executes there meanwhile fetches
 * either the one or the other byte, and what the program writes beside it between our read and our write is
 * not lost.
 */
@TracerThread
final class Breakpoints {

  static final byte INT3 = (byte) 0xcc;

  private static final int PAGE_BYTES = 4096;

  private Breakpoints() {}

  static boolean isAt(ProcessMemory memory, long address) {
    byte[] now = memory.readText(address, 1);
    return now.length == 1 && now[0] == INT3;
  }

  /**
   * Puts breakpoints at sites.
   *
   * @param beforeWrite is given each site when its bytes are as expected and the first is about to be
   *     overwritten
   * @throws SiteException if the program has changed its code meanwhile; the sites that were given on must
   *     be taken out
   */
  static void install(ProcessMemory memory, List<Site> sites, Consumer<Site> beforeWrite) {
    forEachPage(sites, (page, span) -> {
      long start = page[0].address();
      byte[] text = memory.readText(start, span + Preparation.LONGEST);
      for (Site site : page) {
        checkUnchanged(site, text, (int) (site.address() - start));
      }
      for (Site site : page) {
        beforeWrite.accept(site);
        memory.writeText(site.address(), INT3);
      }
    });
  }

  private static void checkUnchanged(Site site, byte[] text, int offset) {
    int length = site.instruction.length();
    if (offset + length > text.length) {
      throw new SiteException(Reason.UNREADABLE, site.address(),
          "the code at " + SiteException.hex(site.address()) + " can no longer be read");
    }
    if (!Arrays.equals(text, offset, offset + length, site.code, 0, length)) {
      throw new SiteException(Reason.UNREADABLE, site.address(),
          "the code at " + SiteException.hex(site.address()) + " changes while it is probed; try again");
    }
  }

  /**
   * Puts the program's bytes back wherever our breakpoints are by now: at the sites, where their bytes decide
   * and not whose memory it is, and where that has been moved to.
   *
   * @param isSite tells the addresses of sites, which are not taken for places where another was moved to
   * @return the sites whose memory is mapped but could not be read or written
   */
  static List<Site> remove(ProcessMemory memory, List<Site> sites, List<MemoryMapping> mappings,
      LongPredicate isSite) {
    var left = new ArrayList<Site>();
    var here = new ArrayList<Site>();
    var gone = new ArrayList<Site>();
    for (Site site : sites) {
      (mappingAt(site.address(), mappings) == null ? gone : here).add(site);
    }
    forEachPage(here, (page, span) -> {
      long start = page[0].address();
      byte[] text = memory.readText(start, span + Preparation.LONGEST);
      for (Site site : page) {
        int offset = (int) (site.address() - start);
        Backing mapped = Backing.of(Objects.requireNonNull(mappingAt(site.address(), mappings)),
            site.address());
        if (offset >= text.length) {
          left.add(site);
        } else if (site
            .isIn(Arrays.copyOfRange(text, offset, Math.min(text.length, offset + site.code.length)),
                mapped)) {
          if (!isWritten(memory, site.address(), site.originalByte())) {
            left.add(site);
          }
        } else if (!mapped.equals(site.backing)) {
          gone.add(site);
        }
      }
    });
    left.addAll(removeElsewhere(memory, gone, mappings, isSite));
    return left;
  }

  private static boolean isWritten(ProcessMemory memory, long start, byte... text) {
    try {
      memory.writeText(start, text);
      return true;
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.MEMORY_INACCESSIBLE) {
        throw e;
      }
      return false;
    }
  }

  /**
   * mremap(2) moves private pages with the breakpoints in them, also those that were copied into anonymous
   * memory before. Returns the sites that could not be restored.
   */
  private static Set<Site> removeElsewhere(ProcessMemory memory, List<Site> sites,
      List<MemoryMapping> mappings,
      LongPredicate isSite) {
    var left = new LinkedHashSet<Site>();
    for (MemoryMapping mapping : mappings) {
      if (mapping.isShared()) {
        continue;
      }
      for (Site site : sites) {
        if (!site.backing.isAnonymous() && site.backing.isOf(mapping)) {
          long address = mapping.start() + site.backing.offset() - mapping.offset();
          if (mapping.contains(address) && !isSite.test(address) && !isRemovedAt(memory, site, address)) {
            left.add(site);
          }
        }
      }
      // All but the vDSO and its like. The kernel moves whole pages.
      boolean code = mapping.inode() == 0 && mapping.isExecutable() && !mapping.path().startsWith("[v");
      for (long page = mapping.start(); code && !sites.isEmpty()
          && page != mapping.end(); page += PAGE_BYTES) {
        byte[] text = memory.readText(page, PAGE_BYTES);
        for (Site site : sites) {
          int offset = (int) (site.address() & PAGE_BYTES - 1);
          if (offset >= text.length || text[offset] == INT3 && !isSite.test(page + offset)
              && !isRemovedAt(memory, site, page + offset)) {
            left.add(site);
          }
        }
      }
    }
    return left;
  }

  private static boolean isRemovedAt(ProcessMemory memory, Site site, long address) {
    byte[] now = memory.readText(address, site.code.length);
    return now.length > 0 && (!site.resembles(now) || isWritten(memory, address, site.originalByte()));
  }

  static @Nullable MemoryMapping mappingAt(long address, List<MemoryMapping> mappings) {
    int low = 0;
    int high = mappings.size() - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      MemoryMapping mapping = mappings.get(middle);
      if (mapping.contains(address)) {
        return mapping;
      }
      if (Long.compareUnsigned(mapping.start(), address) < 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return null;
  }

  private interface PageAction {
    /**
     * Handles the sites of one page, in ascending order; {@code span} bytes reach from the first to the last.
     */
    void accept(Site[] page, int span);
  }

  private static void forEachPage(List<Site> sites, PageAction action) {
    Site[] sorted = sites.toArray(Site[]::new);
    Arrays.sort(sorted, Comparator.comparing(Site::address, Long::compareUnsigned));
    for (int from = 0; from < sorted.length;) {
      int to = from + 1;
      while (to < sorted.length
          && sorted[to].address() / PAGE_BYTES == sorted[from].address() / PAGE_BYTES) {
        to++;
      }
      action.accept(Arrays.copyOfRange(sorted, from, to),
          (int) (sorted[to - 1].address() - sorted[from].address()) + 1);
      from = to;
    }
  }
}
