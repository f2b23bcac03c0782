package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * The memory of a traced process. Any thread may use it at any time while the process is traced; nothing here stops
 * the process, so what other threads of it write at the same time may be seen in part.
 *
 * <p>Addresses are those of the process, unsigned. An access that reaches memory which is not mapped, or not with
 * the permission needed, throws {@link PtraceException} with {@link PtraceException.Reason#MEMORY_INACCESSIBLE}.
 */
public final class ProcessMemory {

  private static final int CHUNK = 64 << 10;
  private static final int CLOSED = -1;

  /**
   * What a call needs in native memory. A pool, and not one a thread: virtual threads come by the thousand, and an
   * arena a call costs as much as the call.
   */
  private static final ConcurrentLinkedDeque<Buffers> POOL = new ConcurrentLinkedDeque<>();

  /** The one that was given back last: nothing is allocated to keep it here. */
  private static final AtomicReference<@Nullable Buffers> LAST = new AtomicReference<>();

  private record Buffers(MemorySegment state, MemorySegment vectors, MemorySegment data) {

    static Buffers take() {
      Buffers pooled = LAST.getAndSet(null);
      if (pooled == null) {
        pooled = POOL.pollFirst();
      }
      if (pooled != null) {
        return pooled;
      }
      Arena arena = Arena.ofAuto();
      return new Buffers(arena.allocate(Libc.callState()), arena.allocate(32, 8), arena.allocate(CHUNK, 16));
    }

    void release() {
      if (!LAST.compareAndSet(null, this)) {
        POOL.addFirst(this);
      }
    }

    /** Two {@code struct iovec}: this buffer and the range in the process. */
    MemorySegment local(long address, int length) {
      vectors.set(JAVA_LONG, 0, data.address());
      vectors.set(JAVA_LONG, 8, length);
      vectors.set(JAVA_LONG, 16, address);
      vectors.set(JAVA_LONG, 24, length);
      return vectors;
    }
  }

  private final int pid;
  // A descriptor that is closed while another thread writes through it could by then be another file's.
  private final ReentrantReadWriteLock descriptorLock = new ReentrantReadWriteLock();
  // /proc/PID/mem keeps the address space that it was opened for: after an exec it must be opened anew.
  private volatile int descriptor = CLOSED;
  /** The thread through which the memory is reached: a main thread that has ended before the others has none any more. */
  private volatile int owner;

  /** Creates it closed: where the process may not be traced, the attempt to trace it says why. */
  ProcessMemory(int pid) {
    this.pid = pid;
    owner = pid;
  }

  /** Follows the process into its present address space. Tracer thread only. */
  void open() {
    int opened = openMem();
    if (opened == CLOSED && findOwner()) {
      opened = openMem();
    }
    replace(opened);
  }

  private int openMem() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.callState());
      int fd = Libc.open(state, arena.allocateFrom("/proc/" + owner + "/mem"), Libc.O_RDWR | Libc.O_CLOEXEC);
      if (fd >= 0) {
        return fd;
      }
      int errno = Libc.errno(state);
      if (errno == Libc.ESRCH || errno == Libc.ENOENT) {
        // It has been killed; its tracer is told soon.
        return CLOSED;
      }
      throw new PtraceException(PtraceException.Reason.SYSTEM_ERROR, errno,
          "open of /proc/" + owner + "/mem failed with " + Errno.name(errno));
    }
  }

  /** Looks for a thread that is alive. */
  private boolean findOwner() {
    for (int tid : TracedProcess.threadIds(pid)) {
      ProcessStatus status = ProcessStatus.of(tid);
      if (status != null && !status.isDead()) {
        owner = tid;
        return true;
      }
    }
    return false;
  }

  /** A thread whose memory is that of the process, for files of {@code /proc} that a dead thread has none of. */
  int owner() {
    ProcessStatus status = ProcessStatus.of(owner);
    if (status == null || status.isDead()) {
      findOwner();
    }
    return owner;
  }

  /** The id of a thread that has ended can soon be that of a thread of another process. */
  void threadGone(int tid) {
    if (tid == owner) {
      owner = pid;
    }
  }

  void close() {
    replace(CLOSED);
  }

  private void replace(int replacement) {
    Buffers b = Buffers.take();
    descriptorLock.writeLock().lock();
    try {
      if (descriptor != CLOSED) {
        // close(2) releases the descriptor whatever it returns; /proc/PID/mem has nothing to flush.
        Libc.close(b.state, descriptor);
      }
      descriptor = replacement;
    } finally {
      descriptorLock.writeLock().unlock();
      b.release();
    }
  }

  /**
   * Reads memory that the process itself may read.
   *
   * @param address first address
   * @param destination where to
   * @param offset first index in {@code destination}
   * @param length number of bytes
   * @return how many bytes could be read from {@code address} on, 0 to {@code length}
   */
  public int tryRead(long address, byte[] destination, int offset, int length) {
    java.util.Objects.checkFromIndexSize(offset, length, destination.length);
    Buffers b = Buffers.take();
    // While the lock is held the process is traced: its id is not reused.
    descriptorLock.readLock().lock();
    try {
      int done = 0;
      while (done < length && descriptor != CLOSED) {
        int part = Math.min(CHUNK, length - done);
        long n = readPart(b, address + done, part);
        if (n <= 0) {
          break;
        }
        MemorySegment.copy(b.data, JAVA_BYTE, 0, destination, offset + done, (int) n);
        done += (int) n;
        if (n < part) {
          break;
        }
      }
      return done;
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
  }

  /** Reads up to a chunk into the buffer's data; returns how many bytes, or -1. With the lock held. */
  private long readPart(Buffers b, long address, int length) {
    MemorySegment vectors = b.local(address, length);
    long n = Libc.process_vm_readv(b.state, owner, vectors, 1, vectors.asSlice(16), 1);
    return n < 0 && Libc.errno(b.state) == Libc.ESRCH && findOwner()
        ? Libc.process_vm_readv(b.state, owner, vectors, 1, vectors.asSlice(16), 1)
        : n;
  }

  /** Writes up to a chunk from the buffer's data; returns how many bytes, or -1. With the lock held. */
  private long writePart(Buffers b, long address, int length) {
    if (descriptor == CLOSED) {
      return -1;
    }
    MemorySegment vectors = b.local(address, length);
    long n = Libc.process_vm_writev(b.state, owner, vectors, 1, vectors.asSlice(16), 1);
    return n < 0 && Libc.errno(b.state) == Libc.ESRCH && findOwner()
        ? Libc.process_vm_writev(b.state, owner, vectors, 1, vectors.asSlice(16), 1)
        : n;
  }

  /**
   * Reads memory that the process itself may read.
   *
   * @param address first address
   * @param length number of bytes
   */
  public byte[] read(long address, int length) {
    byte[] bytes = new byte[length];
    int n = tryRead(address, bytes, 0, length);
    if (n < length) {
      throw inaccessible("read", address + n);
    }
    return bytes;
  }

  /** Reads eight bytes as a number, lowest byte first. */
  public long readLong(long address) {
    return readNumber(address, 8);
  }

  /** Reads four bytes as a number, lowest byte first. */
  public int readInt(long address) {
    return (int) readNumber(address, 4);
  }

  /** Reads one byte. */
  public byte readByte(long address) {
    return (byte) readNumber(address, 1);
  }

  /**
   * Reads a string in UTF-8 up to its zero byte.
   *
   * @param address its first byte
   * @param limit most bytes to read; a longer string is cut there
   */
  public String readString(long address, int limit) {
    byte[] bytes = new byte[limit];
    int n = 0;
    while (n < limit) {
      // Not across the end of a page: the next one need not be mapped.
      int part = (int) Math.min(limit - n, 4096 - (address + n & 4095));
      int got = tryRead(address + n, bytes, n, part);
      for (int i = n; i < n + got; i++) {
        if (bytes[i] == 0) {
          return new String(bytes, 0, i, StandardCharsets.UTF_8);
        }
      }
      if (got < part) {
        throw inaccessible("read", address + n + got);
      }
      n += got;
    }
    return new String(bytes, 0, n, StandardCharsets.UTF_8);
  }

  /**
   * Writes memory that the process itself may write.
   *
   * @param address first address
   * @param bytes what to write
   */
  public void write(long address, byte[] bytes) {
    Buffers b = Buffers.take();
    descriptorLock.readLock().lock();
    try {
      int done = 0;
      while (done < bytes.length) {
        int part = Math.min(CHUNK, bytes.length - done);
        MemorySegment.copy(bytes, done, b.data, JAVA_BYTE, 0, part);
        long n = writePart(b, address + done, part);
        done += (int) Math.max(0, n);
        if (n < part) {
          throw inaccessible("write", address + done);
        }
      }
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
  }

  /** Writes eight bytes, lowest first. */
  public void writeLong(long address, long value) {
    writeNumber(address, value, 8);
  }

  /** Writes four bytes, lowest first. */
  public void writeInt(long address, int value) {
    writeNumber(address, value, 4);
  }

  /** Numbers are read and written in hits, where nothing is to be allocated. */
  private long readNumber(long address, int length) {
    Buffers b = Buffers.take();
    descriptorLock.readLock().lock();
    try {
      b.data.set(JAVA_LONG, 0, 0);
      long n = descriptor == CLOSED ? -1 : readPart(b, address, length);
      if (n < length) {
        throw inaccessible("read", address + Math.max(0, n));
      }
      return b.data.get(JAVA_LONG, 0);
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
  }

  private void writeNumber(long address, long value, int length) {
    Buffers b = Buffers.take();
    descriptorLock.readLock().lock();
    try {
      b.data.set(JAVA_LONG, 0, value);
      long n = writePart(b, address, length);
      if (n < length) {
        throw inaccessible("write", address + Math.max(0, n));
      }
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
  }

  /**
   * Reads memory whatever its permissions are, for instance code that is mapped execute-only.
   *
   * @param address first address
   * @param length number of bytes
   * @return the bytes up to the first that is not mapped; shorter than {@code length} if there is one
   */
  public byte[] readText(long address, int length) {
    Buffers b = Buffers.take();
    descriptorLock.readLock().lock();
    try {
      byte[] bytes = new byte[length];
      int done = 0;
      while (done < length) {
        long n = Libc.pread(b.state, descriptor, b.data, Math.min(CHUNK, length - done), address + done);
        if (n <= 0) {
          return java.util.Arrays.copyOf(bytes, done);
        }
        MemorySegment.copy(b.data, JAVA_BYTE, 0, bytes, done, (int) n);
        done += (int) n;
      }
      return bytes;
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
  }

  /**
   * Writes memory whatever its permissions are. The kernel gives the process a private copy of a page of a file that
   * is written so: neither the file nor another process changes. One byte is written atomically, more are not: see
   * Intel SDM volume 3, "Handling self- and cross-modifying code".
   *
   * @param address first address
   * @param bytes what to write
   */
  public void writeText(long address, byte... bytes) {
    Buffers b = Buffers.take();
    descriptorLock.readLock().lock();
    try {
      int done = 0;
      while (done < bytes.length) {
        int part = Math.min(CHUNK, bytes.length - done);
        MemorySegment.copy(bytes, done, b.data, JAVA_BYTE, 0, part);
        long n = Libc.pwrite(b.state, descriptor, b.data, part, address + done);
        if (n <= 0) {
          throw inaccessible("write of text", address + done);
        }
        done += (int) n;
      }
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
  }

  private PtraceException inaccessible(String operation, long address) {
    boolean closed = descriptor == CLOSED;
    return new PtraceException(PtraceException.Reason.MEMORY_INACCESSIBLE, Libc.EFAULT, operation + " at 0x"
        + Long.toHexString(address) + " in process " + pid
        + (closed
            ? ": the process is not traced any more"
            : ": the memory is not mapped with the permission needed"));
  }
}
