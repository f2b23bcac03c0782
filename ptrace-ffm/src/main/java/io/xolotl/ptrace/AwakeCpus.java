package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * Keeps idle CPUs awake: the kernel does not let them sleep as long as somebody holds the file open who has
 * written there that he cannot wait. Tracer thread only.
 */
final class AwakeCpus {

  private static final int NONE = -1;

  private final MemorySegment state;
  private final MemorySegment path;
  private final MemorySegment latency;
  private boolean refused;
  private int descriptor = NONE;

  /** With the file {@link IdleCpus#LATENCY}; tests have others. */
  AwakeCpus(Arena arena, Path file) {
    state = arena.allocate(Libc.callState());
    path = arena.allocateFrom(file.toString());
    // How many microseconds it may take to wake up.
    latency = arena.allocateFrom(JAVA_INT, 0);
  }

  /** Keeps them awake from now on, or no longer. */
  void keep(boolean awake) {
    if (awake && descriptor == NONE && !refused) {
      descriptor = Libc.open(state, path, Libc.O_RDWR | Libc.O_CLOEXEC);
      // Not for this user, or not on this machine: that will not change.
      refused = descriptor == NONE || Libc.pwrite(state, descriptor, latency, latency.byteSize(), 0) < 0;
    }
    if (descriptor != NONE && (!awake || refused)) {
      Libc.close(state, descriptor);
      descriptor = NONE;
    }
  }
}
