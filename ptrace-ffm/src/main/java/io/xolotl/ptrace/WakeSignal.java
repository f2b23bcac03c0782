package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The signal that gets a tracer thread out of {@code waitpid}.
 *
 * <p>Its handler is {@code abs} of the C library: it takes an int and has no effect, so no Java code ever
 * runs in a signal handler. It is installed without SA_RESTART: an interrupted waitpid returns EINTR.
 */
final class WakeSignal {

  private static final long SYS_GETTID = 186;
  static final long SYS_TGKILL = 234;
  private static final int SIG_UNBLOCK = 1;

  // glibc's struct sigaction on x86-64: handler 8, mask 128, flags 4 (and padding), restorer 8.
  static final long SIGACTION_BYTES = 152;
  private static final long SIGSET_BYTES = 128;

  /**
   * SIGSTKFLT, which nothing raises on x86 (signal(7)), or SIGURG, which is for sockets that ask for it. Of
   * these at most one waits for a thread, while every real-time signal that is sent is queued: sent again and
   * again to a tracer that gets no CPU they would use up what all processes of the user together may have
   * queued (RLIMIT_SIGPENDING), the target too.
   */
  private static final int[] CANDIDATES = {16, 23};

  /** The one in use, once chosen. */
  private static int signal;

  private WakeSignal() {}

  /** Chooses a signal that nobody in this JVM uses and installs the handler, once. */
  static synchronized void install() {
    if (signal != 0) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.callState());
      MemorySegment old = arena.allocate(SIGACTION_BYTES, 8);
      MemorySegment action = arena.allocate(SIGACTION_BYTES, 8);
      action.set(ADDRESS, 0, Libc.address("abs"));
      for (int candidate : CANDIDATES) {
        boolean free = Libc.sigaction(state, candidate, MemorySegment.NULL, old) == 0
            && old.get(JAVA_LONG, 0) == 0;
        if (free && Libc.sigaction(state, candidate, action, MemorySegment.NULL) == 0) {
          signal = candidate;
          return;
        }
      }
    }
    throw new PtraceException(Reason.SYSTEM_ERROR, "neither SIGSTKFLT nor SIGURG is free in this JVM");
  }

  /** Lets the signal through to the calling thread, whatever mask it inherited. */
  static void unblock() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment set = arena.allocate(SIGSET_BYTES, 8);
      set.set(JAVA_LONG, 0, 1L << number() - 1);
      int errno = Libc.pthread_sigmask(SIG_UNBLOCK, set, MemorySegment.NULL);
      if (errno != 0) {
        throw new PtraceException(Reason.SYSTEM_ERROR, errno,
            "pthread_sigmask failed with " + Errno.name(errno));
      }
    }
  }

  private static synchronized int number() {
    return signal;
  }

  static int gettid() {
    try (Arena arena = Arena.ofConfined()) {
      return (int) Libc.syscall(arena.allocate(Libc.callState()), SYS_GETTID, 0, 0, 0, 0, 0);
    }
  }

  static void send(int tid) {
    try (Arena arena = Arena.ofConfined()) {
      // ESRCH says that the thread has ended, and then nobody waits for it to wake.
      Libc.syscall(arena.allocate(Libc.callState()), SYS_TGKILL, ProcessHandle.current().pid(), tid, number(),
          0, 0);
    }
  }
}
