package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * The memory of a traced process. Any thread may use it at any time while the process is traced; nothing here
 * stops the process, so what other threads of it write at the same time may be seen in part.
 *
 * <p>Addresses are those of the process, unsigned. An access that reaches memory which is not mapped, or not
 * with the permission needed, throws {@link PtraceException} with
 * {@link PtraceException.Reason#MEMORY_INACCESSIBLE}.
 */
public final class ProcessMemory {

  private static final int CHUNK = 64 << 10;
  private static final int CLOSED = -1;
  private static final long SYS_FCNTL = 72;
  private static final long F_DUPFD_CLOEXEC = 1030;

  /**
   * What a call needs in native memory. A pool, and not one a thread: virtual threads come by the thousand,
   * and an arena a call costs as much as the call.
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
  /*
   * Both files keep the address space that they were opened for (proc_mem_open() in fs/proc/base.c), whoever
   * may open them by now: a process that makes itself undumpable later is reached through them still. After
   * an exec they must be opened anew.
   */
  private volatile int descriptor = CLOSED;
  private volatile int mapsDescriptor = CLOSED;
  private final Object mapsLock = new Object();
  /** The errno with which the kernel does not let this user open the files, or 0. */
  private volatile int refusal;
  /**
   * The thread through which the memory is reached: a main thread that has ended before the others has none
   * any more.
   */
  private volatile int owner;

  /** Creates it closed: where the process may not be traced, the attempt to trace it says why. */
  ProcessMemory(int pid) {
    this.pid = pid;
    owner = pid;
  }

  /**
   * Follows the process into its present address space. Where this user may not look into that, which a
   * process decides (PR_SET_DUMPABLE) or the permissions of its program, the memory
   * {@linkplain #isAccessible cannot be reached}. Tracer thread only.
   */
  void open() {
    refusal = 0;
    int memory = open("mem", Libc.O_RDWR);
    if (memory == CLOSED && refusal == 0 && findOwner()) {
      memory = open("mem", Libc.O_RDWR);
    }
    // Each is kept at once: what fails then leaves nothing open that nobody closes.
    replace(memory, CLOSED);
    if (memory != CLOSED) {
      mapsDescriptor = open("maps", Libc.O_RDONLY);
    }
  }

  /** Reaches memory that the process shares with another, as the other does. Tracer thread only. */
  void openAs(ProcessMemory other) {
    int memory;
    other.descriptorLock.readLock().lock();
    try {
      refusal = other.refusal;
      memory = duplicate(other.descriptor);
      replace(memory, CLOSED);
      mapsDescriptor = duplicate(other.mapsDescriptor);
    } finally {
      other.descriptorLock.readLock().unlock();
    }
    if (memory == CLOSED && refusal == 0) {
      // The other has ended.
      open();
    }
  }

  private static int duplicate(int original) {
    if (original == CLOSED) {
      return CLOSED;
    }
    Buffers b = Buffers.take();
    try {
      int copy = (int) Libc.syscall(b.state, SYS_FCNTL, original, F_DUPFD_CLOEXEC, 0, 0, 0);
      if (copy < 0) {
        throw failed("fcntl", Libc.errno(b.state));
      }
      return copy;
    } finally {
      b.release();
    }
  }

  private int open(String file, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.callState());
      int fd = Libc.open(state, arena.allocateFrom("/proc/" + owner + "/" + file), flags | Libc.O_CLOEXEC);
      if (fd >= 0) {
        return fd;
      }
      int errno = Libc.errno(state);
      switch (errno) {
        case Libc.ESRCH, Libc.ENOENT -> {
          // It has been killed; its tracer is told soon.
        }
        case Libc.EACCES, Libc.EPERM -> refusal = errno;
        default -> throw failed("open of /proc/" + owner + "/" + file, errno);
      }
      return CLOSED;
    }
  }

  private static PtraceException failed(String operation, int errno) {
    return new PtraceException(PtraceException.Reason.SYSTEM_ERROR, errno,
        operation + " failed with " + Errno.name(errno));
  }

  /** Returns false if the kernel does not let this user look into the process's memory. */
  boolean isAccessible() {
    return refusal == 0;
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

  /**
   * A thread whose memory is that of the process, for files of {@code /proc} that a dead thread has none of.
   */
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
    replace(CLOSED, CLOSED);
  }

  private void replace(int memory, int maps) {
    Buffers b = Buffers.take();
    descriptorLock.writeLock().lock();
    try {
      // close(2) releases the descriptor whatever it returns; files of /proc have nothing to flush.
      if (descriptor != CLOSED) {
        Libc.close(b.state, descriptor);
      }
      if (mapsDescriptor != CLOSED) {
        Libc.close(b.state, mapsDescriptor);
      }
      descriptor = memory;
      mapsDescriptor = maps;
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
    Objects.checkFromIndexSize(offset, length, destination.length);
    Buffers b = Buffers.take();
    // While the lock is held the process is traced: its id is not reused.
    descriptorLock.readLock().lock();
    try {
      int done = 0;
      while (done < length) {
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
    if (descriptor == CLOSED) {
      return -1;
    }
    MemorySegment vectors = b.local(address, length);
    long n = Libc.process_vm_readv(b.state, owner, vectors, 1, vectors.asSlice(16), 1);
    if (n >= 0) {
      return n;
    }
    int errno = Libc.errno(b.state);
    if (errno == Libc.ESRCH && findOwner()) {
      n = Libc.process_vm_readv(b.state, owner, vectors, 1, vectors.asSlice(16), 1);
      errno = n < 0 ? Libc.errno(b.state) : 0;
    }
    return isRefused(errno) ? Libc.pread(b.state, descriptor, b.data, length, address) : n;
  }

  /** Writes up to a chunk from the buffer's data; returns how many bytes, or -1. With the lock held. */
  private long writePart(Buffers b, long address, int length) {
    if (descriptor == CLOSED) {
      return -1;
    }
    MemorySegment vectors = b.local(address, length);
    long n = Libc.process_vm_writev(b.state, owner, vectors, 1, vectors.asSlice(16), 1);
    if (n >= 0) {
      return n;
    }
    int errno = Libc.errno(b.state);
    if (errno == Libc.ESRCH && findOwner()) {
      n = Libc.process_vm_writev(b.state, owner, vectors, 1, vectors.asSlice(16), 1);
      errno = n < 0 ? Libc.errno(b.state) : 0;
    }
    return isRefused(errno) ? writeWhereWritable(b, address, length) : n;
  }

  /**
   * Returns true if process_vm_readv(2) may not be used, which asks for permission with each call: the
   * process has made itself undumpable, or a seccomp filter forbids this JVM the call.
   */
  private static boolean isRefused(int errno) {
    return errno == Libc.EPERM || errno == Libc.EACCES || errno == Libc.ENOSYS;
  }

  /**
   * Through the descriptor, which passes the protection of pages over: what the process may not write is left
   * out.
   */
  private long writeWhereWritable(Buffers b, long address, int length) {
    long end = address;
    for (MemoryMapping mapping : mappings()) {
      if (mapping.contains(end) && mapping.isWritable()) {
        end = mapping.end();
      }
    }
    int writable = (int) Math.min(length, end - address);
    return writable <= 0 ? -1 : Libc.pwrite(b.state, descriptor, b.data, writable, address);
  }

  /**
   * The mappings of the process now, in ascending order; none if it has ended.
   *
   * @throws PtraceException {@link PtraceException.Reason#NOT_PERMITTED} if they cannot be read though it
   *     lives
   */
  List<MemoryMapping> mappings() {
    Buffers b = Buffers.take();
    descriptorLock.readLock().lock();
    try {
      // One reader at a time: seq_read() goes on where the last read ended, and begins anew everywhere else.
      synchronized (mapsLock) {
        byte[] text = readMaps(b, mapsDescriptor);
        if (text == null && refusal == 0 && findOwner()) {
          // The thread has ended whose file it was (get_proc_task() in m_start(), fs/proc/task_mmu.c), not
          // the process.
          int anew = open("maps", Libc.O_RDONLY);
          text = readMaps(b, anew);
          if (anew != CLOSED) {
            Libc.close(b.state, anew);
          }
        }
        if (refusal != 0) {
          throw notAccessible(PtraceException.Reason.NOT_PERMITTED,
              "the mappings of process " + pid + " cannot be read");
        }
        return text == null ? List.of() : MemoryMapping.parseAll(text);
      }
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
  }

  /** All of a file of mappings, or null if there are none any more. */
  private static byte @Nullable [] readMaps(Buffers b, int maps) {
    var text = new ByteArrayOutputStream(CHUNK);
    while (maps != CLOSED) {
      // Several reads, between which the mappings may change; the kernel promises that addresses never go
      // backwards.
      long n = Libc.pread(b.state, maps, b.data, CHUNK, text.size());
      if (n < 0 && Libc.errno(b.state) != Libc.ESRCH) {
        throw failed("read of /proc/PID/maps", Libc.errno(b.state));
      }
      if (n <= 0) {
        break;
      }
      text.writeBytes(b.data.asSlice(0, n).toArray(JAVA_BYTE));
    }
    return text.size() == 0 ? null : text.toByteArray();
  }

  private PtraceException notAccessible(PtraceException.Reason reason, String what) {
    return new PtraceException(reason, refusal, what + " ("
        + Errno.name(refusal)
        + "): the process is not dumpable (prctl PR_SET_DUMPABLE), or its program may not be read by this "
        + "user; run with CAP_SYS_PTRACE (sudo)");
  }

  /**
   * Compares memory, whatever its permissions are, without allocating anything.
   *
   * @param address first address
   * @param expected holds what is expected
   * @param from first index in {@code expected}
   * @param to first index behind what is compared, at most 64 KiB behind {@code from}
   * @return false also if some of it is not mapped
   */
  public boolean matches(long address, byte[] expected, int from, int to) {
    Buffers b = Buffers.take();
    descriptorLock.readLock().lock();
    try {
      int length = to - from;
      long n = readPart(b, address, length);
      if (n < length) {
        // What may be executed need not be readable.
        n = Libc.pread(b.state, descriptor, b.data, length, address);
      }
      if (n < length) {
        return false;
      }
      for (int i = 0; i < length; i++) {
        if (b.data.get(JAVA_BYTE, i) != expected[from + i]) {
          return false;
        }
      }
      return true;
    } finally {
      descriptorLock.readLock().unlock();
      b.release();
    }
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
      long n = readPart(b, address, length);
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
          return Arrays.copyOf(bytes, done);
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
   * Writes memory whatever its permissions are. The kernel gives the process a private copy of a page of a
   * file that is written so: neither the file nor another process changes. One byte is written atomically,
   * more are not: see Intel SDM volume 3, "Handling self- and cross-modifying code".
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
    if (refusal != 0) {
      return notAccessible(PtraceException.Reason.MEMORY_INACCESSIBLE,
          operation + " at 0x" + Long.toHexString(address) + " in process " + pid + " failed");
    }
    boolean closed = descriptor == CLOSED;
    return new PtraceException(PtraceException.Reason.MEMORY_INACCESSIBLE, Libc.EFAULT, operation + " at 0x"
        + Long.toHexString(address) + " in process " + pid
        + (closed
            ? ": the process is not traced any more"
            : ": the memory is not mapped with the permission needed"));
  }
}
