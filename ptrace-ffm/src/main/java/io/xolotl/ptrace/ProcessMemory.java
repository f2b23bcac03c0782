package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * The memory of a traced process. Any thread may use it at any time while the process is traced; nothing here
 * stops the process, so what other threads of it write at the same time may be seen in part.
 *
 * <p>Addresses are those of the process, unsigned. An access that reaches memory which is not mapped, or not
 * with the permission needed, throws {@link PtraceException} with
 * {@link PtraceException.Reason#MEMORY_INACCESSIBLE}.
 *
 * <p>What the process may access itself is read and written by process_vm_readv(2) and process_vm_writev(2),
 * text by the descriptors of {@link MemoryFiles}; these do for the rest, too, where the calls are refused.
 */
public final class ProcessMemory {

  private final int pid;
  private final MemoryFiles files;

  /** Creates it closed: where the process may not be traced, the attempt to trace it says why. */
  ProcessMemory(int pid) {
    this.pid = pid;
    files = new MemoryFiles(pid);
  }

  /**
   * Follows the process into its present address space. Where this user may not look into that, which a
   * process decides (PR_SET_DUMPABLE) or the permissions of its program, the memory
   * {@linkplain #isAccessible cannot be reached}. Tracer thread only.
   */
  void open() {
    files.open();
  }

  /** Reaches memory that the process shares with another, as the other does. Tracer thread only. */
  void openAs(ProcessMemory other) {
    files.openAs(other.files);
  }

  /** Tracer thread only. */
  void close() {
    files.close();
  }

  /** Returns false if the kernel does not let this user look into the process's memory. */
  boolean isAccessible() {
    return files.refusal() == 0;
  }

  /**
   * A thread whose memory is that of the process, for files of {@code /proc} that a dead thread has none of.
   */
  int owner() {
    return files.livingOwner();
  }

  /** The id of a thread that has ended can soon be that of a thread of another process. */
  void threadGone(int tid) {
    files.threadGone(tid);
  }

  /**
   * The mappings of the process now, in ascending order; none if it has ended.
   *
   * @throws PtraceException {@link Reason#NOT_PERMITTED} if they cannot be read though it lives
   */
  List<MemoryMapping> mappings() {
    return files.mappings();
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
    TransferBuffer b = TransferBuffer.take();
    files.lock();
    try {
      int done = 0;
      while (done < length) {
        int part = Math.min(TransferBuffer.CHUNK, length - done);
        long n = readPart(b, address + done, part);
        if (n <= 0) {
          break;
        }
        MemorySegment.copy(b.data(), JAVA_BYTE, 0, destination, offset + done, (int) n);
        done += (int) n;
        if (n < part) {
          break;
        }
      }
      return done;
    } finally {
      files.unlock();
      b.release();
    }
  }

  /** Reads up to a chunk into the buffer's data; returns how many bytes, or -1. With the lock held. */
  private long readPart(TransferBuffer b, long address, int length) {
    if (files.mem() == MemoryFiles.CLOSED) {
      return -1;
    }
    MemorySegment vectors = b.vectors(address, length);
    long n = Libc.process_vm_readv(b.state(), files.owner(), vectors, 1, vectors.asSlice(16), 1);
    if (n >= 0) {
      return n;
    }
    int errno = Libc.errno(b.state());
    if (errno == Libc.ESRCH && files.findOwner()) {
      n = Libc.process_vm_readv(b.state(), files.owner(), vectors, 1, vectors.asSlice(16), 1);
      errno = n < 0 ? Libc.errno(b.state()) : 0;
    }
    return isRefused(errno) ? Libc.pread(b.state(), files.mem(), b.data(), length, address) : n;
  }

  /** Writes up to a chunk from the buffer's data; returns how many bytes, or -1. With the lock held. */
  private long writePart(TransferBuffer b, long address, int length) {
    if (files.mem() == MemoryFiles.CLOSED) {
      return -1;
    }
    MemorySegment vectors = b.vectors(address, length);
    long n = Libc.process_vm_writev(b.state(), files.owner(), vectors, 1, vectors.asSlice(16), 1);
    if (n >= 0) {
      return n;
    }
    int errno = Libc.errno(b.state());
    if (errno == Libc.ESRCH && files.findOwner()) {
      n = Libc.process_vm_writev(b.state(), files.owner(), vectors, 1, vectors.asSlice(16), 1);
      errno = n < 0 ? Libc.errno(b.state()) : 0;
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
  private long writeWhereWritable(TransferBuffer b, long address, int length) {
    long end = address;
    for (MemoryMapping mapping : mappings()) {
      if (mapping.contains(end) && mapping.isWritable()) {
        end = mapping.end();
      }
    }
    int writable = (int) Math.min(length, end - address);
    return writable <= 0 ? -1 : Libc.pwrite(b.state(), files.mem(), b.data(), writable, address);
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
    TransferBuffer b = TransferBuffer.take();
    files.lock();
    try {
      int length = to - from;
      long n = readPart(b, address, length);
      if (n < length) {
        // What may be executed need not be readable.
        n = Libc.pread(b.state(), files.mem(), b.data(), length, address);
      }
      if (n < length) {
        return false;
      }
      for (int i = 0; i < length; i++) {
        if (b.data().get(JAVA_BYTE, i) != expected[from + i]) {
          return false;
        }
      }
      return true;
    } finally {
      files.unlock();
      b.release();
    }
  }

  /**
   * Reads memory that the process itself may read.
   *
   * @param address first address
   * @param length number of bytes
   * @return what is there
   */
  public byte[] read(long address, int length) {
    byte[] bytes = new byte[length];
    int n = tryRead(address, bytes, 0, length);
    if (n < length) {
      throw inaccessible("read", address + n);
    }
    return bytes;
  }

  /**
   * Reads eight bytes as a number, lowest byte first.
   *
   * @param address of the first byte
   * @return the number
   */
  public long readLong(long address) {
    return readNumber(address, 8);
  }

  /**
   * Reads four bytes as a number, lowest byte first.
   *
   * @param address of the first byte
   * @return the number
   */
  public int readInt(long address) {
    return (int) readNumber(address, 4);
  }

  /**
   * Reads one byte.
   *
   * @param address of the first byte
   * @return the byte
   */
  public byte readByte(long address) {
    return (byte) readNumber(address, 1);
  }

  /**
   * Reads a string in UTF-8 up to its zero byte.
   *
   * @param address its first byte
   * @param limit most bytes to read; a longer string is cut there
   * @return the string, without the zero byte
   */
  public String readString(long address, int limit) {
    // Most are short, whatever the limit.
    byte[] bytes = new byte[Math.min(limit, 4096)];
    int n = 0;
    while (n < limit) {
      // Not across the end of a page: the next one need not be mapped.
      int part = (int) Math.min(limit - n, 4096 - (address + n & 4095));
      if (part > bytes.length - n) {
        bytes = Arrays.copyOf(bytes, (int) Math.min(limit, 2L * bytes.length));
      }
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
    TransferBuffer b = TransferBuffer.take();
    files.lock();
    try {
      int done = 0;
      while (done < bytes.length) {
        int part = Math.min(TransferBuffer.CHUNK, bytes.length - done);
        MemorySegment.copy(bytes, done, b.data(), JAVA_BYTE, 0, part);
        long n = writePart(b, address + done, part);
        done += (int) Math.max(0, n);
        if (n < part) {
          throw inaccessible("write", address + done);
        }
      }
    } finally {
      files.unlock();
      b.release();
    }
  }

  /**
   * Writes eight bytes, lowest first.
   *
   * @param address of the first byte
   * @param value what to write
   */
  public void writeLong(long address, long value) {
    writeNumber(address, value, 8);
  }

  /**
   * Writes four bytes, lowest first.
   *
   * @param address of the first byte
   * @param value what to write
   */
  public void writeInt(long address, int value) {
    writeNumber(address, value, 4);
  }

  /** Numbers are read and written in hits, where nothing is to be allocated. */
  private long readNumber(long address, int length) {
    TransferBuffer b = TransferBuffer.take();
    files.lock();
    try {
      b.data().set(JAVA_LONG, 0, 0);
      long n = readPart(b, address, length);
      if (n < length) {
        throw inaccessible("read", address + Math.max(0, n));
      }
      return b.data().get(JAVA_LONG, 0);
    } finally {
      files.unlock();
      b.release();
    }
  }

  private void writeNumber(long address, long value, int length) {
    TransferBuffer b = TransferBuffer.take();
    files.lock();
    try {
      b.data().set(JAVA_LONG, 0, value);
      long n = writePart(b, address, length);
      if (n < length) {
        throw inaccessible("write", address + Math.max(0, n));
      }
    } finally {
      files.unlock();
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
    TransferBuffer b = TransferBuffer.take();
    files.lock();
    try {
      byte[] bytes = new byte[length];
      int done = 0;
      while (done < length) {
        int part = Math.min(TransferBuffer.CHUNK, length - done);
        long n = Libc.pread(b.state(), files.mem(), b.data(), part, address + done);
        if (n <= 0) {
          return Arrays.copyOf(bytes, done);
        }
        MemorySegment.copy(b.data(), JAVA_BYTE, 0, bytes, done, (int) n);
        done += (int) n;
      }
      return bytes;
    } finally {
      files.unlock();
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
    TransferBuffer b = TransferBuffer.take();
    files.lock();
    try {
      int done = 0;
      while (done < bytes.length) {
        int part = Math.min(TransferBuffer.CHUNK, bytes.length - done);
        MemorySegment.copy(bytes, done, b.data(), JAVA_BYTE, 0, part);
        long n = Libc.pwrite(b.state(), files.mem(), b.data(), part, address + done);
        if (n <= 0) {
          throw inaccessible("write of text", address + done);
        }
        done += (int) n;
      }
    } finally {
      files.unlock();
      b.release();
    }
  }

  private PtraceException inaccessible(String operation, long address) {
    if (!isAccessible()) {
      return files.refused(Reason.MEMORY_INACCESSIBLE,
          operation + " at 0x" + Long.toHexString(address) + " in process " + pid + " failed");
    }
    boolean closed = files.mem() == MemoryFiles.CLOSED;
    return new PtraceException(Reason.MEMORY_INACCESSIBLE, Libc.EFAULT, operation + " at 0x"
        + Long.toHexString(address) + " in process " + pid
        + (closed
            ? ": the process is no longer traced"
            : ": the memory is not mapped with the permission needed"));
  }
}
