package io.xolotl.xol.elf;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import java.lang.ref.SoftReference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Where instructions of a file are proved to start. A proof is
 *
 * <ul>
 * <li>the start of a function: a symbol of type {@code STT_FUNC} or {@code STT_GNU_IFUNC}, or a record of the
 * unwind table that is no signal frame's and that no symbol contradicts, or where the kernel and the dynamic
 * linker begin; or
 * <li>a way there from one of these: from instruction to instruction, and along direct branches and calls. A
 * call is taken to return; nothing is behind a jump, a return or {@code ud2}, nor behind the end of a
 * function of known size, unless a branch leads there.
 * </ul>
 *
 * A label without a type proves nothing, nor does a sweep over bytes: there may be tables between functions.
 * A branch into the middle of an instruction, as past a lock prefix, proves a start there too.
 *
 * <p>Functions are walked through as they are asked about; only what is not found in its own is looked for in
 * all code, once. All addresses are in the file's own address space. Safe for use by several threads.
 */
// Long because what is known of a file's code is one state, under one monitor; who only asks it is apart
// (FunctionExits, NonlocalExits, LandingPads).
final class InstructionStarts {

  /** Bytes of the longest instruction. */
  private static final int LONGEST = 15;
  /** Sections that are read as a whole, and walked through; that of a browser may be larger. */
  private static final int LARGEST_KEPT = 1 << 27;
  private static final int MOST_CODE = 1 << 30;
  /** How often a walk looks whether it is interrupted. */
  private static final int INSTRUCTIONS_AT_ONCE = 1 << 16;
  /** Pieces that are decoded for one question. */
  private static final int LARGEST_BODY = 1 << 20;
  private static final Set<String> ENDS = Set.of("ud0", "ud1", "ud2", "hlt");

  private final ElfImage image;
  private final SymbolTable symbols;
  private final Decoder decoder;
  /** Starts of functions, ascending. */
  private final long[] roots;
  /** Pieces of code of known size, joined where they overlap, ascending; their starts and ends. */
  private final List<UnwindTable.Range> regions;
  private final long[] regionStarts;
  private final long[] regionEnds;
  /** Pieces of code with landing pads. */
  private final List<UnwindTable.Range> catching;
  /** Ascending; null as long as nobody has asked. */
  private long @Nullable [] landingPads;
  private @Nullable List<NonlocalExit> nonlocalExits;
  /** Where data begins, as symbols say: no code goes on there. */
  private final Set<Long> data;

  /** By the index of an executable section: where its bits are in {@link #starts}. */
  private final Map<Integer, Integer> bases = new HashMap<>();
  private final BitSet starts = new BitSet();
  private SoftReference<Map<Integer, byte[]>> contents = new SoftReference<>(null);
  /** Branch targets outside of what was walked through. */
  private Addresses pending = new Addresses();
  private boolean rootsArePending;
  private boolean complete;

  private InstructionStarts(ElfImage image, List<UnwindTable.Range> unwinding, SymbolTable symbols) {
    this.image = image;
    this.symbols = symbols;
    decoder = Decoder.forThisCpu(image.mode());
    List<SymbolTable.Code> functions = symbols.functions().stream().filter(SymbolTable.Code::typed).toList();
    data = symbols.dataInCode();
    var all = new ArrayList<Long>(image.entryPoints());
    var ranges = new ArrayList<UnwindTable.Range>();
    for (SymbolTable.Code function : functions) {
      all.add(function.start());
      if (function.sized()) {
        ranges.add(new UnwindTable.Range(function.start(), function.end(), false));
      }
    }
    // What symbols contradict: a record that begins a byte in front of a function, as those of signal frames
    // do that are not marked as such (glibc, __restore_rt), or in the middle of one, where anything may be.
    List<UnwindTable.Range> known = joined(new ArrayList<>(ranges));
    Set<Long> typed = Set.copyOf(all);
    int at = 0;
    for (UnwindTable.Range range : unwinding) {
      while (at < known.size() && known.get(at).end() <= range.start()) {
        at++;
      }
      boolean within = at < known.size() && known.get(at).start() < range.start();
      if (!range.signalFrame()
          && (typed.contains(range.start()) || !within && !typed.contains(range.start() + 1))) {
        all.add(range.start());
        ranges.add(range);
      }
    }
    roots = all.stream().distinct().sorted().mapToLong(Long::longValue).toArray();
    regions = joined(ranges);
    regionStarts = regions.stream().mapToLong(UnwindTable.Range::start).toArray();
    regionEnds = regions.stream().mapToLong(UnwindTable.Range::end).toArray();
    catching = unwinding.stream().filter(UnwindTable.Range::catches).toList();
    long base = 0;
    long kept = 0;
    for (Section section : image.sections()) {
      boolean isKept = section.size() <= LARGEST_KEPT;
      // Sections that overlap in the file would make a small one cost gigabytes.
      if (section.isExecutable() && section.type() != Section.NOBITS && section.size() >= 0
          && section.size() <= MOST_CODE - base && (!isKept || section.size() <= 2L * LARGEST_KEPT - kept)) {
        bases.put(section.index(), (int) base);
        base += section.size();
        kept += isKept ? section.size() : 0;
      }
    }
  }

  /** Reads what the symbols and the unwind table of a file say; walks through nothing yet. */
  static InstructionStarts of(ElfImage image, ElfSource source, SymbolTable symbols) {
    List<UnwindTable.Range> unwinding;
    try {
      unwinding = ElfImage.guarded(source, reader -> UnwindTable.ranges(image, reader));
    } catch (SymbolException e) {
      Reading.check();
      // A table that cannot be read proves nothing, and refutes nothing that symbols say.
      unwinding = List.of();
    }
    return new InstructionStarts(image, unwinding, symbols);
  }

  private static List<UnwindTable.Range> joined(List<UnwindTable.Range> ranges) {
    ranges.sort(Comparator.comparingLong(UnwindTable.Range::start));
    var result = new ArrayList<UnwindTable.Range>();
    for (UnwindTable.Range range : ranges) {
      UnwindTable.Range last = result.isEmpty() ? null : result.getLast();
      if (last == null || range.start() >= last.end()) {
        result.add(range);
      } else if (range.end() > last.end() || range.catches()) {
        result.set(result.size() - 1,
            new UnwindTable.Range(last.start(), Math.max(last.end(), range.end()), false,
                last.catches() ? last.landingPads() : range.landingPads()));
      }
    }
    return result;
  }

  /**
   * What is known of an address.
   *
   * @param source where the file is to be read now: who asked first may have gone, and its way to the file
   * @param bias what the process adds to addresses of the file; the answer's instruction has its address
   *     there
   * @param called where the process is known to call a function, besides what the file says. Nothing follows
   *     from it for other addresses, since another process may not call it
   */
  synchronized Boundary boundary(ElfSource source, long address, long bias, @Nullable Long called) {
    Section section = image.executableSection(address);
    if (section == null || !bases.containsKey(section.index())) {
      return Boundary.UNPROVEN;
    }
    if (called != null && called == address || isStart(source, section, address)) {
      DecodedInstruction around = Arrays.binarySearch(roots, address) >= 0
          ? null
          : around(source, section, address, bias);
      return around == null
          ? new Boundary.Proven(text(source, section, address, address).at(address))
          : new Boundary.Inside(around, true);
    }
    DecodedInstruction around = around(source, section, address, bias);
    return around == null ? Boundary.UNPROVEN : new Boundary.Inside(around, false);
  }

  /** Whether an instruction is proved to start at an address. */
  synchronized boolean isStart(ElfSource source, long address) {
    Section section = image.executableSection(address);
    return section != null && bases.containsKey(section.index()) && isStart(source, section, address);
  }

  private boolean isStart(ElfSource source, Section section, long address) {
    if (Arrays.binarySearch(roots, address) >= 0) {
      return true;
    }
    if (!isReached(source, section, address) && !complete) {
      walkThroughAll(source);
    }
    return starts.get(bit(section, address));
  }

  /** Whether an instruction is proved to start there by the code of its own function. */
  private boolean isReached(ElfSource source, Section section, long address) {
    int bit = bit(section, address);
    if (!starts.get(bit) && (!complete || section.size() > LARGEST_KEPT)) {
      walkThroughFunctionAround(source, section, address);
    }
    return starts.get(bit);
  }

  /** The same of an address in a piece of known size; and whether no data begin in the piece. */
  boolean isReached(ElfSource source, long address) {
    Section section = image.executableSection(address);
    return section != null && bases.containsKey(section.index())
        && (Arrays.binarySearch(roots, address) >= 0 || isReached(source, section, address));
  }

  /**
   * Whether an instruction that was decoded in the order of addresses fits what is proved: no data begin in
   * it, and no other instruction, unless that is the same without a prefix.
   */
  boolean fits(ElfSource source, DecodedInstruction instruction) {
    Section section = image.executableSection(instruction.address());
    if (section == null) {
      return false;
    }
    long end = instruction.nextAddress();
    for (long at = instruction.address(); at < end; at++) {
      if (data.contains(at)) {
        return false;
      }
    }
    int first = bit(section, instruction.address());
    int next = starts.nextSetBit(first + 1);
    if (next < 0 || next >= first + instruction.length()) {
      return true;
    }
    long within = instruction.address() + (next - first);
    DecodedInstruction other = decode(text(source, section, within, within), within, 0);
    return other != null && other.nextAddress() == end;
  }

  private int bit(Section section, long address) {
    Integer base = bases.get(section.index());
    return (base == null ? 0 : base) + (int) (address - section.address());
  }

  /**
   * Some bytes of a section.
   *
   * @param start the address of the first
   */
  record Text(long start, byte[] bytes) {

    /** The bytes at an address, as many as an instruction may have. */
    byte[] at(long address) {
      int offset = (int) (address - start);
      return Arrays.copyOfRange(bytes, offset, Math.min(offset + LONGEST, bytes.length));
    }
  }

  /** A section, or a part of one that is too large to be kept, with what instructions at its end need. */
  private Text text(ElfSource source, Section section, long low, long high) {
    if (section.size() <= LARGEST_KEPT) {
      Map<Integer, byte[]> known = contents.get();
      if (known == null) {
        known = new HashMap<>();
        contents = new SoftReference<>(known);
      }
      return new Text(section.address(), known.computeIfAbsent(section.index(),
          _ -> ElfImage.guarded(source, reader -> image.content(reader, section).array())));
    }
    int length = (int) (Math.min(high + LONGEST, section.end()) - low);
    return new Text(low, ElfImage.guarded(source,
        reader -> reader.read(section.offset() + (low - section.address()), length).array()));
  }

  private @Nullable DecodedInstruction around(ElfSource source, Section section, long address, long bias) {
    int at = bit(section, address);
    for (int before = starts.previousSetBit(at - 1); before >= 0; before = starts
        .previousSetBit(before - 1)) {
      int distance = at - before;
      if (distance >= LONGEST || distance > address - section.address()) {
        break;
      }
      long start = address - distance;
      DecodedInstruction instruction = decode(text(source, section, start, start), start, bias);
      if (instruction != null && instruction.length() > distance) {
        return instruction;
      }
    }
    return null;
  }

  private @Nullable DecodedInstruction decode(Text text, long address, long bias) {
    int at = (int) (address - text.start());
    return decoder.decode(text.bytes(), at, Math.min(LONGEST, text.bytes().length - at),
        bias + address) instanceof DecodedInstruction instruction ? instruction : null;
  }

  /**
   * Finds all exits of the function around an address.
   *
   * @return null if its extent is not known, or if not all in it is code
   */
  synchronized @Nullable FunctionBody body(ElfSource source, long address, long bias) {
    return new FunctionExits(this, symbols, source).body(address, bias);
  }

  /** The piece of known size around an address; null if there is none. */
  UnwindTable.@Nullable Range regionAround(long address) {
    int region = Arrays.binarySearch(regionStarts, address);
    region = region >= 0 ? region : -region - 2;
    return region >= 0 && address < regionEnds[region] ? regions.get(region) : null;
  }

  /**
   * Decodes a piece of code, in the order of addresses.
   *
   * @param visitor is given each instruction
   * @return false if not all of it is code, or if it is not in the file or too long
   */
  boolean decode(ElfSource source, UnwindTable.Range part, Consumer<DecodedInstruction> visitor) {
    Section section = image.executableSection(part.start());
    if (section == null || !bases.containsKey(section.index()) || part.end() > section.end()
        || part.end() - part.start() > LARGEST_BODY) {
      return false;
    }
    Text text = text(source, section, part.start(), part.end());
    long address = part.start();
    while (address < part.end()) {
      DecodedInstruction instruction = decode(text, address, 0);
      if (instruction == null) {
        return false;
      }
      visitor.accept(instruction);
      address += instruction.length();
    }
    return address == part.end();
  }

  /** The instruction whose bytes are at an address in some text, whether or not one starts there. */
  @Nullable
  DecodedInstruction decode(Text text, long address) {
    return address < text.start() || address >= text.start() + text.bytes().length
        ? null
        : decode(text, address, 0);
  }

  /** Gives the text of each section that is kept; one that cannot be read is left out. */
  void eachSection(ElfSource source, Consumer<Text> visitor) {
    for (Section section : image.sections()) {
      if (bases.containsKey(section.index()) && section.size() <= LARGEST_KEPT) {
        Reading.check();
        Text text;
        try {
          text = text(source, section, section.address(), section.address());
        } catch (SymbolException e) {
          Reading.check();
          continue;
        }
        visitor.accept(text);
      }
    }
  }

  /** The places where code leaves several functions at once; looked for when first asked for. */
  synchronized List<NonlocalExit> nonlocalExits(ElfSource source) {
    List<NonlocalExit> known = nonlocalExits;
    if (known == null) {
      known = new NonlocalExits(this, symbols, image.mode(), source).find();
      nonlocalExits = known;
    }
    return known;
  }

  /** Whether exceptions are caught at an address, or something is done when one passes. */
  synchronized boolean isLandingPad(ElfSource source, long address) {
    long[] known = landingPads;
    if (known == null) {
      try {
        known = ElfImage.guarded(source, reader -> LandingPads.of(image, reader, catching));
      } catch (SymbolException e) {
        Reading.check();
        // The unwinder cannot read them either. Nor shall each question try again.
        known = new long[0];
      }
      landingPads = known;
    }
    return Arrays.binarySearch(known, address) >= 0;
  }

  private void walkThroughFunctionAround(ElfSource source, Section section, long address) {
    UnwindTable.Range region = regionAround(address);
    long low;
    long high;
    int first;
    if (region != null) {
      low = region.start();
      high = region.end();
      first = Arrays.binarySearch(roots, low);
      first = first >= 0 ? first : -first - 1;
    } else {
      first = -Arrays.binarySearch(roots, address) - 2;
      if (first < 0) {
        return;
      }
      low = roots[first];
      high = first + 1 < roots.length ? roots[first + 1] : section.end();
    }
    var from = new Addresses();
    for (int i = first; i < roots.length && roots[i] < high; i++) {
      from.add(roots[i]);
    }
    if (section.contains(low)) {
      high = section.contains(high) ? high : section.end();
      walk(source, from, section, low,
          section.size() > LARGEST_KEPT ? Math.min(high, low + LARGEST_BODY) : high);
    }
  }

  /** All that was not walked through, from all functions and all branches that led out of one. */
  private void walkThroughAll(ElfSource source) {
    Addresses left = pending;
    for (int i = 0; i < roots.length && !rootsArePending; i++) {
      left.add(roots[i]);
    }
    rootsArePending = true;
    try {
      while (!left.isEmpty()) {
        pending = new Addresses();
        // By section: each is walked through with all that leads into it.
        for (Section section : image.sections()) {
          Addresses from = left.in(section);
          if (!from.isEmpty() && bases.containsKey(section.index()) && section.size() <= LARGEST_KEPT) {
            walk(source, from, section, section.address(), section.end());
          }
        }
        left = pending;
      }
      complete = true;
    } finally {
      if (!complete) {
        // Interrupted: who asks next goes on from here.
        pending.addAll(left);
      }
    }
  }

  /** Walks from some addresses as far as instructions of a part of a section lead. */
  private void walk(ElfSource source, Addresses from, Section section, long low, long high) {
    Text text = text(source, section, low, high);
    int count = 0;
    while (!from.isEmpty()) {
      long address = from.removeLast();
      while (address >= low && address < high && !starts.get(bit(section, address))) {
        DecodedInstruction instruction = decode(text, address, 0);
        if (instruction == null) {
          break;
        }
        if (++count % INSTRUCTIONS_AT_ONCE == 0 && Reading.isInterrupted()) {
          from.add(address);
          pending.addAll(from);
          Reading.check();
        }
        starts.set(bit(section, address));
        if (instruction.branchTarget().isPresent()) {
          long target = instruction.branchTarget().getAsLong();
          (target >= low && target < high ? from : pending).add(target);
        }
        address = instruction.nextAddress();
        if (!goesOn(instruction) || isEnd(address)) {
          break;
        }
        if (address == high) {
          pending.add(address);
        }
      }
    }
  }

  private static boolean goesOn(DecodedInstruction instruction) {
    return switch (instruction.category()) {
      case "uncond_br", "ret" -> false;
      default -> !ENDS.contains(instruction.mnemonic());
    };
  }

  /** Whether a piece of known size ends there, or data begins. */
  private boolean isEnd(long address) {
    return Arrays.binarySearch(regionEnds, address) >= 0 || data.contains(address);
  }
}
