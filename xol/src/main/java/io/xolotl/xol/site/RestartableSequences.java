package io.xolotl.xol.site;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Effect.IndirectJump;
import io.xolotl.decoder.Effect.Jump;
import io.xolotl.decoder.Effect.Return;
import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.RestartableSequence;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.elf.LoadedModule;
import io.xolotl.xol.elf.LoadedSection;
import io.xolotl.xol.elf.SymbolResolver;
import io.xolotl.xol.site.SiteException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The restartable sequences of a process (rseq(2)), in which nothing can be probed: a thread that executes a
 * displaced instruction is outside of them for the kernel, which then forgets that the thread had begun one.
 *
 * <p>Nothing lists them all. A compiler's or assembler's are in the section {@code __rseq_cs} of its file.
 * Others can be known by the signature in front of each abort handler, in executable memory: whose module has
 * signatures without a known record, or no file to look for them in, may be in a sequence that a thread makes
 * known only while it is in it. The records of such a module are looked for in its data; and each hit there
 * is to be looked at. A thread that hits is in its sequence still, and is aborted as it goes on, so that not
 * even the first hit harms.
 *
 * <p>All that is read here is the program's to write. A record counts if its sequence lies in executable
 * memory. Owned by the tracer thread.
 */
@TracerThread
public final class RestartableSequences {

  private static final String SECTION = "__rseq_cs";

  /** Records that are read of sections: far more than any program has. */
  private static final int MOST_RECORDS = 1 << 15;
  /** Sequences that are known from threads alone. */
  private static final int MOST_SEEN = 256;
  /** How much data of a module is searched for records, in bytes. */
  private static final int MOST_DATA = 16 << 20;
  private static final int CHUNK = 64 << 10;

  private final TracedProcess process;
  private final ProcessMemory memory;
  private final SymbolResolver modules;

  /** As of the last registration, and what follows from them. */
  private List<MemoryMapping> mappings = List.of();
  private List<LoadedSection> sections = List.of();
  /** Executable memory, in ascending order; what adjoins is one. */
  private long[] executableStarts = {};
  private long[] executableEnds = {};

  /**
   * Whether the module that starts at an address was found to have no sequences but known ones, in this
   * registration.
   */
  private final Map<Long, Boolean> free = new HashMap<>();
  /**
   * The same of the mapping that was asked about last: many probes are registered together, and near to each
   * other.
   */
  private @Nullable MemoryMapping lastMapping;
  private boolean lastFree;

  /** Named by the areas of threads. */
  private final Set<RestartableSequence> seen = new LinkedHashSet<>();
  /** All that are known. */
  private Set<RestartableSequence> known = Set.of();
  /** The same by start address, and for each the index of the one that reaches furthest of those up to it. */
  private RestartableSequence[] sorted = {};
  private int[] furthest = {};
  private final Set<Long> starts = new HashSet<>();

  /** A thread has registered another signature than everybody's: no module is known to be free. */
  private boolean ownSignature;
  /** Something has become known that probes may have to end for. */
  private boolean news;

  public RestartableSequences(TracedProcess process) {
    this.process = process;
    memory = process.memory();
    modules = new SymbolResolver(process.pid(), List.of(), memory::tryRead);
  }

  /** The program's memory is another now. */
  void forget() {
    seen.clear();
    known = Set.of();
    index();
    mappings = List.of();
    lastMapping = null;
    ownSignature = false;
  }

  /** Reads the records anew, since modules come and go, and are relocated after they are mapped. */
  void update(List<MemoryMapping> now) {
    if (!now.equals(mappings)) {
      modules.update(now);
      sections = modules.sections(SECTION);
      mappings = now;
      findExecutable();
      seen.removeIf(sequence -> !isExecutable(sequence));
    }
    free.clear();
    lastMapping = null;
    var read = new HashSet<>(seen);
    int left = MOST_RECORDS;
    for (LoadedSection section : sections) {
      left -= readRecords(section, left, read);
    }
    replace(read);
  }

  private void replace(Set<RestartableSequence> all) {
    if (!known.equals(all)) {
      news |= !known.containsAll(all);
      known = all;
      index();
    }
  }

  /** Returns true, once, if sequences have become known, or that nobody knows where they are. */
  boolean takeNews() {
    boolean taken = news;
    news = false;
    return taken;
  }

  private void index() {
    sorted = known.toArray(RestartableSequence[]::new);
    Arrays.sort(sorted, Comparator.comparing(RestartableSequence::start));
    furthest = new int[sorted.length];
    starts.clear();
    for (int i = 0; i < sorted.length; i++) {
      furthest[i] = i == 0 || sorted[furthest[i - 1]].end() < sorted[i].end() ? i : furthest[i - 1];
      starts.add(sorted[i].start());
    }
  }

  /** The sequence around an address; null if none is known. */
  @Nullable
  RestartableSequence containing(long address) {
    int low = 0;
    int high = sorted.length;
    while (low < high) {
      int middle = low + high >>> 1;
      if (sorted[middle].start() <= address) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == 0) {
      return null;
    }
    RestartableSequence candidate = sorted[furthest[low - 1]];
    return candidate.contains(address) ? candidate : null;
  }

  /** Returns true if a known sequence starts at an address. */
  boolean startsAt(long address) {
    return starts.contains(address);
  }

  /**
   * Refuses an address in a sequence.
   *
   * @throws SiteException with {@link Reason#RESTARTABLE_SEQUENCE}
   */
  void check(long address) {
    // Before the look-up, since it may find some.
    isFree(address);
    RestartableSequence sequence = containing(address);
    if (sequence != null) {
      throw refusal(sequence, address, "");
    }
  }

  SiteException refusal(RestartableSequence sequence, long address, String consequence) {
    LoadedModule module = modules.moduleAt(sequence.start());
    return new SiteException(Reason.RESTARTABLE_SEQUENCE, address, SiteException.hex(address)
        + " is in the restartable sequence from " + SiteException.hex(sequence.start()) + " to "
        + SiteException.hex(sequence.end())
        + (module == null ? "" : " of " + module.name())
        + ", and the kernel would not notice that a hit interrupts it" + consequence
        + "; probe an instruction before " + SiteException.hex(sequence.start()) + ", one from "
        + SiteException.hex(sequence.end()) + " on, or its abort handler at "
        + SiteException.hex(sequence.abortHandler()));
  }

  /**
   * Returns true if a thread gets from an instruction into a restartable sequence that begins behind it. The
   * kernel aborts the sequence if the thread was stopped since the instruction was executed, or has begun to
   * be, so that it would come back to the instruction for ever. Only a boosted copy runs on without a stop;
   * and a jump goes elsewhere.
   */
  static boolean isReachedFrom(Technique technique, Effect effect) {
    return technique == Technique.BOOSTED || effect instanceof Jump || effect instanceof IndirectJump
        || effect instanceof Return;
  }

  /** The refusal of what would never get into the sequence behind it: see {@link #isReachedFrom}. */
  static SiteException cannotBeEntered(DecodedInstruction instruction, Technique technique) {
    return new SiteException(Reason.TECHNIQUE_NOT_APPLICABLE, instruction.address(), "'" + instruction.text()
        + "' at " + SiteException.hex(instruction.address()) + " cannot be executed by technique " + technique
        + ", only by BOOSTED: a restartable sequence begins behind it, which the kernel aborts when its "
        + "thread is stopped there");
  }

  /** Returns false if a hit at an address, which is in no known sequence, may be in one all the same. */
  boolean isFree(long address) {
    if (ownSignature) {
      return false;
    }
    MemoryMapping before = lastMapping;
    if (before == null || !before.contains(address)) {
      LoadedModule module = modules.moduleAt(address);
      lastFree = module != null && free.computeIfAbsent(module.start(), start -> examine(module, address));
      lastMapping = Breakpoints.mappingAt(address, mappings);
    }
    return lastFree;
  }

  private boolean examine(LoadedModule module, long address) {
    long[] handlers = modules.abortHandlers(address);
    if (handlers == null) {
      return false;
    }
    Set<Long> unexplained = new HashSet<>();
    Arrays.stream(handlers).forEach(unexplained::add);
    known.forEach(sequence -> unexplained.remove(sequence.abortHandler()));
    if (unexplained.isEmpty()) {
      return true;
    }
    var all = new HashSet<>(known);
    searchData(module, unexplained, all);
    replace(all);
    all.forEach(sequence -> unexplained.remove(sequence.abortHandler()));
    return unexplained.isEmpty();
  }

  /**
   * Looks at every word of a module's data that names an abort handler, and whether the rest of a record is
   * around it.
   */
  private void searchData(LoadedModule module, Set<Long> handlers, Set<RestartableSequence> into) {
    int left = MOST_DATA;
    byte[] bytes = new byte[CHUNK];
    for (MemoryMapping mapping : mappings) {
      if (mapping.start() < module.start() || mapping.end() > module.end() || mapping.isExecutable()) {
        continue;
      }
      // Chunks overlap by a record less a word.
      for (long at = mapping.start(); at < mapping.end()
          && left > 0; at += CHUNK - RestartableSequence.BYTES + Long.BYTES) {
        int length = memory.tryRead(at, bytes, 0, (int) Math.min(CHUNK, mapping.end() - at));
        left -= CHUNK;
        ByteBuffer words = ByteBuffer.wrap(bytes, 0, length).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i + RestartableSequence.BYTES <= length; i += Long.BYTES) {
          long handler = words.getLong(i + RestartableSequence.ABORT_HANDLER);
          long bias = handlers.contains(handler) ? 0 : module.bias();
          if (handlers.contains(handler + bias) && words.getInt(i) == 0) {
            add(words.getLong(i + RestartableSequence.START) + bias,
                words.getLong(i + RestartableSequence.LENGTH), handler + bias, into);
          }
        }
      }
    }
  }

  /** Returns how many records it took from a section, at most so many. */
  private int readRecords(LoadedSection section, int most, Set<RestartableSequence> into) {
    int records = (int) Math.min(Long.divideUnsigned(section.size(), RestartableSequence.BYTES), most);
    byte[] bytes = new byte[records * RestartableSequence.BYTES];
    int length = memory.tryRead(section.address(), bytes, 0, bytes.length);
    ByteBuffer words = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i + RestartableSequence.BYTES <= length; i += RestartableSequence.BYTES) {
      if (words.getInt(i) == 0) {
        add(relocated(words, i + RestartableSequence.START, section),
            words.getLong(i + RestartableSequence.LENGTH),
            relocated(words, i + RestartableSequence.ABORT_HANDLER, section), into);
      }
    }
    return records;
  }

  /**
   * The dynamic linker tells of a library that dlopen(3) loads before it relocates it (dl_open_worker_begin()
   * in elf/dl-open.c of glibc), and a launched program can be held before its first instruction: the words
   * are then what the linker has put there.
   */
  private long relocated(ByteBuffer words, int at, LoadedSection section) {
    long word = words.getLong(at);
    return isExecutable(word, 1)
        ? word
        : section.relocatedWord(section.address() + at).orElse(word + section.module().bias());
  }

  private void add(long start, long length, long abortHandler, Set<RestartableSequence> into) {
    RestartableSequence sequence = RestartableSequence.of(start, length, abortHandler);
    if (sequence != null && isExecutable(sequence)) {
      into.add(sequence);
    }
  }

  /**
   * Takes note of what a thread's area names; of one that runs, if it was asked while it was stopped before.
   */
  void observe(TracedThread thread) {
    RestartableSequence sequence = thread.restartableSequence();
    if (thread.hasOwnSequenceSignature() && !ownSignature) {
      ownSignature = true;
      news = true;
    }
    if (sequence != null && !known.contains(sequence) && isExecutable(sequence) && seen.size() < MOST_SEEN) {
      seen.add(sequence);
      var all = new HashSet<>(known);
      all.add(sequence);
      replace(all);
    }
  }

  private void findExecutable() {
    var startsFound = new ArrayList<Long>();
    var endsFound = new ArrayList<Long>();
    for (MemoryMapping mapping : mappings) {
      if (mapping.isExecutable() && mapping.start() >= 0) {
        if (!endsFound.isEmpty() && endsFound.getLast() == mapping.start()) {
          endsFound.removeLast();
        } else {
          startsFound.add(mapping.start());
        }
        endsFound.add(mapping.end());
      }
    }
    executableStarts = startsFound.stream().mapToLong(Long::longValue).toArray();
    executableEnds = endsFound.stream().mapToLong(Long::longValue).toArray();
  }

  private boolean isExecutable(RestartableSequence sequence) {
    return sequence.length() > 0 && isExecutable(sequence.start(), sequence.length());
  }

  /** Returns true if there is executable memory from an address on without a gap. */
  private boolean isExecutable(long address, long length) {
    int at = Arrays.binarySearch(executableStarts, address);
    int range = at >= 0 ? at : -at - 2;
    return range >= 0 && address >= 0 && address < executableEnds[range]
        && length <= executableEnds[range] - address;
  }
}
