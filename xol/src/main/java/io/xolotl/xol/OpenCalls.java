package io.xolotl.xol;

import java.util.Map;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The calls of a function that have not returned, each by the stack pointer at its entry: no two have the
 * same, while fibers change threads. Those that were left by longjmp or an exception stay until another call
 * begins there.
 *
 * <p>Safe for use by several threads. A call belongs to whichever thread uses its stack, one at a time.
 */
final class OpenCalls {

  /** More than all threads of a server have; a process could begin calls for ever, each somewhere else. */
  private static final int MOST = 1 << 18;
  /** Calls that are looked at to find one whose stack was moved. */
  private static final int MOST_SEARCHED = 1 << 10;
  /** Bytes that a stack may have: the limit of what the kernel, glibc and musl give by default. */
  private static final long LARGEST_STACK = 1 << 23;
  /** Calls that have called the function again by a jump, at one depth. */
  private static final int MOST_JUMPS = 1 << 10;

  /** What is known of a call by how other code has left functions at once. */
  private enum Fate {
    /** Nothing: it will return. */
    OPEN,
    /** It was left, unless that has only changed to another stack. */
    LEFT,
    /** It may have been left; or it was, and code has come back to below it since, perhaps to that stack. */
    DOUBTFUL
  }

  /** A call that has not returned. */
  static final class Call {
    final int tid;
    final long returnAddress;
    /** What is done when it returns; knows what the entry handler shared. */
    final ProbeHandler onReturn;
    /** The call that has called the function again by a jump, and returns with this one. */
    final @Nullable Call jumper;
    private final int jumps;
    /** It has jumped out of the function, or may have, and another one may return for it. */
    volatile boolean left;
    /** It has jumped to the function's start. */
    volatile boolean again;
    private volatile Fate fate = Fate.OPEN;

    Call(int tid, long returnAddress, ProbeHandler onReturn, @Nullable Call jumper) {
      this.tid = tid;
      this.returnAddress = returnAddress;
      this.onReturn = onReturn;
      this.jumper = jumper;
      jumps = jumper == null ? 0 : jumper.jumps + 1;
    }

    /** Returns true if longjmp or an exception has ended it, as far as anybody can tell. */
    boolean isLeft() {
      return fate == Fate.LEFT;
    }

    /** Returns true if nobody can tell whether longjmp or an exception has ended it. */
    boolean isDoubtful() {
      return fate == Fate.DOUBTFUL;
    }

    /** How many calls return together with this one. */
    int jumps() {
      return jumps;
    }

    /** Returns true if no call may be added behind it. */
    boolean isLast() {
      return jumps == MOST_JUMPS;
    }
  }

  private final ConcurrentNavigableMap<Long, Call> calls = new ConcurrentSkipListMap<>();
  private final AtomicInteger size = new AtomicInteger();

  /** Keeps a call; false if there are too many. */
  boolean add(long stackPointer, Call call) {
    if (size.get() >= MOST) {
      return false;
    }
    if (calls.put(stackPointer, call) == null) {
      size.incrementAndGet();
    }
    return true;
  }

  @Nullable
  Call at(long stackPointer) {
    return calls.get(stackPointer);
  }

  @Nullable
  Call remove(long stackPointer) {
    Call call = calls.remove(stackPointer);
    if (call != null) {
      size.decrementAndGet();
    }
    return call;
  }

  /** The innermost call of the stack with a pointer, if there is one; else one of another stack, or null. */
  @Nullable
  Call innermost(long stackPointer) {
    Map.Entry<Long, Call> entry = calls.ceilingEntry(stackPointer);
    return entry == null ? null : entry.getValue();
  }

  /**
   * A thread gets another stack pointer, as longjmp and the unwinder of exceptions give it: all its calls
   * between the two are over. Those of other threads there are on other stacks, unless a fiber has come from
   * one: they are in doubt. If the two are on different stacks, nobody knows where the new one ends, and all
   * calls below it within a stack's length are in doubt. Code that changes stacks looks the same. Its calls
   * are still there, and when something comes back to below them, they are in doubt as well.
   *
   * @param tid the thread
   * @param from the stack pointer before
   * @param to the stack pointer of the code that goes on
   * @param returnsThrough the slot of a return address through which it goes on, if that is what the call
   *     there was given: that call returns; else 0
   */
  void leave(int tid, long from, long to, long returnsThrough) {
    // Addresses of programs are far from both ends of the numbers.
    long top = Math.clamp(to, LARGEST_STACK, Long.MAX_VALUE - LARGEST_STACK);
    boolean sameStack = from < top && top - from <= LARGEST_STACK;
    for (var entry : calls.subMap(sameStack ? from : top - LARGEST_STACK, top).entrySet()) {
      Call call = entry.getValue();
      if (entry.getKey() != returnsThrough) {
        call.fate = sameStack && call.tid == tid ? Fate.LEFT : Fate.DOUBTFUL;
      }
    }
    for (Call call : calls.subMap(top, top + LARGEST_STACK).values()) {
      if (call.fate == Fate.LEFT) {
        call.fate = Fate.DOUBTFUL;
      }
    }
  }

  /** Removes a call that returns to an address; false if none does. */
  boolean removeReturningTo(long returnAddress) {
    int searched = 0;
    for (Map.Entry<Long, Call> entry : calls.entrySet()) {
      if (entry.getValue().returnAddress == returnAddress && !entry.getValue().isLeft()) {
        return remove(entry.getKey()) != null;
      }
      if (++searched == MOST_SEARCHED) {
        break;
      }
    }
    return false;
  }
}
