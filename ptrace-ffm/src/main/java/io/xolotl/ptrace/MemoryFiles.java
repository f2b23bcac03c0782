package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.xolotl.ptrace.PtraceException.Reason;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * The files of {@code /proc} by which a process's memory is reached, {@code mem} and {@code maps}. Whether
 * they may be opened is the process's to change at any time, and whose they are changes with each exec and
 * when the thread ends that they were opened for.
 *
 * <p>Both keep the address space that they were opened for (proc_mem_open() in fs/proc/base.c), whoever may
 * open them by now: a process that makes itself undumpable later is reached through them still. So they are
 * opened at the attach and kept; after an exec they must be opened anew.
 *
 * <p>The tracer thread opens and closes them. Any thread uses them, between {@link #lock} and
 * {@link #unlock}: a descriptor that is closed while another thread writes through it could by then be
 * another file's. While the lock is held the process is traced, and its id is not reused. Any thread that
 * finds the owner dead looks for another.
 */
final class MemoryFiles {

  static final int CLOSED = -1;

  private static final long SYS_FCNTL = 72;
  private static final long F_DUPFD_CLOEXEC = 1030;

  private final int pid;
  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  private volatile int mem = CLOSED;
  private volatile int maps = CLOSED;
  private final Object mapsLock = new Object();
  /** The errno with which the kernel does not let this user open the files, or 0. */
  private volatile int refusal;
  /**
   * The thread through which the memory is reached: a main thread that has ended before the others has none
   * any more.
   */
  private volatile int owner;

  /** Creates it closed: where the process may not be traced, the attempt to trace it says why. */
  MemoryFiles(int pid) {
    this.pid = pid;
    owner = pid;
  }

  /**
   * Follows the process into its present address space. Where this user may not look into that, there is a
   * {@link #refusal} then. Tracer thread only.
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
      maps = open("maps", Libc.O_RDONLY);
    }
  }

  /** Reaches memory that the process shares with another, as the other does. Tracer thread only. */
  void openAs(MemoryFiles other) {
    int memory;
    other.lock();
    try {
      refusal = other.refusal;
      memory = duplicate(other.mem);
      replace(memory, CLOSED);
      maps = duplicate(other.maps);
    } finally {
      other.unlock();
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
    TransferBuffer b = TransferBuffer.take();
    try {
      int copy = (int) Libc.syscall(b.state(), SYS_FCNTL, original, F_DUPFD_CLOEXEC, 0, 0, 0);
      if (copy < 0) {
        throw failed("fcntl", Libc.errno(b.state()));
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
    return new PtraceException(Reason.SYSTEM_ERROR, errno,
        operation + " failed with " + Errno.name(errno));
  }

  /** Tracer thread only. */
  void close() {
    replace(CLOSED, CLOSED);
  }

  private void replace(int newMem, int newMaps) {
    TransferBuffer b = TransferBuffer.take();
    lock.writeLock().lock();
    try {
      // close(2) releases the descriptor whatever it returns; files of /proc have nothing to flush.
      if (mem != CLOSED) {
        Libc.close(b.state(), mem);
      }
      if (maps != CLOSED) {
        Libc.close(b.state(), maps);
      }
      mem = newMem;
      maps = newMaps;
    } finally {
      lock.writeLock().unlock();
      b.release();
    }
  }

  /** Keeps the files open; any number of threads may do so at once, and each as often as it wants. */
  void lock() {
    lock.readLock().lock();
  }

  void unlock() {
    lock.readLock().unlock();
  }

  /** The descriptor of {@code mem}, or {@link #CLOSED}. With the lock held. */
  int mem() {
    return mem;
  }

  /** The errno with which the kernel does not let this user open the files, or 0. */
  int refusal() {
    return refusal;
  }

  /** The thread whose memory that of the process was known to be last. */
  int owner() {
    return owner;
  }

  /**
   * A thread whose memory is that of the process, for files of {@code /proc} that a dead thread has none of.
   */
  int livingOwner() {
    if (ProcessStatus.isGone(owner)) {
      findOwner();
    }
    return owner;
  }

  /** Looks for a thread that is alive, which is the owner then; returns true if there is one. */
  boolean findOwner() {
    for (int tid : ProcessStatus.threadIds(pid)) {
      if (!ProcessStatus.isGone(tid)) {
        owner = tid;
        return true;
      }
    }
    return false;
  }

  /** The id of a thread that has ended can soon be that of a thread of another process. */
  void threadGone(int tid) {
    if (tid == owner) {
      owner = pid;
    }
  }

  /**
   * The mappings of the process now, in ascending order; none if it has ended.
   *
   * @throws PtraceException {@link Reason#NOT_PERMITTED} if they cannot be read though it lives
   */
  List<MemoryMapping> mappings() {
    TransferBuffer b = TransferBuffer.take();
    lock();
    try {
      // One reader at a time: seq_read() goes on where the last read ended, and begins anew everywhere else.
      synchronized (mapsLock) {
        byte[] text = readMaps(b, maps);
        if (text == null && refusal == 0 && findOwner()) {
          // The thread has ended whose file it was (get_proc_task() in m_start(), fs/proc/task_mmu.c), not
          // the process.
          int anew = open("maps", Libc.O_RDONLY);
          text = readMaps(b, anew);
          if (anew != CLOSED) {
            Libc.close(b.state(), anew);
          }
        }
        if (refusal != 0) {
          throw refused(Reason.NOT_PERMITTED, "the mappings of process " + pid + " cannot be read");
        }
        return text == null ? List.of() : MemoryMapping.parseAll(text);
      }
    } finally {
      unlock();
      b.release();
    }
  }

  /** All of a file of mappings, or null if there are none any more. */
  private static byte @Nullable [] readMaps(TransferBuffer b, int file) {
    var text = new ByteArrayOutputStream(TransferBuffer.CHUNK);
    while (file != CLOSED) {
      // Several reads, between which the mappings may change; the kernel promises that addresses never go
      // backwards.
      long n = Libc.pread(b.state(), file, b.data(), TransferBuffer.CHUNK, text.size());
      if (n < 0 && Libc.errno(b.state()) != Libc.ESRCH) {
        throw failed("read of /proc/PID/maps", Libc.errno(b.state()));
      }
      if (n <= 0) {
        break;
      }
      text.writeBytes(b.data().asSlice(0, n).toArray(JAVA_BYTE));
    }
    return text.size() == 0 ? null : text.toByteArray();
  }

  /** What to throw where the {@link #refusal} is in the way. */
  PtraceException refused(Reason reason, String what) {
    return new PtraceException(reason, refusal, what + " ("
        + Errno.name(refusal)
        + "): the process is not dumpable (prctl PR_SET_DUMPABLE), or its program may not be read by this "
        + "user; run with CAP_SYS_PTRACE (sudo)");
  }
}
