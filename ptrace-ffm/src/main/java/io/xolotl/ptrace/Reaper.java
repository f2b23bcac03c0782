package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Waits for launched programs that outlive their tracer: they are children of this JVM, and without it they
 * would stay zombies when they end.
 *
 * <p>It never waits with {@code waitpid}, which would take ptrace stops away from a tracer of this JVM: a
 * pidfd tells when a process has ended. If a tracer holds it, that one takes the exit status.
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/pidfd_open.2.html">pidfd_open(2)</a>
 */
final class Reaper {

  private static final long SYS_EPOLL_WAIT = 232;
  private static final long SYS_EPOLL_CTL = 233;
  private static final long SYS_EPOLL_CREATE1 = 291;
  private static final long SYS_PIDFD_OPEN = 434;
  private static final int EPOLL_CTL_ADD = 1;
  private static final int EPOLLIN = 1;
  // struct epoll_event is packed on x86-64: events 4, data 8.
  private static final int EVENT_BYTES = 12;
  private static final int DATA = 4;

  /**
   * How long a process that has ended is left to its tracer before it is looked at again, in milliseconds.
   */
  private static final int RETRY = 10;

  private final long epoll;

  /** How many processes are watched. Guarded by this. */
  private int watched;

  private static final class Holder {
    static final Reaper REAPER = new Reaper();
  }

  private Reaper() {
    try (Arena arena = Arena.ofConfined()) {
      epoll = Libc.syscall(arena.allocate(Libc.callState()), SYS_EPOLL_CREATE1, Libc.O_CLOEXEC, 0, 0, 0, 0);
    }
    Thread.ofPlatform().name("xolotl-reaper").daemon(true).start(this::run);
  }

  /**
   * Sees to it that a child of this JVM does not stay a zombie.
   *
   * @param pid a process that {@link Launcher} has started
   */
  static void watch(int pid) {
    Holder.REAPER.add(pid);
  }

  private void add(int pid) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.callState());
      long pidfd = Libc.syscall(state, SYS_PIDFD_OPEN, pid, 0, 0, 0, 0);
      if (pidfd < 0) {
        // ENOSYS before Linux 5.3: only a tracer that is still open reaps its children then.
        return;
      }
      MemorySegment event = arena.allocate(EVENT_BYTES, 8);
      event.set(JAVA_INT, 0, EPOLLIN);
      event.set(JAVA_LONG_UNALIGNED, DATA, pidfd << 32 | pid);
      if (Libc.syscall(state, SYS_EPOLL_CTL, epoll, EPOLL_CTL_ADD, pidfd, event.address(), 0) < 0) {
        // ENOMEM or ENOSPC.
        Libc.close(state, (int) pidfd);
        return;
      }
    }
    synchronized (this) {
      watched++;
      notifyAll();
    }
  }

  /**
   * Waits until there is something to watch: in Java, because a JVM that exits waits 300 ms for each thread
   * that is in native code to come out of it (HotSpot, VM_Exit::wait_for_threads_in_native_to_block).
   */
  private synchronized void awaitWork() {
    boolean interrupted = false;
    while (watched == 0) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void workDone(int processes) {
    watched -= processes;
  }

  private void run() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.callState());
      MemorySegment event = arena.allocate(EVENT_BYTES, 8);
      List<Integer> ended = new ArrayList<>();
      while (true) {
        awaitWork();
        long n = Libc.syscall(state, SYS_EPOLL_WAIT, epoll, event.address(), 1, ended.isEmpty() ? -1 : RETRY,
            0);
        if (n == 1) {
          long data = event.get(JAVA_LONG_UNALIGNED, DATA);
          // Closing it takes it out of the set, too.
          Libc.close(state, (int) (data >>> 32));
          ended.add((int) data);
        }
        int before = ended.size();
        ended.removeIf(pid -> reap(state, pid));
        workDone(before - ended.size());
      }
    }
  }

  /**
   * Returns true when nothing is left of the process, or it is nobody's zombie but ours and has been reaped.
   */
  private static boolean reap(MemorySegment state, int pid) {
    ProcessStatus status = ProcessStatus.of(pid);
    if (status != null && status.tracer() != 0) {
      return false;
    }
    if (status != null && status.isDead()) {
      // ECHILD says that the tracer thread which is its parent was faster.
      Libc.waitpid(state, pid, MemorySegment.NULL, Libc.WNOHANG | Libc.WALL);
    }
    Attachability.reaped(pid);
    return true;
  }
}
