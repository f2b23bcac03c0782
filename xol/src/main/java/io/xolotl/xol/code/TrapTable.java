package io.xolotl.xol.code;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Where a thread goes on that has executed one of our breakpoints, by the breakpoint's address; and, by their
 * own addresses, the blocks of memory that are ours. The process has it too, in private memory, for the time
 * when nobody traces it: forked children have their own.
 *
 * <p>Open addressing, the same here and there. An entry is written before the breakpoint is, and never taken
 * out: one whose breakpoint is gone leads nowhere, since a thread may have executed that breakpoint just
 * before.
 *
 * <p>Owned by the tracer thread.
 */
@TracerThread
public final class TrapTable {

  /** A block begins at a multiple of its size, so that any address in it tells where. */
  public static final int BLOCK_BYTES = 64 << 10;

  /** Fibonacci hashing, as in {@link LongMap}; the upper half of the product spreads best. */
  static final long MULTIPLIER = 0x9e3779b97f4a7c15L;

  /** The number of entries less one, and how many breakpoints were executed that nobody was told of. */
  private static final int HEADER_BYTES = 16;
  private static final int ENTRY_BYTES = 16;
  private static final int FEWEST = 2048;
  private static final int PROT_READ_WRITE = 1 | 2;
  private static final int PAGE = 4096;
  /** Behind the entries: what system calls in the process are given the address of. */
  private static final int LENT_BYTES = 256;

  private final TracedProcess process;
  private long[] keys = new long[FEWEST];
  private long[] targets = new long[FEWEST];
  private int size;
  /** Where it is in the process; 0 if it is only here. */
  private long address;

  public TrapTable(TracedProcess process) {
    this.process = process;
  }

  private int slot(long key) {
    int mask = keys.length - 1;
    int i = (int) (key * MULTIPLIER >>> 32) & mask;
    while (keys[i] != 0 && keys[i] != key) {
      i = i + 1 & mask;
    }
    return i;
  }

  /** Where a thread goes on; 0 if that is no address of ours, or none any more. */
  public long target(long key) {
    return targets[slot(key)];
  }

  /**
   * Writes an entry. It is there before anything depends on it.
   *
   * @param key not 0
   * @param target not 0
   */
  public void put(long key, long target) {
    if (size * 2 >= keys.length) {
      throw new IllegalStateException("there is no room for another entry");
    }
    int i = slot(key);
    size += keys[i] == 0 ? 1 : 0;
    keys[i] = key;
    targets[i] = target;
    write(i);
  }

  /** The breakpoint is out of memory, or the memory gone with its process. */
  public void remove(long key) {
    int i = slot(key);
    if (keys[i] != key) {
      return;
    }
    targets[i] = 0;
    try {
      write(i);
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.MEMORY_INACCESSIBLE
          && e.reason() != PtraceException.Reason.THREAD_GONE) {
        throw e;
      }
      // Nobody can look there either.
    }
  }

  private void write(int i) {
    if (address != 0) {
      // Within a page the kernel copies all 16 bytes or, if this thread is killed before, none.
      memory().write(address + HEADER_BYTES + (long) i * ENTRY_BYTES,
          buffer(ENTRY_BYTES).putLong(keys[i]).putLong(targets[i]).array());
    }
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private ProcessMemory memory() {
    return process.memory();
  }

  /** Returns true if so many entries more can be written. */
  public boolean hasRoomFor(int more) {
    return (size + more) * 2L < keys.length;
  }

  // In the process.

  /** Returns true if the process has the table. */
  public boolean isMapped() {
    return address != 0;
  }

  /** Where it is in the process. */
  public long address() {
    return address;
  }

  /**
   * Memory of the process that the kernel may write to when it is asked something, 256 bytes. Nothing stays
   * there.
   */
  public long lent() {
    return address + HEADER_BYTES + (long) keys.length * ENTRY_BYTES;
  }

  private static long bytes(int entries) {
    return HEADER_BYTES + (long) entries * ENTRY_BYTES + LENT_BYTES + PAGE - 1 & -PAGE;
  }

  /** Gives the process the table. */
  public void map(TracedThread thread) {
    long fresh = process.map(thread, bytes(keys.length), PROT_READ_WRITE);
    memory().write(fresh, image());
    address = fresh;
  }

  /**
   * Makes room for more entries, here alone if the process has no table.
   *
   * @return what {@link #retire} is given when nobody looks at it any more, or 0
   */
  public Former grow(int more) {
    var former = new Former(address, bytes(keys.length));
    long[] oldKeys = keys;
    long[] oldTargets = targets;
    int entries = keys.length;
    while ((size + more) * 2L >= entries) {
      entries *= 2;
    }
    keys = new long[entries];
    targets = new long[entries];
    size = 0;
    address = 0;
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldKeys[i] != 0) {
        put(oldKeys[i], oldTargets[i]);
      }
    }
    return former;
  }

  /** A table that another has taken the place of. */
  public record Former(long address, long bytes) {}

  private byte[] image() {
    ByteBuffer image = buffer(HEADER_BYTES + keys.length * ENTRY_BYTES);
    image.putLong(keys.length - 1L).putLong(0);
    for (int i = 0; i < keys.length; i++) {
      image.putLong(keys[i]).putLong(targets[i]);
    }
    return image.array();
  }

  /** How many breakpoints were executed that nobody was told of. */
  public long missed() {
    return address == 0
        ? 0
        : ByteBuffer.wrap(memory().read(address + 8, 8)).order(ByteOrder.LITTLE_ENDIAN).getLong();
  }

  /**
   * Takes the table from a process, or from a child that may have a copy.
   *
   * @param mappings of that process
   */
  public void unmap(TracedThread thread, List<MemoryMapping> mappings) {
    if (address != 0 && mappings.stream().anyMatch(mapping -> mapping.contains(address))) {
      thread.process().unmap(thread, address, bytes(keys.length));
    }
  }

  /** Forgets everything: the memory is gone. */
  public void clear() {
    keys = new long[FEWEST];
    targets = new long[FEWEST];
    size = 0;
    address = 0;
  }
}
