package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A process under control: all its threads are traced, also those that it creates later.
 *
 * <p>Tracer thread only, except for {@link #pid()}, {@link #memory()} and {@link #mappings()}.
 */
public final class TracedProcess {

  private static final int OPTIONS = Ptrace.O_TRACECLONE | Ptrace.O_TRACEFORK | Ptrace.O_TRACEVFORK
      | Ptrace.O_TRACEEXEC;
  private static final int PR_SET_DUMPABLE = 4;
  private static final int MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x2 | 0x20 | 0x100000;

  private final Tracer tracer;
  private final int pid;
  private final ProcessMemory memory;
  private final AddressSpace space;
  private final Map<Integer, TracedThread> threads = new LinkedHashMap<>();
  private TraceHandler handler;
  private long systemCallInstruction;
  /** Of the program that is executed now; read while that is permitted for certain. */
  private Abi abi = Abi.X86_64;
  private byte[] auxiliaryVector = {};
  /** So many seccomp filters are the tracer's too; 0 if it is not known of any: see {@link Seccomp}. */
  private int sharedFilters;
  /** Set between the creation of a child process and its first stop. */
  private @Nullable Birth birth;
  private boolean created;

  /** Where a process comes from. */
  private record Birth(TracedProcess creator, boolean sharesMemory) {}

  private TracedProcess(Tracer tracer, int pid, Function<TracedProcess, TraceHandler> handlers) {
    this.tracer = tracer;
    this.pid = pid;
    memory = new ProcessMemory(pid);
    space = new AddressSpace(this);
    // It keeps the process, and asks nothing of it before the process is attached to.
    handler = handlers.apply(this);
    tracer.tracees().add(this);
  }

  /**
   * Attaches to the threads of a running process, without stopping it. Threads that are just being created
   * may be missing: {@link #completeAttach} finds them, and must be called before anything of the process is
   * changed.
   *
   * @param tracer whose thread controls it from now on
   * @param pid the process
   * @param handlers makes what is done when it stops, of the process, which is not attached to yet
   * @throws PtraceException if it may not or cannot be traced; some of its threads may be traced then, and
   *     run on: close the tracer, which lets go of them without a stop. (A stop ends some system calls,
   *     epoll_wait(2) for one, with EINTR.)
   */
  public static TracedProcess attach(Tracer tracer, int pid,
      Function<TracedProcess, TraceHandler> handlers) {
    Attachability.check(tracer, pid);
    var process = new TracedProcess(tracer, pid, handlers);
    process.seizeAll();
    return process;
  }

  /**
   * Attaches to what was being created when its creator was attached to. kernel_clone() in kernel/fork.c asks
   * whether its caller is traced at its beginning, and the new thread or process is there, untraced, only
   * later: with the caller traced meanwhile and nobody new in the list of threads, one is about to come.
   * Whoever is stopped on its way to user mode is not in the middle of that, so every thread is stopped once
   * and handled, in turn.
   *
   * @param interrupting is told of each thread before it is asked to stop
   */
  public void completeAttach(Consumer<TracedThread> interrupting) {
    complete(threads(), interrupting);
  }

  private void complete(List<TracedThread> first, Consumer<TracedThread> interrupting) {
    for (List<TracedThread> rest = first; !rest.isEmpty();) {
      for (TracedThread thread : rest) {
        try {
          if (thread.stop() == null && !waitsForChild(thread)) {
            interrupting.accept(thread);
            thread.interruptAndWait();
            thread.handleStop();
          }
        } catch (PtraceException e) {
          if (!e.isBeyondReach()) {
            throw e;
          }
          // It has ended, or is stuck in state D, and not in a clone(2), which does not wait for anything
          // that long.
        }
      }
      tracer.dispatchDeferred();
      if (threads.isEmpty()) {
        return;
      }
      List<TracedThread> known = threads();
      seizeThreads(tracer.scratch());
      rest = new ArrayList<>(threads.values());
      rest.removeAll(known);
      // Those that were traced from their start are known: they create nobody unseen.
    }
  }

  /**
   * Attaches to all processes that run in the memory of this one: what is written there reaches them too.
   * They are whoever was made by vfork(2) or clone(2) with CLONE_VM, and who made this process so. To be
   * called behind {@link #completeAttach}.
   *
   * @param found is told of each of them at once; it is controlled by the same tracer and handler. One that
   *     has executed a program or ended before this returns has no threads then
   * @param interrupting as for {@link #completeAttach}
   * @throws PtraceException {@link Reason#ADDRESS_SPACE_SHARED}, naming them, if there are some that cannot
   *     be attached to, or of whom it cannot be told whether they run there
   */
  public void attachBorrowers(Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    space.attachAll(found, interrupting);
  }

  /**
   * Attaches to those that have come unseen since (CLONE_UNTRACED), processes and threads of known ones.
   * Microseconds, as long as few ids of processes were given out on this machine.
   *
   * @param found as for {@link #attachBorrowers}
   * @param interrupting as for {@link #completeAttach}
   * @throws PtraceException as {@link #attachBorrowers}
   */
  public void attachNewcomers(Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    space.attachNewcomers(found, interrupting);
  }

  /** For {@link AddressSpace}. */
  TracedProcess attachBorrower(int borrower) {
    return attach(tracer, borrower, _ -> handler);
  }

  /** For {@link AddressSpace}: attaches to threads that came unseen; true if there are any. */
  boolean attachThreads(Consumer<TracedThread> interrupting) {
    List<TracedThread> known = threads();
    seizeThreads(tracer.scratch());
    List<TracedThread> fresh = new ArrayList<>(threads.values());
    fresh.removeAll(known);
    complete(fresh, interrupting);
    return !fresh.isEmpty();
  }

  /** Returns true if a process is known to run in this one's memory. Tracer thread only. */
  boolean sharesMemoryWith(int other) {
    return space.isSharedWith(other);
  }

  /**
   * Returns true if two processes are known to run in one memory, of which this JVM may trace both. Any
   * thread.
   *
   * @param pid one of them
   * @param other the other
   */
  public static boolean shareMemory(int pid, int other) {
    try (Arena arena = Arena.ofConfined()) {
      return AddressSpace.isShared(arena.allocate(Libc.callState()), pid, other);
    }
  }

  private void seizeAll() {
    do {
      seizeThreads(tracer.scratch());
      if (threads.isEmpty()) {
        throw Attachability.explain(pid, Libc.ESRCH);
      }
    } while (wasReplaced());
    lookAtProgram();
    if (!memory.isAccessible()) {
      // It has made itself undumpable since it was seized.
      throw Attachability.explain(pid, Libc.EPERM);
    }
  }

  /**
   * Opens what tells of the program and its memory. Later the process may make itself undumpable, and then
   * nobody but the privileged may open anything of it any more.
   */
  private void lookAtProgram() {
    memory.open();
    abi = Abi.ofProgram(memory.owner());
    try {
      auxiliaryVector = Files.readAllBytes(Path.of("/proc/" + memory.owner() + "/auxv"));
    } catch (IOException e) {
      // It has ended, which the next request finds out, or is not accessible.
      auxiliaryVector = new byte[0];
    }
  }

  /**
   * Threads are created while the list is read. A thread created by one that is already seized is traced from
   * its start (PTRACE_O_TRACECLONE), so a pass that finds no new thread has seen all. A main thread that has
   * ended before the others is none to be traced.
   */
  private void seizeThreads(Scratch s) {
    boolean found = true;
    while (found) {
      found = false;
      for (int tid : ProcessStatus.threadIds(pid)) {
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
          throw Attachability.explain(tid, errno);
        }
      }
    }
  }

  /**
   * A thread that was not seized yet may have executed another program, and is then the main thread,
   * untraced.
   */
  private boolean wasReplaced() {
    ProcessStatus status = ProcessStatus.of(pid);
    if (status == null || status.isDead() || status.tracer() == tracer.tid()) {
      return false;
    }
    threads().forEach(this::forget);
    tracer.tracees().add(this);
    return true;
  }

  /**
   * Starts a program and stops it before its first instruction: the kernel has mapped the program and its
   * dynamic linker, and nothing of either has run.
   *
   * @param tracer whose thread controls it
   * @param request what to start
   * @param handlers makes what is done when it stops later, of the process, which is not attached to yet
   * @return the process; its one thread is stopped on its way to user mode
   * @throws PtraceException {@link Reason#LAUNCH_FAILED} if it cannot be started
   */
  public static TracedProcess launch(Tracer tracer, LaunchRequest request,
      Function<TracedProcess, TraceHandler> handlers) {
    return Launcher.launch(tracer, request, handlers);
  }

  /** For {@link Launcher}: takes a child of the tracer thread that is stopped and that nobody else knows. */
  static TracedProcess seizeChild(Tracer tracer, int pid, Function<TracedProcess, TraceHandler> handlers) {
    var process = new TracedProcess(tracer, pid, handlers);
    process.seizeAll();
    return process;
  }

  int sharedFilters() {
    return sharedFilters;
  }

  void sharedFilters(int count) {
    sharedFilters = count;
  }

  /** The tracer that controls this process. */
  public Tracer tracer() {
    return tracer;
  }

  /** The process's id in the tracer's pid namespace. */
  public int pid() {
    return pid;
  }

  /**
   * Returns true if the process was created while its creator was traced, and not attached to or launched.
   */
  public boolean wasCreated() {
    return created;
  }

  /** By which conventions the process's program calls the kernel. */
  public Abi abi() {
    return abi;
  }

  /**
   * What the kernel told the program when it was executed, as {@code /proc/PID/auxv} shows it: pairs of
   * words.
   *
   * @return a copy; empty if the process has ended, or if this user may not look into it
   * @see <a href="https://man7.org/linux/man-pages/man3/getauxval.3.html">getauxval(3)</a>
   */
  public byte[] auxiliaryVector() {
    return auxiliaryVector.clone();
  }

  /**
   * Returns false if the kernel does not let this user look into the process's memory: it was created by a
   * process that has made itself undumpable, or executes a program that this user may not read. Memory that
   * was accessible once remains so until the process executes a program.
   */
  public boolean isAccessible() {
    return memory.isAccessible();
  }

  /**
   * Gets access to the memory of a process that is not {@linkplain #isAccessible accessible}, by making it
   * dumpable for a moment; without effect if it is accessible. It is as undumpable as before afterwards, but
   * for the value 2 of {@code fs.suid_dumpable}, which only the kernel can set: then it is 0, and a crash
   * dumps no core for root either.
   *
   * @param thread of this process, stopped on its way to user mode
   * @throws PtraceException if that may not be done or fails; the reason says why
   */
  public void makeAccessible(TracedThread thread) {
    if (isAccessible()) {
      return;
    }
    if (thread.systemCall(abi.prctl(), PR_SET_DUMPABLE, 1) != 0) {
      throw new PtraceException(Reason.NOT_PERMITTED, Libc.EPERM,
          this + " is not dumpable, and could not be made so");
    }
    try {
      memory.open();
    } finally {
      thread.systemCall(abi.prctl(), PR_SET_DUMPABLE, 0);
    }
    if (!isAccessible()) {
      throw Attachability.explain(pid, Libc.EPERM);
    }
  }

  /** The process's memory. Any thread. */
  public ProcessMemory memory() {
    return memory;
  }

  /**
   * The process's mappings now. Any thread.
   *
   * @throws ThreadGoneException if it has ended, and for no other reason
   * @throws PtraceException {@link Reason#NOT_PERMITTED} if it is not {@linkplain #isAccessible accessible}
   */
  public List<MemoryMapping> mappings() {
    List<MemoryMapping> mappings = memory.mappings();
    if (mappings.isEmpty()) {
      throw new ThreadGoneException(Libc.ESRCH,
          "process " + pid + " has no memory any more: it has ended");
    }
    return mappings;
  }

  /** The threads that are traced now. */
  public List<TracedThread> threads() {
    return List.copyOf(threads.values());
  }

  TraceHandler handler() {
    return handler;
  }

  /** Sets what is done when this process stops. */
  public void handler(TraceHandler replacement) {
    handler = replacement;
  }

  private void add(TracedThread thread) {
    threads.put(thread.tid(), thread);
    tracer.tracees().add(thread);
  }

  void forget(TracedThread thread) {
    thread.markGone();
    threads.remove(thread.tid(), thread);
    tracer.tracees().remove(thread);
    memory.threadGone(thread.tid());
    if (threads.isEmpty()) {
      tracer.tracees().remove(this);
      memory.close();
    }
  }

  void dispatch(TracedThread thread, WaitStatus status) {
    switch (status) {
      case WaitStatus.Ended ended -> {
        forget(thread);
        if (threads.isEmpty()) {
          tracer.newcomers().adoptOrphans(this);
        }
        handler.ended(thread, ended);
      }
      case WaitStatus.Stopped stopped -> {
        thread.markStopped(stopped);
        tracer.newcomers().noteCreation(thread, stopped);
        route(thread, stopped);
      }
    }
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

  /** A process that this one created and that is traced since then. */
  void adoptProcess(int child, boolean sharesMemory) {
    var process = new TracedProcess(tracer, child, _ -> handler);
    process.birth = new Birth(this, sharesMemory);
    process.created = true;
    process.sharedFilters = sharedFilters;
    process.adopt(child);
    process.abi = abi;
    process.auxiliaryVector = auxiliaryVector;
    if (sharesMemory) {
      process.memory.openAs(memory);
    } else {
      process.memory.open();
      process.space.isNew();
    }
    if (!process.isAccessible() && !threads.isEmpty()) {
      // Its memory is a copy of this one, where the instruction can be looked for.
      process.systemCallInstruction = findSystemCallInstruction();
    }
  }

  void route(TracedThread thread, WaitStatus.Stopped stopped) {
    if (thread.start()) {
      started(thread);
    } else if (stopped instanceof WaitStatus.Executed) {
      List<TracedThread> former = threads();
      handler.executed(executed(), former);
    } else {
      handler.stopped(thread, stopped);
    }
  }

  private void started(TracedThread thread) {
    Birth from = birth;
    birth = null;
    if (from == null) {
      handler.threadStarted(thread);
    } else {
      handler.processCreated(from.creator, this, thread, from.sharesMemory);
    }
  }

  /**
   * ptrace(2), "execve(2) under ptrace": all other threads are gone, the one that executed has the process's
   * id, and of its former id nothing is reported any more. Until this event is waited for, the kernel answers
   * requests that were meant for the old main thread with ESRCH (looks_like_a_spurious_pid() in
   * kernel/ptrace.c, since Linux 5.13); behind it, the old thread objects refuse them.
   */
  TracedThread executed() {
    for (TracedThread old : threads()) {
      old.markGone();
      threads.remove(old.tid());
      tracer.tracees().remove(old);
    }
    systemCallInstruction = 0;
    lookAtProgram();
    space.isNew();
    var thread = new TracedThread(this, pid, true);
    add(thread);
    thread.markStopped(new WaitStatus.Executed());
    return thread;
  }

  /**
   * Lets the process go: all its threads run on untraced, each with the signal that it was about to receive,
   * or stay stopped if the process is in a group-stop. Processes that it created are processes of their own.
   * What cannot be stopped (state D), and a main thread that has ended before the others, stays traced until
   * it ends or the tracer is closed.
   *
   * @throws PtraceException if a thread could not be let go; the others have been
   */
  public void detach() {
    var unreachable = new HashSet<TracedThread>();
    PtraceException failure = null;
    for (List<TracedThread> rest = threads(); !rest.isEmpty();) {
      for (TracedThread thread : rest) {
        try {
          thread.interruptAndWait();
          thread.detach(thread.stop() instanceof WaitStatus.Signal(int signal) ? signal : 0);
        } catch (PtraceException e) {
          unreachable.add(thread);
          if (!e.isBeyondReach()) {
            failure = e;
          }
          // Its end is reported in its turn, or it is left to the kernel.
        }
      }
      // Ends, and an exec, which were waited for in vain; newcomers are stopped themselves.
      tracer.dispatchDeferred();
      rest = new ArrayList<>(threads.values());
      rest.removeAll(unreachable);
    }
    if (threads.isEmpty()) {
      tracer.tracees().remove(this);
      memory.close();
    }
    if (failure != null) {
      throw failure;
    }
  }

  /** The tracer thread ends, and the kernel lets go of what is still attached. */
  void abandon() {
    threads.values().forEach(TracedThread::markGone);
    memory.close();
  }

  /** Kills a process that was launched, and takes its exit status; nobody is told of its end. */
  public void kill() {
    Launcher.kill(tracer, pid);
  }

  /**
   * Returns true if a thread waits for its child of vfork to execute a program or end. It cannot be stopped
   * meanwhile: wait_for_vfork_done() in kernel/fork.c is killable only.
   */
  public boolean waitsForChild(TracedThread thread) {
    return CloneCall.waitsForChild(thread);
  }

  /**
   * Sets which {@linkplain Abi#systemCall system call instruction} of the process
   * {@link TracedThread#systemCall} uses, or 0 to search.
   */
  public void systemCallInstruction(long address) {
    systemCallInstruction = address;
  }

  /**
   * Address of a system call instruction in the process; the vDSO has one in every process that has a vDSO.
   */
  long systemCallInstruction() {
    if (systemCallInstruction == 0) {
      systemCallInstruction = findSystemCallInstruction();
    }
    return systemCallInstruction;
  }

  private long findSystemCallInstruction() {
    var executable = new ArrayList<MemoryMapping>(mappings());
    executable.removeIf(m -> !m.isExecutable() || m.path().equals("[vsyscall]"));
    executable.sort(Comparator.comparing(m -> !m.path().equals("[vdso]")));
    byte[] wanted = abi().systemCall();
    for (MemoryMapping mapping : executable) {
      byte[] text = memory.readText(mapping.start(), (int) Math.min(mapping.size(), 64 << 20));
      for (int i = 0; i + 1 < text.length; i++) {
        if (text[i] == wanted[0] && text[i + 1] == wanted[1]) {
          return mapping.start() + i;
        }
      }
    }
    throw new PtraceException(Reason.REMOTE_CALL_FAILED,
        "process " + pid + " has no system call instruction in its executable memory");
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
   * @throws PtraceException {@link Reason#REMOTE_CALL_FAILED} if the kernel refuses, {@link Reason#SECCOMP}
   *     as {@link TracedThread#systemCall}
   */
  public long mapNear(TracedThread thread, long near, long reach, long size, int protection) {
    for (long candidate : Gaps.near(mappings(), near, reach, size, abi().addressLimit())) {
      long result = thread.systemCall(abi().mmap(), candidate, size, protection,
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
   * @throws PtraceException as {@link #mapNear}
   */
  public void unmap(TracedThread thread, long address, long size) {
    long result = thread.systemCall(abi().munmap(), address, size);
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
