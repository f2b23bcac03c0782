package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A process under control: all its threads are traced, also those that it creates later.
 *
 * <p>Tracer thread only, except for {@link #pid()}, {@link #memory()} and {@link #mappings()}.
 */
public final class TracedProcess {

  private static final int OPTIONS = Ptrace.O_TRACECLONE | Ptrace.O_TRACEFORK | Ptrace.O_TRACEVFORK
      | Ptrace.O_TRACEEXEC;
  private static final long SYS_KCMP = 312;
  private static final long KCMP_VM = 1;
  private static final int SYS_MMAP = 9;
  private static final int SYS_MUNMAP = 11;
  private static final int MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x2 | 0x20 | 0x100000;
  private static final byte[] SYSCALL = {0x0f, 0x05};

  private final Tracer tracer;
  private final int pid;
  private final ProcessMemory memory;
  private final Map<Integer, TracedThread> threads = new LinkedHashMap<>();
  private TraceHandler handler;
  private long systemCallInstruction;
  /** Set between the creation of a child process and its first stop. */
  private @Nullable TracedProcess creator;

  private TracedProcess(Tracer tracer, int pid, TraceHandler handler) {
    this.tracer = tracer;
    this.pid = pid;
    this.handler = handler;
    memory = new ProcessMemory(pid);
    tracer.add(this);
  }

  /**
   * Attaches to all threads of a running process, without stopping it.
   *
   * @param tracer whose thread controls it from now on
   * @param pid the process
   * @param handler what to do when it stops
   * @throws PtraceException if it may not or cannot be traced; then nothing of it is traced
   */
  public static TracedProcess attach(Tracer tracer, int pid, TraceHandler handler) {
    Attachability.check(pid);
    var process = new TracedProcess(tracer, pid, handler);
    try {
      process.seizeAll();
      return process;
    } catch (RuntimeException e) {
      process.abandon();
      throw e;
    }
  }

  private void seizeAll() {
    Tracer.Scratch s = tracer.scratch();
    if (Libc.ptrace(s.state, Ptrace.SEIZE, pid, 0, OPTIONS) < 0) {
      throw Attachability.explain(pid, Libc.errno(s.state));
    }
    add(new TracedThread(this, pid, true));
    // It may have executed another program since the descriptor was opened; from now on that is reported.
    memory.reopen();
    seizeThreads(s);
  }

  /**
   * Threads are created while the list is read. A thread created by one that is already seized is traced from its
   * start (PTRACE_O_TRACECLONE), so a pass that finds no new thread has seen all.
   */
  private void seizeThreads(Tracer.Scratch s) {
    boolean found = true;
    while (found) {
      found = false;
      for (int tid : threadIds()) {
        if (threads.containsKey(tid)) {
          continue;
        }
        if (Libc.ptrace(s.state, Ptrace.SEIZE, tid, 0, OPTIONS) == 0) {
          add(new TracedThread(this, tid, true));
          found = true;
          continue;
        }
        int errno = Libc.errno(s.state);
        ProcessStatus status = ProcessStatus.of(tid);
        if (status == null || status.isDead() || status.tracer() == tracer.tid()) {
          // It has ended, or its creator was seized first and its first stop is on its way to us.
          continue;
        }
        if (errno != Libc.ESRCH) {
          throw Attachability.explain(pid, errno);
        }
      }
    }
  }

  private List<Integer> threadIds() {
    var tids = new ArrayList<Integer>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of("/proc/" + pid + "/task"))) {
      for (Path entry : entries) {
        tids.add(Integer.valueOf(entry.getFileName().toString()));
      }
    } catch (IOException | java.nio.file.DirectoryIteratorException e) {
      // The process has ended: its threads' ends are reported by waitpid.
      tids.clear();
    }
    return tids;
  }

  /**
   * Starts a program and stops it before its first instruction: the kernel has mapped the program and its dynamic
   * linker, and nothing of either has run.
   *
   * @param tracer whose thread controls it
   * @param request what to start
   * @param handler what to do when it stops later
   * @return the process; its one thread is stopped on its way to user mode
   * @throws PtraceException {@link Reason#LAUNCH_FAILED} if it cannot be started
   */
  public static TracedProcess launch(Tracer tracer, LaunchRequest request, TraceHandler handler) {
    int pid = Launcher.spawnStopped(tracer.scratch(), request);
    var process = new TracedProcess(tracer, pid, handler);
    try {
      process.seizeAll();
      Launcher.runToProgram(process.threads().getFirst(), request);
      return process;
    } catch (RuntimeException e) {
      Launcher.kill(tracer, pid);
      process.abandon();
      throw e;
    }
  }

  /** The tracer that controls this process. */
  public Tracer tracer() {
    return tracer;
  }

  /** The process's id in the tracer's pid namespace. */
  public int pid() {
    return pid;
  }

  /** The process's memory. Any thread. */
  public ProcessMemory memory() {
    return memory;
  }

  /**
   * The process's mappings now. Any thread.
   *
   * @throws PtraceException if it has ended
   */
  public List<MemoryMapping> mappings() {
    try {
      return MemoryMapping.of(pid);
    } catch (IOException e) {
      throw new PtraceException(Reason.THREAD_GONE, Libc.ESRCH,
          "the mappings of process " + pid + " cannot be read any more: " + e.getMessage());
    }
  }

  /** The threads that are traced now. */
  public List<TracedThread> threads() {
    return List.copyOf(threads.values());
  }

  /** Sets what is done when this process stops. */
  public void handler(TraceHandler replacement) {
    handler = replacement;
  }

  private void add(TracedThread thread) {
    threads.put(thread.tid(), thread);
    tracer.add(thread);
  }

  /** A thread that the process created and that is traced since then. */
  TracedThread adopt(int tid) {
    TracedThread known = threads.get(tid);
    if (known != null) {
      return known;
    }
    var thread = new TracedThread(this, tid, false);
    add(thread);
    return thread;
  }

  void forget(TracedThread thread) {
    threads.remove(thread.tid(), thread);
    tracer.remove(thread.tid());
    if (threads.isEmpty()) {
      tracer.remove(this);
      memory.close();
    }
  }

  void dispatch(TracedThread thread, WaitStatus status) {
    switch (status) {
      case WaitStatus.Ended ended -> {
        forget(thread);
        handler.ended(thread, ended);
      }
      case WaitStatus.Stopped stopped -> {
        thread.markStopped(stopped);
        noteCreation(thread, stopped);
        route(thread, stopped);
      }
    }
  }

  /** Takes note of the thread or process that a stop announces. */
  void noteCreation(TracedThread thread, WaitStatus.Stopped stopped) {
    if (stopped instanceof WaitStatus.Created) {
      announce((int) thread.eventMessage());
    }
  }

  void route(TracedThread thread, WaitStatus.Stopped stopped) {
    if (thread.start()) {
      started(thread);
    } else if (stopped instanceof WaitStatus.Executed) {
      handler.executed(executed());
    } else {
      handler.stopped(thread, stopped);
    }
  }

  private void started(TracedThread thread) {
    TracedProcess parent = creator;
    if (parent == null) {
      handler.threadStarted(thread);
      return;
    }
    creator = null;
    handler.processCreated(parent, this, thread, sharesMemoryWith(parent));
  }

  /** A thread of this process has created another thread or process, which stops, or has stopped already. */
  private void announce(int childTid) {
    int earlier = tracer.claim(childTid);
    ProcessStatus status = ProcessStatus.of(childTid);
    if (status == null) {
      // Killed before it ever ran; its end is reported to nobody.
      return;
    }
    if (status.tgid() == pid) {
      adopt(childTid);
    } else {
      var process = new TracedProcess(tracer, childTid, handler);
      process.creator = this;
      process.adopt(childTid);
    }
    if (earlier >= 0) {
      tracer.defer(childTid, earlier);
    }
  }

  /**
   * The clone flags do not tell: CLONE_VM with SIGCHLD is announced as a fork. kcmp(2) compares the address spaces
   * themselves.
   */
  private boolean sharesMemoryWith(TracedProcess other) {
    Tracer.Scratch s = tracer.scratch();
    long order = Libc.syscall(s.state, SYS_KCMP, pid, other.pid, KCMP_VM, 0, 0);
    if (order < 0) {
      int errno = Libc.errno(s.state);
      if (errno == Libc.ESRCH) {
        throw new PtraceException(Reason.THREAD_GONE, errno,
            "process " + pid + " or its creator has ended meanwhile");
      }
      throw new PtraceException(Reason.SYSTEM_ERROR, errno,
          "kcmp of process " + pid + " and its creator failed with " + Errno.name(errno));
    }
    return order == 0;
  }

  /**
   * ptrace(2), "execve(2) under ptrace": all other threads are gone, the one that executed has the process's id, and
   * of its former id nothing is reported any more.
   */
  TracedThread executed() {
    for (TracedThread old : threads()) {
      threads.remove(old.tid());
      tracer.remove(old.tid());
    }
    systemCallInstruction = 0;
    memory.reopen();
    var thread = new TracedThread(this, pid, true);
    add(thread);
    thread.markStopped(new WaitStatus.Executed());
    return thread;
  }

  /** Undoes an attach that failed half-way. */
  private void abandon() {
    for (TracedThread thread : threads()) {
      try {
        thread.interruptAndWait();
        thread.detach(thread.stop() instanceof WaitStatus.Signal(int signal) ? signal : 0);
      } catch (PtraceException gone) {
        // The attach's own failure is reported; a thread that has ended needs no detaching.
        forget(thread);
      }
    }
    tracer.remove(this);
    memory.close();
  }

  /** Sets which {@code syscall} instruction of the process {@link TracedThread#systemCall} uses, or 0 to search. */
  public void systemCallInstruction(long address) {
    systemCallInstruction = address;
  }

  /** Address of a {@code syscall} instruction in the process; the vDSO has one in every process that has a vDSO. */
  long systemCallInstruction() {
    if (systemCallInstruction == 0) {
      systemCallInstruction = findSystemCallInstruction();
    }
    return systemCallInstruction;
  }

  private long findSystemCallInstruction() {
    var executable = new ArrayList<MemoryMapping>(mappings());
    executable.removeIf(m -> !m.isExecutable() || m.path().equals("[vsyscall]"));
    executable.sort(java.util.Comparator.comparing(m -> !m.path().equals("[vdso]")));
    for (MemoryMapping mapping : executable) {
      byte[] text = memory.readText(mapping.start(), (int) Math.min(mapping.size(), 64 << 20));
      for (int i = 0; i + 1 < text.length; i++) {
        if (text[i] == SYSCALL[0] && text[i + 1] == SYSCALL[1]) {
          return mapping.start() + i;
        }
      }
    }
    throw new PtraceException(Reason.REMOTE_CALL_FAILED,
        "process " + pid + " has no syscall instruction in its executable memory");
  }

  /**
   * Maps private anonymous memory as near as possible to an address.
   *
   * @param thread a thread to do it in, stopped on its way to user mode
   * @param near the address
   * @param reach greatest distance of any byte of the new memory, in bytes
   * @param size in bytes, a multiple of the page size
   * @param protection PROT_READ (1) | PROT_WRITE (2) | PROT_EXEC (4)
   * @return its address, or 0 if there is no room within reach
   * @throws PtraceException {@link Reason#REMOTE_CALL_FAILED} if the kernel refuses
   */
  public long mapNear(TracedThread thread, long near, long reach, long size, int protection) {
    for (long candidate : Gaps.near(mappings(), near, reach, size)) {
      long result = thread.systemCall(SYS_MMAP, candidate, size, protection,
          MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0);
      if (result == candidate) {
        return candidate;
      }
      int errno = (int) -result;
      if (result >= 0) {
        // A kernel before 4.17 takes MAP_FIXED_NOREPLACE for a mere hint.
        unmap(thread, result, size);
      } else if (errno != 17) {
        // EEXIST: another thread was faster; the next gap then. Everything else would fail there too.
        throw new PtraceException(Reason.REMOTE_CALL_FAILED, errno, "mmap of " + size + " bytes at 0x"
            + Long.toHexString(candidate) + " in process " + pid + " failed with " + Errno.name(errno));
      }
    }
    return 0;
  }

  /**
   * Unmaps memory.
   *
   * @param thread a thread to do it in, stopped on its way to user mode
   * @param address first address
   * @param size in bytes
   */
  public void unmap(TracedThread thread, long address, long size) {
    long result = thread.systemCall(SYS_MUNMAP, address, size);
    if (result != 0) {
      throw new PtraceException(Reason.REMOTE_CALL_FAILED, (int) -result,
          "munmap of 0x" + Long.toHexString(address)
              + " in process " + pid + " failed with " + Errno.name((int) -result));
    }
  }

  @Override
  public String toString() {
    return "process " + pid;
  }
}
