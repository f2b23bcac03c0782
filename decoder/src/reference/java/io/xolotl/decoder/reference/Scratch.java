package io.xolotl.decoder.reference;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Native memory for one call of Zydis at a time.
 *
 * <p>Whoever {@linkplain #take takes} one owns it alone until giving it back, in a finally block. It is not
 * tied to a thread, so that a million virtual threads need only as many as run at the same time, and one
 * may even be moved to another carrier in between. Those that find no place in the pool are left to the
 * garbage collector.
 */
final class Scratch {

  /** One more than the longest instruction, so that Zydis can tell too long from truncated. */
  static final int INPUT_SIZE = 16;

  /** So that what Zydis writes spans as few lines of the cache as it can. */
  static final int ALIGNMENT = 64;

  private static final long TEXT_SIZE = 256;
  private static final int MAX_OPERANDS = 10;

  private static final int POOL_SIZE = Integer.highestOneBit(Runtime.getRuntime().availableProcessors()) * 4;
  private static final AtomicReferenceArray<Scratch> POOL = new AtomicReferenceArray<>(POOL_SIZE);

  final MemorySegment input;
  final MemorySegment context;
  final MemorySegment instruction;
  final MemorySegment operands;
  final MemorySegment text;

  private Scratch() {
    Arena arena = Arena.ofAuto();
    input = arena.allocate(INPUT_SIZE, ALIGNMENT);
    context = arena.allocate(ZydisStructs.CONTEXT_SIZE, ALIGNMENT);
    instruction = arena.allocate(ZydisStructs.INSTRUCTION_SIZE, ALIGNMENT);
    operands = arena.allocate(ZydisStructs.OPERAND_SIZE * MAX_OPERANDS, ALIGNMENT);
    text = arena.allocate(TEXT_SIZE);
  }

  static Scratch take() {
    // Threads start at different places, so that they seldom meet.
    int start = (int) Thread.currentThread().threadId();
    for (int i = 0; i < POOL_SIZE; i++) {
      int place = start + i & POOL_SIZE - 1;
      if (POOL.getPlain(place) != null) {
        Scratch scratch = POOL.getAndSet(place, null);
        if (scratch != null) {
          return scratch;
        }
      }
    }
    return new Scratch();
  }

  void giveBack() {
    int start = (int) Thread.currentThread().threadId();
    for (int i = 0; i < POOL_SIZE; i++) {
      int place = start + i & POOL_SIZE - 1;
      if (POOL.getPlain(place) == null && POOL.compareAndSet(place, null, this)) {
        return;
      }
    }
  }

  /** Copies the first bytes of the source, at most {@link #INPUT_SIZE}, and fills up with zeros. */
  void load(MemorySegment source, long offset, int length) {
    load(0, 0);
    MemorySegment.copy(source, offset, input, 0, length);
  }

  void load(byte[] source, int offset, int length) {
    load(0, 0);
    MemorySegment.copy(source, offset, input, ValueLayout.JAVA_BYTE, 0, length);
  }

  void load(long low, long high) {
    input.set(ValueLayout.JAVA_LONG, 0, low);
    input.set(ValueLayout.JAVA_LONG, 8, high);
  }

  int inputByte(int index) {
    return Byte.toUnsignedInt(input.get(ValueLayout.JAVA_BYTE, index));
  }

  byte instructionByte(long offset) {
    return instruction.get(ValueLayout.JAVA_BYTE, offset);
  }

  int instructionInt(long offset) {
    return instruction.get(ValueLayout.JAVA_INT, offset);
  }

  long instructionLong(long offset) {
    return instruction.get(ValueLayout.JAVA_LONG, offset);
  }
}
