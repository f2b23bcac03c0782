package io.xolotl.xol.elf;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.Comparator;
import java.util.List;
import net.fornwall.jelf.ElfException;

/**
 * The addresses at which the functions of a file catch exceptions, or clean up when one passes (Itanium C++
 * ABI, "Exception Handling Tables"; the table of call sites of a language-specific data area).
 *
 * <p>The tables may be anyone's: what cannot be understood has no landing pads. The work is bounded by what
 * {@link ElfReader} reads of a file. Called inside {@link ElfImage#guarded} only.
 */
final class LandingPads {

  /** What is in front of the table of call sites: four numbers and a pointer, with room. */
  private static final int LONGEST_HEADER = 64;
  /** What is read of one function's table. */
  private static final int LARGEST = 1 << 20;

  /** Tables that are read, and landing pads: more than the largest programs have. */
  private static final int MOST_TABLES = 1 << 20;
  private static final int MOST_PADS = 1 << 22;
  private static final int MOST_FAILED = 1 << 12;

  private final ElfImage image;
  private final ElfReader reader;
  private final Addresses pads = new Addresses();
  private int failed;

  private LandingPads(ElfImage image, ElfReader reader) {
    this.image = image;
    this.reader = reader;
  }

  /** All of some functions, in ascending order. */
  static long[] of(ElfImage image, ElfReader reader, List<UnwindTable.Range> functions) {
    var all = new LandingPads(image, reader);
    // In the order of their tables, which are read one behind the other so; each of them once.
    functions.stream()
        .sorted(Comparator.comparingLong(UnwindTable.Range::landingPads)
            .thenComparingLong(UnwindTable.Range::start))
        .distinct().limit(MOST_TABLES).takeWhile(_ -> all.failed < MOST_FAILED).forEach(all::readIfPossible);
    return all.pads.sorted();
  }

  private void readIfPossible(UnwindTable.Range function) {
    try {
      read(function);
    } catch (BufferUnderflowException | ElfException e) {
      // It is longer than what is there: what was read before it holds.
      failed++;
    }
  }

  private void read(UnwindTable.Range function) {
    ByteBuffer header = image.data(reader, function.landingPads(), LONGEST_HEADER);
    var values = new EncodedPointers(header, function.landingPads(), image.layout());
    int encoding = header.get() & 0xff;
    if (encoding != EncodedPointers.OMITTED && !EncodedPointers.isKnown(encoding)) {
      return;
    }
    // A piece that was moved away has pads in the other one.
    long base = encoding == EncodedPointers.OMITTED ? function.start() : values.pointer(encoding);
    if ((header.get() & 0xff) != EncodedPointers.OMITTED) {
      // Where the types of exceptions are.
      values.leb128();
    }
    int sites = header.get() & 0xff;
    int length = Math.clamp(values.leb128(), 0, LARGEST);
    ByteBuffer table = image.data(reader, function.landingPads() + header.position(), length);
    var entries = new EncodedPointers(table, 0, image.layout());
    while (table.hasRemaining()) {
      entries.value(sites);
      entries.value(sites);
      long pad = entries.value(sites);
      // What to do there.
      entries.leb128();
      if (pad != 0 && pads.size() < MOST_PADS) {
        pads.add(image.layout().unsigned(base + pad));
      }
    }
  }
}
