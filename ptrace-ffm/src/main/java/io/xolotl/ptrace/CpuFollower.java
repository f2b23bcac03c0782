package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the tracer thread on the CPU of the thread that it serves. Tracer thread only.
 *
 * <p>It looks only now and then, since a look costs about as much as a stop on one CPU, and the kernel moves
 * threads seldom. With as many busy threads as CPUs the one that is looked at is as good as any other.
 */
final class CpuFollower {

  private static final long SYS_SCHED_SETAFFINITY = 203;
  private static final long SYS_SCHED_GETAFFINITY = 204;

  /** The kernel's cpumask here: 8,192 CPUs, as many as it can be built for. */
  private static final int MASK_BYTES = 1024;

  /** Stops between two looks. */
  private static final int INTERVAL = 128;

  /** Field 39 of proc_pid_stat(5), counted from the first behind the name. */
  private static final int PROCESSOR = 39 - 3;

  private final MemorySegment state;
  private final MemorySegment mask;
  private final MemorySegment allowed;
  private final byte[] text = new byte[512];
  private int stops;
  private int cpu = -1;
  private @Nullable RandomAccessFile stat;
  private int statOf;

  CpuFollower(Arena arena) {
    state = arena.allocate(Libc.callState());
    mask = arena.allocate(MASK_BYTES, 8);
    allowed = arena.allocate(MASK_BYTES, 8);
    Libc.syscall(state, SYS_SCHED_GETAFFINITY, 0, MASK_BYTES, allowed.address(), 0, 0);
  }

  /** A thread has stopped. */
  void stopped(int tid) {
    if (stops++ % INTERVAL == 0) {
      int now = cpuOf(tid);
      if (now != cpu && now >= 0 && isAllowed(now)) {
        cpu = now;
        mask.fill((byte) 0);
        mask.set(JAVA_LONG, cpu / 64 * 8L, 1L << cpu);
        setAffinity(mask);
      }
    }
  }

  /** Lets the tracer go where the kernel wants it, until the next look but one. */
  void release() {
    stops = 1;
    if (cpu >= 0) {
      cpu = -1;
      setAffinity(allowed);
    }
  }

  /** By its cpuset this JVM may be kept from a CPU that the target runs on. */
  private boolean isAllowed(int candidate) {
    return candidate < MASK_BYTES * 8 && (allowed.get(JAVA_LONG, candidate / 64 * 8L) >> candidate & 1) != 0;
  }

  private void setAffinity(MemorySegment to) {
    // Where it is refused the tracer stays where it is, which is only slower.
    Libc.syscall(state, SYS_SCHED_SETAFFINITY, 0, MASK_BYTES, to.address(), 0, 0);
  }

  private int cpuOf(int tid) {
    try {
      RandomAccessFile file = stat;
      if (file == null || statOf != tid) {
        close();
        file = new RandomAccessFile("/proc/" + tid + "/stat", "r");
        stat = file;
        statOf = tid;
      }
      file.seek(0);
      int length = file.read(text);
      String line = new String(text, 0, Math.max(0, length), StandardCharsets.ISO_8859_1);
      String[] fields = line.substring(line.lastIndexOf(')') + 2).split(" ");
      return Integer.parseInt(fields[PROCESSOR]);
    } catch (IOException | RuntimeException ended) {
      // The thread is gone, or its line is longer than any that was ever seen.
      close();
      return -1;
    }
  }

  void close() {
    RandomAccessFile file = stat;
    stat = null;
    if (file != null) {
      try {
        file.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
