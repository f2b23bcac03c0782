package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Native memory through which bytes of a process pass. Any thread accesses a process's memory, and an arena a
 * call costs as much as the call; one a thread would not do either, since virtual threads come by the
 * thousand.
 *
 * <p>So there is a pool of them. Whoever {@linkplain #take takes} one owns it alone until releasing it, in a
 * finally block.
 *
 * @param state the capture segment of {@link Libc}
 * @param vectors two {@code struct iovec}
 * @param data {@link #CHUNK} bytes
 */
record TransferBuffer(MemorySegment state, MemorySegment vectors, MemorySegment data) {

  /** How many bytes pass at once. */
  static final int CHUNK = 64 << 10;

  private static final ConcurrentLinkedDeque<TransferBuffer> POOL = new ConcurrentLinkedDeque<>();

  /** The one that was given back last: nothing is allocated to keep it here. */
  private static final AtomicReference<@Nullable TransferBuffer> LAST = new AtomicReference<>();

  static TransferBuffer take() {
    TransferBuffer pooled = LAST.getAndSet(null);
    if (pooled == null) {
      pooled = POOL.pollFirst();
    }
    if (pooled != null) {
      return pooled;
    }
    Arena arena = Arena.ofAuto();
    return new TransferBuffer(arena.allocate(Libc.callState()), arena.allocate(32, 8),
        arena.allocate(CHUNK, 16));
  }

  void release() {
    if (!LAST.compareAndSet(null, this)) {
      POOL.addFirst(this);
    }
  }

  /** Two {@code struct iovec}: the data and the range in the process. */
  MemorySegment vectors(long address, int length) {
    vectors.set(JAVA_LONG, 0, data.address());
    vectors.set(JAVA_LONG, 8, length);
    vectors.set(JAVA_LONG, 16, address);
    vectors.set(JAVA_LONG, 24, length);
    return vectors;
  }
}
