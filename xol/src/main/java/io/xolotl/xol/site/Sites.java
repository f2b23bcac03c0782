package io.xolotl.xol.site;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.LongMap;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.site.SiteException.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The probed addresses of a process: puts breakpoints there and takes them out, and knows where they have
 * been. Owned by the tracer thread.
 *
 * <p>Invariant: a site is in {@link #sites} exactly while its breakpoint is in memory.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
public final class Sites {

  private static final System.Logger LOGGER = System.getLogger("io.xolotl.xol.ProbedProcess");

  private final TracedProcess process;
  private final ProcessMemory memory;
  private final CodeArea area;
  private final Consumer<Site> whenOver;

  private final LongMap<Site> sites = new LongMap<>();

  /**
   * Where breakpoints have been, and what belongs there: for a thread that executed one before it was taken
   * out, and for a child that was forked before.
   */
  private final LongMap<Site> removed = new LongMap<>();

  /** The sites that were there when the session began to end. */
  private final Set<Site> last = new HashSet<>();

  /** Why breakpoints could not be looked for when that failed last. */
  private @Nullable PtraceException obstacle;
  /** It was said of a child that it keeps its copies of the slots. */
  private boolean childKeepsSlots;

  /**
   * The sites of a process that has none.
   *
   * @param area where their slots are
   * @param whenOver is told of each site that nobody can hit any more, before its breakpoint is taken out:
   *     its memory is unmapped, or it is withdrawn
   */
  public Sites(TracedProcess process, CodeArea area, Consumer<Site> whenOver) {
    this.process = process;
    this.area = area;
    this.whenOver = whenOver;
    memory = process.memory();
  }

  @Nullable
  public Site at(long address) {
    return sites.get(address);
  }

  /** A snapshot, in no order. */
  List<Site> all() {
    return sites.values();
  }

  /** Code as the program was loaded with it, without our breakpoints. */
  public byte[] programText(long address, int length) {
    byte[] code = memory.readText(address, length);
    for (int i = 0; i < code.length; i++) {
      if (code[i] == Breakpoints.INT3) {
        Site site = sites.get(address + i);
        if (site != null) {
          code[i] = site.originalByte();
        }
      }
    }
    return code;
  }

  // Breakpoints of ours that belong to no site.

  /**
   * Returns true if a thread has executed a breakpoint of ours that was removed since, and whose instruction
   * is whole again. A program that moves its code into other memory may have copied the breakpoint before it
   * was removed: that comes back with the code, and is removed now. In the same memory a breakpoint is one
   * that the program has put there since.
   */
  public boolean wasRemovedFrom(TracedThread thread, long address) {
    Site site = removed.get(address);
    if (site == null) {
      return false;
    }
    TracedProcess home = thread.process();
    if (!Breakpoints.isAt(home.memory(), address)) {
      return true;
    }
    MemoryMapping mapping = Breakpoints.mappingAt(address, mappingsOf(home));
    return mapping != null && !Backing.of(mapping, address).equals(site.backing)
        && restore(home, List.of(site)).isEmpty() && !Breakpoints.isAt(home.memory(), address);
  }

  /**
   * Returns true if a breakpoint that belongs to no site is ours all the same, since the program has moved
   * the memory (mremap(2)); the instruction is whole again then.
   */
  public boolean wasMovedTo(long address) {
    retireUnmapped();
    return !Breakpoints.isAt(memory, address);
  }

  // Sites whose memory has changed.

  /** Retires the sites whose memory is unmapped. */
  public void retireUnmapped() {
    List<MemoryMapping> mappings = process.mappings();
    withdraw(sites.values().stream().filter(site -> !isIntact(site, mappings)).toList());
  }

  /**
   * Drops the sites around an address whose breakpoint is no longer in memory: their code was unmapped or
   * written anew, and what is there now was never probed.
   */
  void forgetOverwritten(long address, List<MemoryMapping> mappings) {
    for (int i = 1 - Preparation.LONGEST; i < Preparation.LONGEST; i++) {
      Site site = sites.get(address + i);
      if (site != null && !isIntact(site, mappings)) {
        withdraw(List.of(site));
      }
    }
  }

  /**
   * Returns true if the breakpoint of a site is in memory. The same library, loaded again at the same
   * address, has the same backing but not our breakpoint; code that the program has moved into other memory
   * at the same address has it. What cannot be read though it is mapped may have been unmapped just now: the
   * next look tells.
   */
  public boolean isIntact(Site site, List<MemoryMapping> mappings) {
    MemoryMapping mapping = Breakpoints.mappingAt(site.address(), mappings);
    if (mapping == null) {
      return false;
    }
    Backing mapped = Backing.of(mapping, site.address());
    byte[] now = memory.readText(site.address(), site.code.length);
    if (now.length == 0) {
      return true;
    }
    if (!site.isIn(now, mapped)) {
      return false;
    }
    site.backing = mapped;
    return true;
  }

  // In and out.

  /**
   * Puts breakpoints in.
   *
   * @throws SiteException if the program has changed its code meanwhile; some may be in then
   */
  public void install(List<Site> fresh) {
    Breakpoints.install(memory, fresh, site -> {
      // In the map first: from the moment the byte is written any thread may stop there.
      sites.put(site.address(), site);
      site.installed = true;
      removed.remove(site.address());
    });
  }

  /** Returns true if the instruction behind a site's breakpoint is still the one that was displaced. */
  public boolean isFresh(Site site, TracedThread thread) {
    int length = site.instruction.length();
    return site.isFresh(thread) || site.isGuard()
        && Arrays.equals(programText(site.address(), length), 0, length, site.code, 0, length);
  }

  /** Puts a site in the place of another, whose breakpoint serves it from now on. */
  public void replace(Site stale, Site fresh) {
    sites.put(stale.address(), fresh);
    fresh.installed = true;
    stale.retire();
  }

  /** Gives the slots of sites back that were prepared and not installed. */
  public void discard(List<Site> fresh) {
    for (Site site : fresh) {
      if (!site.installed) {
        site.leaveGuard();
        site.retire();
      }
    }
  }

  /** Takes sites out that nobody can hit any more, whoever uses them, and those that they guard. */
  public void withdraw(List<Site> some) {
    var all = new LinkedHashSet<>(some);
    some.forEach(site -> all.addAll(site.guarded));
    all.forEach(whenOver);
    uninstall(List.copyOf(all));
  }

  /**
   * Takes sites out that nobody uses any more.
   *
   * @throws SiteException if a breakpoint cannot be taken out of memory: it has no effect any more, and goes
   *     when the session ends
   */
  public void remove(List<Site> unused) {
    uninstall(unused);
    for (Site site : unused) {
      if (site.installed) {
        throw notRestored(site, process);
      }
    }
  }

  /** Takes sites out whose breakpoints can be had; the others stay. A guard goes behind what it guards. */
  private void uninstall(List<Site> leaving) {
    List<Site> guarded = leaving.stream().filter(site -> site.guard != null).toList();
    if (!guarded.isEmpty() && guarded.size() < leaving.size()) {
      uninstall(guarded);
      uninstall(leaving.stream().filter(site -> site.guard == null).toList());
      return;
    }
    var rest = new HashSet<>(restore(process, leaving));
    for (Site site : leaving) {
      if (!rest.contains(site)) {
        sites.remove(site.address());
        removed.put(site.address(), site);
        site.retire();
      }
    }
  }

  /**
   * Puts the program's bytes back where our breakpoints are. Memory may be unmapped between the look at the
   * mappings and the access: what could not be had is looked at once more.
   *
   * @param target the process, or one that has copies of its memory
   * @return those that could not be restored though they are mapped, or though nobody knows what is mapped
   */
  private List<Site> restore(TracedProcess target, List<Site> leaving) {
    List<Site> rest = leaving;
    for (int look = 0; look < 2 && !rest.isEmpty(); look++) {
      try {
        rest = Breakpoints.remove(target.memory(), rest, mappingsOf(target),
            address -> sites.get(address) != null);
      } catch (PtraceException e) {
        // What cannot be read is not gone.
        obstacle = e;
      }
    }
    return rest;
  }

  private SiteException notRestored(Site site, TracedProcess target) {
    PtraceException why = obstacle;
    return new SiteException(Reason.BREAKPOINT_LEFT, site.address(),
        "the breakpoint at " + SiteException.hex(site.address()) + " cannot be removed from the memory of "
            + target + ", which dies if a thread hits it"
            + (why == null ? ": the memory cannot be written" : ": " + why.getMessage()));
  }

  public static List<MemoryMapping> mappingsOf(TracedProcess some) {
    try {
      return some.mappings();
    } catch (ThreadGoneException e) {
      // It has ended, as is reported next, and its memory with it.
      return List.of();
    }
  }

  // The end.

  /** Withdraws all, and takes out what can be had; others are tried again with the next call. */
  public void removeAll() {
    List<Site> all = sites.values();
    last.addAll(all);
    withdraw(all);
  }

  /**
   * Looks once more at every place where a breakpoint was when the session began to end, and where memory was
   * moved since it was removed. All threads are stopped.
   *
   * @return what to tell if a breakpoint of ours is in memory still, or null
   */
  @Nullable
  public SiteException removeForGood() {
    removeAll();
    var left = new ArrayList<>(sites.values());
    if (removed.size() > 0) {
      try {
        left.addAll(restore(process, suspects(mappingsOf(process))));
      } catch (PtraceException e) {
        // The other threads are let go all the same.
        obstacle = e;
        left.addAll(removed.values());
      }
    }
    return left.isEmpty() ? null : notRestored(left.getFirst(), process);
  }

  private List<Site> suspects(List<MemoryMapping> mappings) {
    var suspects = new ArrayList<Site>();
    for (Site site : removed.values()) {
      MemoryMapping mapping = Breakpoints.mappingAt(site.address(), mappings);
      if (mapping != null
          && (last.contains(site) || !Backing.of(mapping, site.address()).equals(site.backing))) {
        suspects.add(site);
      }
    }
    return suspects;
  }

  /**
   * Makes a forked child as if its parent had never been probed. Breakpoints that came or went since the fork
   * are covered too: the byte decides.
   *
   * @param thread the child's, stopped
   */
  public void clean(TracedProcess child, TracedThread thread) {
    child.makeAccessible(thread);
    var all = new ArrayList<>(sites.values());
    all.addAll(removed.values());
    List<Site> rest = restore(child, all);
    try {
      area.unmapFrom(thread, mappingsOf(child));
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.SECCOMP) {
        throw e;
      }
      if (!childKeepsSlots) {
        // Said of one: a server may have thousands.
        childKeepsSlots = true;
        area.sayThatItStays(child + " and others that process " + process.pid() + " creates", e);
      }
    }
    for (Site site : rest) {
      throw notRestored(site, child);
    }
  }

  /**
   * Takes the breakpoints out of memory that others had together with the process, which has another now or
   * none. Through each of them: one may have ended or executed a program, too.
   */
  public void restoreIn(Collection<TracedProcess> borrowers) {
    List<Site> all = sites.values();
    for (TracedProcess borrower : borrowers) {
      for (Site site : restore(borrower, all)) {
        LOGGER.log(System.Logger.Level.ERROR, notRestored(site, borrower).getMessage());
      }
    }
    for (Site site : all) {
      whenOver.accept(site);
      site.installed = false;
      sites.remove(site.address());
      removed.put(site.address(), site);
    }
  }

  /** The address space is gone: the process has ended or executed another program. */
  public void forgetAll() {
    for (Site site : sites.values()) {
      whenOver.accept(site);
      site.installed = false;
      sites.remove(site.address());
    }
    for (Site site : removed.values()) {
      removed.remove(site.address());
    }
    last.clear();
    area.clear();
  }
}
