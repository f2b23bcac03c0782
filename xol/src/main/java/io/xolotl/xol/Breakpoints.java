package io.xolotl.xol;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.xol.ProbeException.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Writes breakpoints into text and takes them out, with one read and one write a page however many there are.
 *
 * <p>Of what is written at once each instruction's first byte changes, and nothing else: a thread that executes there
 * meanwhile fetches either the one or the other byte. Text that the program itself can write to is written byte by byte,
 * since what it writes between our read and our write would be lost.
 */
final class Breakpoints {

  static final byte INT3 = (byte) 0xcc;

  private static final int PAGE_BYTES = 4096;
  private static final int LONGEST = 15;

  private Breakpoints() {}

  static boolean isAt(ProcessMemory memory, long address) {
    byte[] now = memory.readText(address, 1);
    return now.length == 1 && now[0] == INT3;
  }

  /**
   * Puts breakpoints at sites.
   *
   * @param beforeWrite is given each site when its byte is as expected and about to be overwritten
   * @throws ProbeException if the program has changed its code meanwhile; the sites that were given on must be taken out
   */
  static void install(ProcessMemory memory, List<Site> sites, Consumer<Site> beforeWrite) {
    forEachPage(sites, (page, span) -> {
      long start = page[0].address();
      byte[] text = memory.readText(start, span);
      for (Site site : page) {
        int offset = (int) (site.address() - start);
        if (offset >= text.length) {
          throw new ProbeException(Reason.SYSTEM_ERROR, site.address(),
              "the code at 0x" + Long.toHexString(site.address()) + " cannot be read any more");
        }
        if (text[offset] != site.originalByte()) {
          throw new ProbeException(Reason.SYSTEM_ERROR, site.address(),
              "the code at 0x" + Long.toHexString(site.address()) + " changes while it is probed; try again");
        }
      }
      for (Site site : page) {
        beforeWrite.accept(site);
        text[(int) (site.address() - start)] = INT3;
      }
      memory.writeText(start, text);
    });
  }

  /**
   * Puts the program's bytes back, except where something else is by now or nothing at all.
   *
   * @param isSite tells the addresses of sites, which are not taken for places where another was moved to
   * @return the sites whose memory is mapped but could not be read or written
   */
  static List<Site> remove(ProcessMemory memory, List<Site> sites, List<MemoryMapping> mappings,
      LongPredicate isSite) {
    var left = new ArrayList<Site>();
    var here = new ArrayList<Site>();
    for (Site site : sites) {
      if (isMapped(site, mappings)) {
        here.add(site);
      } else if (!isRemovedElsewhere(memory, site, mappings, isSite)) {
        left.add(site);
      }
    }
    forEachPage(here, (page, span) -> {
      long start = page[0].address();
      byte[] text = memory.readText(start, span + LONGEST);
      byte[] restored = Arrays.copyOf(text, Math.min(span, text.length));
      var ours = new ArrayList<Site>();
      for (Site site : page) {
        int offset = (int) (site.address() - start);
        if (offset >= text.length) {
          left.add(site);
        } else if (site
            .isIn(Arrays.copyOfRange(text, offset, Math.min(text.length, offset + site.code.length)))) {
          restored[offset] = site.originalByte();
          ours.add(site);
        }
      }
      if (!ours.isEmpty() && !isWritten(memory, start, restored)) {
        left.addAll(ours);
      }
    });
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

  /** mremap(2) moves private pages with the breakpoints in them. */
  private static boolean isRemovedElsewhere(ProcessMemory memory, Site site, List<MemoryMapping> mappings,
      LongPredicate isSite) {
    Site.Backing backing = site.backing;
    boolean removed = true;
    for (MemoryMapping mapping : mappings) {
      if (mapping.isShared() || mapping.inode() != backing.inode()
          || !mapping.device().equals(backing.device())) {
        continue;
      }
      if (!backing.isAnonymous()) {
        long address = mapping.start() + backing.offset() - mapping.offset();
        removed &= !mapping.contains(address) || isSite.test(address) || isRemovedAt(memory, site, address);
      } else if (mapping.isExecutable() && !mapping.path().startsWith("[v")) {
        // All but the vDSO and its like. The kernel moves whole pages.
        for (long page = mapping.start(); page != mapping.end(); page += PAGE_BYTES) {
          long address = page + (site.address() & PAGE_BYTES - 1);
          removed &= isSite.test(address) || isRemovedAt(memory, site, address);
        }
      }
    }
    return removed;
  }

  private static boolean isRemovedAt(ProcessMemory memory, Site site, long address) {
    byte[] now = memory.readText(address, site.code.length);
    return now.length > 0 && (!site.resembles(now) || isWritten(memory, address, site.originalByte()));
  }

  static boolean isMapped(Site site, List<MemoryMapping> mappings) {
    MemoryMapping mapping = mappingAt(site.address(), mappings);
    return mapping != null && Site.Backing.of(mapping, site.address()).equals(site.backing);
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
    /** Handles the sites of one page, in ascending order; {@code span} bytes reach from the first to the last. */
    void accept(Site[] page, int span);
  }

  private static void forEachPage(List<Site> sites, PageAction action) {
    Site[] sorted = sites.toArray(Site[]::new);
    Arrays.sort(sorted, Comparator.comparing(Site::address, Long::compareUnsigned));
    for (int from = 0; from < sorted.length;) {
      int to = from + 1;
      while (to < sorted.length && !sorted[from].writable
          && sorted[to].address() / PAGE_BYTES == sorted[from].address() / PAGE_BYTES) {
        to++;
      }
      action.accept(Arrays.copyOfRange(sorted, from, to),
          (int) (sorted[to - 1].address() - sorted[from].address()) + 1);
      from = to;
    }
  }
}
