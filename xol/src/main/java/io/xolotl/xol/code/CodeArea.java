package io.xolotl.xol.code;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.LongPredicate;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The slots of a process: memory mapped in the target, readable and executable there and written through
 * {@code /proc/PID/mem}, so that no page is ever writable and executable for the program.
 *
 * <p>It consists of blocks, each mapped as near as possible to the code that first needed it; a slot belongs
 * to one {@link Lease} for as long as any thread can be in it. Owned by the tracer thread.
 */
@TracerThread
public final class CodeArea {

  /** Room for the longest instruction, the trap behind it, and a jump back to anywhere. */
  static final int SLOT_BYTES = 32;

  /** Fills a slot behind what is written there: int3, which catches whatever runs astray. */
  static final byte TRAP = (byte) 0xcc;

  private static final int BLOCK_BYTES = 64 << 10;
  private static final int SLOTS = BLOCK_BYTES / SLOT_BYTES;
  private static final int PROT_READ_EXEC = 1 | 4;
  private static final int SYSTEM_CALL_BYTES = 2;

  /** What a rel32 reaches, less a block, so that every slot of a block is in reach if the block is. */
  public static final long REACH = (1L << 31) - (1 << 20);

  private static final System.Logger LOGGER = System.getLogger("io.xolotl.xol.ProbedProcess");

  private record Block(long base, BitSet used) {
    public boolean contains(long address) {
      return address >= base && address < base + BLOCK_BYTES;
    }
  }

  /** Does something in a thread that is stopped on its way to user mode. */
  public interface InSomeThread {
    long run(ToLongFunction<TracedThread> action);
  }

  private final TracedProcess process;
  private final InSomeThread threads;
  private final List<Block> blocks = new ArrayList<>();
  private final LongMap<Lease> leases = new LongMap<>();

  /**
   * An area without blocks.
   *
   * @param threads gives a thread to map memory in
   */
  public CodeArea(TracedProcess process, InSomeThread threads) {
    this.process = process;
    this.threads = threads;
  }

  /**
   * Takes a slot that suits, mapping a new block if none does.
   *
   * @param near address that the slot should be near to
   * @param reach how far from there a new block may be at most; wherever it is then, its slots must suit
   * @param suits whether a slot at an address would do
   * @return the slot, or null if no memory within reach of {@code near} can be had
   * @throws ErrandException if no thread can map memory
   */
  @Nullable
  public Lease take(long near, long reach, LongPredicate suits) {
    for (Block block : blocks) {
      int free = block.used.nextClearBit(0);
      if (free < SLOTS && suits.test(block.base + (long) free * SLOT_BYTES)) {
        return lease(block, free);
      }
    }
    long base = threads.run(thread -> map(thread, near, reach));
    return base == 0 || !suits.test(base + SLOT_BYTES) ? null : lease(blocks.getLast(), 1);
  }

  private Lease lease(Block block, int slot) {
    block.used.set(slot);
    var lease = new Lease(this, block.base + (long) slot * SLOT_BYTES);
    leases.put(lease.address(), lease);
    return lease;
  }

  /**
   * Maps a block and knows it then, whatever fails afterwards. Returns its address, or 0 if there is no room.
   */
  private long map(TracedThread thread, long near, long reach) {
    long within = switch (process.abi()) {
      case X86_64 -> reach;
      // Addresses wrap at 4 GiB, so that everything is in reach of everything.
      case I386 -> 1L << 32;
    };
    long base = process.mapNear(thread, near, within, BLOCK_BYTES, PROT_READ_EXEC);
    if (base == 0) {
      return 0;
    }
    try {
      // The first slot is no slot but the system call instruction for calls made in the process, where no
      // probe can be.
      byte[] systemCall = Arrays.copyOf(process.abi().systemCall(), SYSTEM_CALL_BYTES + 1);
      systemCall[SYSTEM_CALL_BYTES] = TRAP;
      process.memory().writeText(base, systemCall);
    } catch (PtraceException e) {
      try {
        process.unmap(thread, base, BLOCK_BYTES);
      } catch (PtraceException stays) {
        e.addSuppressed(stays);
      }
      throw e;
    }
    var block = new Block(base, new BitSet(SLOTS));
    block.used.set(0);
    blocks.add(block);
    if (blocks.size() == 1) {
      process.systemCallInstruction(base);
    }
    return base;
  }

  /**
   * Writes a copy and what follows it, and traps behind; where that fails the slot is free again.
   *
   * @param copy the displaced instruction
   * @param following what is executed then; empty for a trap
   */
  public void write(Lease lease, byte[] copy, byte[] following) {
    byte[] bytes = new byte[SLOT_BYTES];
    Arrays.fill(bytes, TRAP);
    System.arraycopy(copy, 0, bytes, 0, copy.length);
    System.arraycopy(following, 0, bytes, copy.length, following.length);
    try {
      process.memory().writeText(lease.address(), bytes);
    } catch (PtraceException e) {
      lease.retire();
      throw e;
    }
  }

  /** No thread is in the slot any more; nothing if the area was cleared since it was taken. */
  void free(Lease lease) {
    long address = lease.address();
    if (leases.get(address) == lease) {
      leases.remove(address);
      for (Block block : blocks) {
        if (block.contains(address)) {
          block.used.clear((int) ((address - block.base) / SLOT_BYTES));
        }
      }
    }
  }

  /** Whose slot an address is in; null if it is in none that is taken. */
  @Nullable
  public Lease owner(long address) {
    return contains(address) ? leases.get(address & -SLOT_BYTES) : null;
  }

  public boolean contains(long address) {
    for (Block block : blocks) {
      if (block.contains(address)) {
        return true;
      }
    }
    return false;
  }

  public boolean isEmpty() {
    return blocks.isEmpty();
  }

  /** Says that memory stays mapped. That does no harm: no thread is in it, and no breakpoint leads there. */
  public void sayThatItStays(String where, PtraceException refusal) {
    LOGGER.log(System.Logger.Level.WARNING,
        "the memory for copies of probed instructions in " + where + ", " + blocks.stream()
            .map(block -> "0x" + Long.toHexString(block.base))
            .collect(Collectors.joining(", ", BLOCK_BYTES / 1024 + " KiB at each of ", ""))
            + ", stays mapped, unused: " + refusal.getMessage());
  }

  /**
   * Unmaps everything, as far as it gets.
   *
   * @param thread of the process, or of one that runs in its memory
   * @throws PtraceException SECCOMP if it may not; another thread may
   */
  public void unmap(TracedThread thread) {
    // The system call instruction lies in the first block: it goes last, and its trap comes before the next
    // fetch.
    thread.process().systemCallInstruction(blocks.getFirst().base);
    try {
      while (!blocks.isEmpty()) {
        thread.process().unmap(thread, blocks.getLast().base, BLOCK_BYTES);
        blocks.removeLast();
      }
    } finally {
      thread.process().systemCallInstruction(0);
    }
    process.systemCallInstruction(0);
  }

  /**
   * Unmaps what a child has copies of. It was forked at any moment: a block may have come since, or be there
   * but empty, so that the child must not use the system call instruction in it.
   *
   * @param thread of the child
   * @param mappings of the child
   */
  public void unmapFrom(TracedThread thread, List<MemoryMapping> mappings) {
    for (Block block : blocks) {
      if (mappings.stream().anyMatch(m -> m.contains(block.base))) {
        thread.process().unmap(thread, block.base, BLOCK_BYTES);
      }
    }
  }

  /** Forgets all blocks and leases: they are unmapped, or the address space is gone. */
  public void clear() {
    blocks.clear();
    for (Lease lease : leases.values()) {
      leases.remove(lease.address());
    }
    process.systemCallInstruction(0);
  }
}
