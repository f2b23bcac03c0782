package io.xolotl.xol.elf;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.xol.elf.ElfSource.OnDisk;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A file with code that a process has mapped. It is opened when something about it is asked for. */
final class ModuleFile {
  static final String VDSO = "[vdso]";

  private static final String DELETED = " (deleted)";
  private static final long PAGE = 4096;

  /** Pairs of a segment and a mapping; a library that is loaded a hundred times has some thousand. */
  private static final int MOST_PAIRS = 1_000_000;
  private static final int MOST_INSTANCES = 1_000;
  /** Mappings that are tried for a link to the file; each is as good as the others. */
  private static final int MOST_LINKS = 16;
  /** Pieces of other memory that may hold the code of a file. */
  private static final int MOST_MOVED = 64;

  private final int pid;
  private final long inode;
  private final boolean deleted;
  private final String path;
  private final String name;
  private final List<MemoryMapping> mappings;
  /** Other memory that may hold the code of this file. */
  private final List<MemoryMapping> movedCode;
  private final MemoryReader memory;
  private final DebugFiles debugFiles;

  private @Nullable ElfSource source;
  private @Nullable ElfImage image;
  private @Nullable SymbolTable symbols;
  private @Nullable List<LoadedModule> instances;
  private @Nullable SymbolException failure;

  /**
   * @param mappings all mappings of the file, in ascending order; at least one
   * @param movedCode other memory that may hold the code of this file, if none of them does
   * @param memory reads the process
   */
  ModuleFile(int pid, List<MemoryMapping> mappings, List<MemoryMapping> movedCode, MemoryReader memory,
      DebugFiles debugFiles) {
    this.pid = pid;
    this.mappings = List.copyOf(mappings);
    this.movedCode = movedCode;
    this.memory = memory;
    this.debugFiles = debugFiles;
    MemoryMapping any = mappings.getFirst();
    inode = any.inode();
    deleted = any.path().endsWith(DELETED);
    path = deleted ? any.path().substring(0, any.path().length() - DELETED.length()) : any.path();
    name = path.substring(path.lastIndexOf('/') + 1);
  }

  /** The same file after the mappings of the process changed: what is known of its content is kept. */
  ModuleFile movedTo(List<MemoryMapping> changed, List<MemoryMapping> code) {
    var moved = new ModuleFile(pid, changed, code, memory, debugFiles);
    moved.source = source;
    moved.image = image;
    moved.symbols = symbols;
    return moved;
  }

  /** Whether what was read of the file, if anything, is still what it contains. */
  boolean isCurrent() {
    return !(source instanceof OnDisk file) || file.isCurrent();
  }

  String path() {
    return path;
  }

  String name() {
    return name;
  }

  boolean isMappedAs(List<MemoryMapping> group, List<MemoryMapping> code) {
    return mappings.equals(group) && movedCode.equals(code);
  }

  /** Returns true if an address lies in memory that holds, or may hold, code of this file. */
  boolean mayHaveCodeAt(long address) {
    return Stream.concat(mappings.stream(), movedCode.stream())
        .anyMatch(mapping -> mapping.isExecutable() && mapping.contains(address));
  }

  /** Returns true if the file is an ELF file that is mapped the way its program headers say. */
  boolean isLoaded() {
    try {
      return !instances().isEmpty();
    } catch (SymbolException e) {
      Reading.check();
      // No ELF file, or not one that can be read: nothing shows that what lies beside it is its code.
      return false;
    }
  }

  ElfImage image() {
    ElfImage known = image;
    if (known != null) {
      return known;
    }
    if (failure != null) {
      throw new SymbolException(failure.reason(), String.valueOf(failure.getMessage()), failure);
    }
    try {
      ElfSource found = locate();
      known = ImageCache.image(found);
      source = found;
      image = known;
      return known;
    } catch (SymbolException e) {
      // Who was interrupted may ask again.
      failure = e.reason() == Reason.INTERRUPTED ? null : e;
      throw e;
    }
  }

  private ElfSource source() {
    image();
    ElfSource known = source;
    if (known == null) {
      throw new IllegalStateException("an image has a source");
    }
    return known;
  }

  SymbolTable symbols() {
    SymbolTable known = symbols;
    if (known == null) {
      ElfImage own = image();
      boolean stripped = own.firstOfType(Section.SYMTAB) == null;
      known = own.symbols(source(), stripped && inode != 0 ? debugFiles.find(own, source(), path) : null);
      symbols = known;
    }
    return known;
  }

  /** Whether an instruction starts at an address of the file; see {@link InstructionStarts}. */
  Boundary boundary(long fileAddress, long bias, @Nullable Long called) {
    return starts().boundary(source(), fileAddress, bias, called);
  }

  /** All exits of the function around an address of the file, at their addresses in the process, or null. */
  @Nullable
  FunctionBody body(long fileAddress, long bias) {
    return starts().body(source(), fileAddress, bias);
  }

  /** Where its code leaves several functions at once, by addresses of the file. */
  List<NonlocalExit> nonlocalExits() {
    return starts().nonlocalExits(source());
  }

  /** Whether exceptions are caught at an address of the file, or something is done when one passes. */
  boolean isLandingPad(long fileAddress) {
    return starts().isLandingPad(source(), fileAddress);
  }

  private InstructionStarts starts() {
    return symbols().starts(image(), source());
  }

  /** Returns true if an instruction is proved to start at an address of the file. */
  boolean isStart(long fileAddress) {
    return starts().isStart(source(), fileAddress);
  }

  List<RelocationSlot> relocations() {
    return image().relocations(source());
  }

  long[] abortHandlers() {
    return image().abortHandlers(source());
  }

  Map<Long, Long> relativeWords(Section section) {
    return ElfImage.guarded(source(), reader -> SequenceSigns.relativeWords(image(), reader, section));
  }

  private ElfSource locate() {
    if (path.equals(VDSO)) {
      return vdso();
    }
    // These links lead to the file itself, whatever became of its name; but only the privileged may follow
    // them.
    for (MemoryMapping mapping : mappings.subList(0, Math.min(mappings.size(), MOST_LINKS))) {
      OnDisk found = OnDisk.at(name, null, "/proc/" + pid + "/map_files/"
          + Long.toHexString(mapping.start()) + '-' + Long.toHexString(mapping.end()));
      if (found != null && found.identity().inode() == inode) {
        return found;
      }
    }
    OnDisk found = deleted ? null : mapped(debugFiles.root(), path);
    // The kernel prints paths as seen from the reader's root: of a process in a chroot that is not its own
    // path.
    found = found != null || deleted ? found : mapped(Path.of("/"), path);
    found = found != null ? found : mapped(null, "/proc/" + pid + "/exe");
    if (found != null) {
      return found;
    }
    throw new SymbolException(Reason.ELF_UNREADABLE,
        path + (deleted ? " was deleted" : " cannot be read or was replaced")
            + " since process " + pid
            + " mapped it; restart the process, or run with CAP_CHECKPOINT_RESTORE to read the mapped"
            + " file itself");
  }

  /**
   * The file at a path, if it is the mapped one, by inode and content. Devices are not compared: btrfs and
   * overlayfs show others in /proc/PID/maps than in stat(2). So another file system may have another file of
   * the same inode at that path by now, whose headers are not those in memory.
   */
  private @Nullable OnDisk mapped(@Nullable Path root, String file) {
    OnDisk found = OnDisk.at(name, root, file);
    return found != null && found.identity().inode() == inode
        && ImageCache.image(found).marks().stream().allMatch(this::isInMemory) ? found : null;
  }

  /** Whether a piece of the file is where it is mapped; what is mapped nowhere or cannot be read may be. */
  private boolean isInMemory(ElfImage.Mark mark) {
    for (MemoryMapping mapping : mappings) {
      long distance = mark.offset() - mapping.offset();
      if (distance >= 0 && mark.bytes().length <= mapping.size() - distance) {
        var bytes = new byte[mark.bytes().length];
        return memory.read(mapping.start() + distance, bytes, 0, bytes.length) != bytes.length
            || Arrays.equals(bytes, mark.bytes());
      }
    }
    return true;
  }

  private ElfSource vdso() {
    MemoryMapping mapping = mappings.getFirst();
    var bytes = new byte[(int) Math.min(mapping.size(), 1 << 20)];
    int length = memory.read(mapping.start(), bytes, 0, bytes.length);
    if (length != bytes.length) {
      throw new SymbolException(Reason.ELF_UNREADABLE,
          "the vDSO of process " + pid + " cannot be read; does the process still exist?");
    }
    return new ElfSource.InMemory(name, bytes);
  }

  /** Where the file is loaded: once as a rule, several times after {@code dlmopen}. */
  List<LoadedModule> instances() {
    List<LoadedModule> known = instances;
    if (known == null) {
      known = place();
      if (known.isEmpty()) {
        throw new SymbolException(Reason.ELF_MALFORMED,
            "process " + pid + " does not map " + name
                + " the way its program headers say; it is not loaded as code");
      }
      instances = known;
    }
    return known;
  }

  /** The instance around an address, or {@code null} if the file is mapped there as data. */
  @Nullable
  LoadedModule instanceAt(long address) {
    for (LoadedModule module : instances()) {
      if (Long.compareUnsigned(module.start(), address) <= 0
          && Long.compareUnsigned(address, module.end()) < 0) {
        return module;
      }
    }
    return null;
  }

  /**
   * Every executable mapping that fits an executable segment votes for a load bias; the biases at which the
   * most segments begin where the file is mapped are the true ones. So a file that is mapped once more to be
   * read, or by a loader of its own kind, makes no module. Where the code was moved the other segments vote,
   * and the code must be in its place.
   */
  private List<LoadedModule> place() {
    if ((long) mappings.size() * image().segments().size() > MOST_PAIRS || movedCode.size() > MOST_MOVED) {
      throw manyTimes(mappings.size());
    }
    Map<Long, Integer> inPlace = segmentsInPlace();
    var places = new ArrayList<LoadedModule>();
    int most = 0;
    for (long bias : possibleBiases()) {
      int segmentsInPlace = inPlace.getOrDefault(bias, 0);
      if (segmentsInPlace > most) {
        places.clear();
        most = segmentsInPlace;
      }
      if (segmentsInPlace == most) {
        places.add(loadedAt(bias));
      }
      if (places.size() > MOST_INSTANCES) {
        throw manyTimes(places.size());
      }
    }
    return places;
  }

  private SymbolException manyTimes(int times) {
    return new SymbolException(Reason.ELF_UNSUPPORTED, "process " + pid + " maps " + name + " more than "
        + (times - 1) + " times; no dynamic linker does that");
  }

  private Set<Long> possibleBiases() {
    var biases = new LinkedHashSet<Long>();
    for (MemoryMapping mapping : mappings) {
      for (ElfImage.Segment segment : image().segments()) {
        long bias = mapping.start() - (segment.address() + (mapping.offset() - segment.offset()));
        boolean isCode = mapping.isExecutable() && segment.executable();
        if ((isCode || !segment.executable() && hasMovedCode(bias)) && covers(segment, mapping.offset())
            && bias % PAGE == 0
            && (bias == 0 || !image().hasFixedAddress())) {
          biases.add(bias);
        }
      }
    }
    return biases;
  }

  private boolean hasMovedCode(long bias) {
    return image().segments().stream().anyMatch(segment -> segment.executable() && movedCode.stream()
        .anyMatch(code -> code.contains(bias + pageOf(segment.address()))));
  }

  /** A mapping begins at a page, so also in front of its segment, and it may be a later piece of it. */
  private static boolean covers(ElfImage.Segment segment, long offset) {
    return offset >= pageOf(segment.offset()) && offset < segment.offset() + segment.fileSize();
  }

  /** For each bias how many segments begin where the file is mapped. A segment and a mapping make one. */
  private Map<Long, Integer> segmentsInPlace() {
    var counts = new HashMap<Long, Integer>();
    for (ElfImage.Segment segment : image().segments()) {
      for (MemoryMapping mapping : mappings) {
        long distance = pageOf(segment.offset()) - mapping.offset();
        if (distance >= 0 && distance < mapping.size()) {
          counts.merge(mapping.start() + distance - pageOf(segment.address()), 1, Integer::sum);
        }
      }
    }
    return counts;
  }

  private LoadedModule loadedAt(long bias) {
    long lowest = -1;
    long highest = 0;
    for (ElfImage.Segment segment : image().segments()) {
      long start = pageOf(segment.address());
      long end = pageOf(segment.address() + segment.memorySize() + PAGE - 1);
      lowest = Long.compareUnsigned(start, lowest) < 0 ? start : lowest;
      highest = Long.compareUnsigned(end, highest) > 0 ? end : highest;
    }
    return new LoadedModule(name, path, bias, bias + lowest, bias + highest);
  }

  private static long pageOf(long value) {
    return value & -PAGE;
  }
}
