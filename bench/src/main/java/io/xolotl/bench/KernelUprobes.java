package io.xolotl.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The kernel's own uprobes, to compare with: each counts the hits of one thread at one instruction.
 *
 * <p>They are had through perf_event_open(2) on the {@code uprobe} PMU, which needs CAP_PERFMON
 * (perf_uprobe_event_init in kernel/events/core.c). What a comparison asks of them are values: a refusal of
 * the instruction, and that this user may not have them, so that a test can skip.
 *
 * <p>The JVM must permit native access to this module. Any thread may use this class.
 */
public final class KernelUprobes {

  /** What came of opening one. */
  public sealed interface Result {}

  /**
   * The kernel does not probe this instruction.
   *
   * @param errno {@link #ENOTSUPP}, or {@link #ENOEXEC} for what its decoder does not know
   */
  public record Refused(int errno) implements Result {}

  /**
   * There are no uprobes for this user.
   *
   * @param reason a sentence
   */
  public record Unavailable(String reason) implements Result {}

  /** The kernel's errno for an instruction that uprobes do not support; it has no name in user space. */
  public static final int ENOTSUPP = 524;

  /** The kernel's errno for bytes that are no instruction to it. */
  public static final int ENOEXEC = 8;

  private static final int EPERM = 1;
  private static final int EACCES = 13;
  private static final int ENOSYS = 38;

  private static final Path PMU = Path.of("/sys/bus/event_source/devices/uprobe/type");

  /** Bit 0 of config, by format/retprobe of the PMU. */
  private static final long RETURN_PROBE = 1;

  /**
   * PERF_ATTR_SIZE_VER1 of linux/perf_event.h; its last members are config1, the path, and config2, the
   * offset.
   */
  private static final int ATTRIBUTE_SIZE = 72;
  private static final long TYPE = 0;
  private static final long SIZE = 4;
  private static final long CONFIG = 8;
  private static final long PATH = 56;
  private static final long OFFSET = 64;

  private KernelUprobes() {}

  /** The calls of the C library, linked with the first use. */
  private static final class Calls {
    static final Linker LINKER = Linker.nativeLinker();
    static final MemoryLayout STATE = Linker.Option.captureStateLayout();
    static final VarHandle ERRNO = STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    static final long SYS_PERF_EVENT_OPEN = 298;
    static final long PERF_FLAG_FD_CLOEXEC = 8;
    static final MethodHandle SYSCALL = LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow("syscall"),
        FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS,
            ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG),
        Linker.Option.firstVariadicArg(1), Linker.Option.captureCallState("errno"));
    static final MethodHandle READ = LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow("read"),
        FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT, ValueLayout.ADDRESS,
            ValueLayout.JAVA_LONG),
        Linker.Option.captureCallState("errno"));
    static final MethodHandle CLOSE = LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow("close"),
        FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));

    static int perfEventOpen(MemorySegment state, MemorySegment attributes, int thread) {
      try {
        return (int) (long) SYSCALL.invokeExact(state, SYS_PERF_EVENT_OPEN, attributes, thread, -1, -1,
            PERF_FLAG_FD_CLOEXEC);
      } catch (Throwable t) {
        throw new AssertionError(t);
      }
    }

    static long read(MemorySegment state, int descriptor, MemorySegment buffer) {
      try {
        return (long) READ.invokeExact(state, descriptor, buffer, buffer.byteSize());
      } catch (Throwable t) {
        throw new AssertionError(t);
      }
    }

    static void close(int descriptor) {
      try {
        // It has no error that matters: Linux closes the descriptor in any case.
        int ignored = (int) CLOSE.invokeExact(descriptor);
      } catch (Throwable t) {
        throw new AssertionError(t);
      }
    }

    static int errno(MemorySegment state) {
      return (int) ERRNO.get(state, 0L);
    }
  }

  /** A probe of the kernel that counts hits. */
  public static final class Counter implements Result, AutoCloseable {

    private final int descriptor;
    private boolean closed;

    private Counter(int descriptor) {
      this.descriptor = descriptor;
    }

    /**
     * How often the thread has hit it.
     *
     * @throws IllegalStateException after {@link #close}
     */
    public synchronized long hits() {
      if (closed) {
        throw new IllegalStateException("the counter is closed");
      }
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(Calls.STATE);
        MemorySegment value = arena.allocate(ValueLayout.JAVA_LONG);
        long count = Calls.read(state, descriptor, value);
        if (count != value.byteSize()) {
          throw failure("reading a uprobe's counter", Calls.errno(state));
        }
        return value.get(ValueLayout.JAVA_LONG, 0);
      }
    }

    /** Removes the probe. Closing again does nothing. */
    @Override
    public synchronized void close() {
      if (!closed) {
        closed = true;
        Calls.close(descriptor);
      }
    }
  }

  /**
   * Probes an instruction of a file in one thread.
   *
   * @param file the program or shared library
   * @param offset of the instruction in the file; the kernel's verdict on it comes only where the thread's
   *     process has that page mapped executable
   * @param thread the thread whose hits count: a process id stands for the first thread
   * @return a {@link Counter}, which the caller closes, or why there is none
   * @throws UncheckedIOException if it fails for another reason than the two that are values
   */
  public static Result open(Path file, long offset, int thread) {
    return open(file, offset, thread, 0);
  }

  /**
   * Probes the returns of a function of a file in one thread.
   *
   * @param file the program or shared library
   * @param offset of the function's first instruction in the file
   * @param thread the thread whose hits count
   * @return as {@link #open(Path, long, int)}
   */
  public static Result openReturn(Path file, long offset, int thread) {
    return open(file, offset, thread, RETURN_PROBE);
  }

  private static Result open(Path file, long offset, int thread, long config) {
    if (!Files.isReadable(PMU)) {
      return new Unavailable("this kernel has no uprobes for perf_event_open: there is no " + PMU);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Calls.STATE);
      MemorySegment attributes = arena.allocate(ATTRIBUTE_SIZE, 8);
      attributes.set(ValueLayout.JAVA_INT, TYPE, type());
      attributes.set(ValueLayout.JAVA_INT, SIZE, ATTRIBUTE_SIZE);
      attributes.set(ValueLayout.JAVA_LONG, CONFIG, config);
      attributes.set(ValueLayout.ADDRESS, PATH, arena.allocateFrom(file.toAbsolutePath().toString()));
      attributes.set(ValueLayout.JAVA_LONG, OFFSET, offset);
      int descriptor = Calls.perfEventOpen(state, attributes, thread);
      if (descriptor >= 0) {
        return new Counter(descriptor);
      }
      int errno = Calls.errno(state);
      return switch (errno) {
        case ENOTSUPP, ENOEXEC -> new Refused(errno);
        case EPERM, EACCES ->
          new Unavailable("this user may not use the kernel's uprobes: run as root or with CAP_PERFMON");
        case ENOSYS -> new Unavailable("this kernel has no perf_event_open(2)");
        default -> throw failure("a uprobe at offset 0x" + Long.toHexString(offset) + " of " + file, errno);
      };
    }
  }

  private static int type() {
    try {
      return Integer.parseInt(Files.readString(PMU).strip());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static UncheckedIOException failure(String what, int errno) {
    return new UncheckedIOException(new IOException(what + " failed with errno " + errno));
  }
}
