package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * A process under control: all its threads are traced, also those that it creates later.
 *
 * <p>This is the process as its users see it, from the attach to its end. What there is to do with it is done
 * by others: {@link ThreadTable} has its threads, {@link Attacher} gets hold of them and lets go of them,
 * {@link AddressSpace} knows who else runs in its memory, {@link StopDispatcher} tells the handler, and
 * {@link RemoteMapper} maps memory.
 *
 * <p>Tracer thread only, except for {@link #pid()}, {@link #memory()} and {@link #mappings()}.
 */
public final class TracedProcess {

  private static final int PR_SET_DUMPABLE = 4;

  private final Tracer tracer;
  private final int pid;
  private final ProcessMemory memory;
  private final AddressSpace space;
  private final ThreadTable threads;
  private final Attacher attacher;
  private final StopDispatcher dispatcher;
  private final SystemCallSite systemCallSite;
  private final RemoteMapper mapper;
  private ProgramImage program = ProgramImage.UNKNOWN;
  /** So many seccomp filters are the tracer's too; 0 if it is not known of any: see {@link Seccomp}. */
  private int sharedFilters;
  private boolean created;

  private TracedProcess(Tracer tracer, int pid, Function<TracedProcess, TraceHandler> handlers) {
    this.tracer = tracer;
    this.pid = pid;
    memory = new ProcessMemory(pid);
    space = new AddressSpace(this);
    threads = new ThreadTable(this);
    attacher = new Attacher(this);
    systemCallSite = new SystemCallSite(this);
    mapper = new RemoteMapper(this);
    // The handler keeps the process, and asks only for its id and memory before that is attached to.
    dispatcher = new StopDispatcher(this, handlers.apply(this));
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
   * @return the process, whose threads run
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
    attacher.complete(threads(), interrupting);
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
   * Attaches to processes, and threads of known ones, that were created unseen since then (CLONE_UNTRACED).
   * This takes microseconds, as long as few ids of processes were given out on this machine.
   *
   * @param found as for {@link #attachBorrowers}
   * @param interrupting as for {@link #completeAttach}
   * @throws PtraceException as {@link #attachBorrowers}
   */
  public void attachNewcomers(Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    space.attachNewcomers(found, interrupting);
  }

  /** For {@link AddressSpace}: attaches to threads that came unseen; true if there are any. */
  boolean attachThreads(Consumer<TracedThread> interrupting) {
    return attacher.attachNewcomers(interrupting);
  }

  /** Returns true if a process is known to run in this one's memory. Tracer thread only. */
  boolean sharesMemoryWith(int other) {
    return space.isSharedWith(other);
  }

  /**
   * {@return true if two processes are known to run in one memory, of which this JVM may trace both} Any
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
    attacher.seizeAll();
    lookAtProgram();
    if (!memory.isAccessible()) {
      // It has made itself undumpable since it was seized.
      throw Attachability.explain(pid, Libc.EPERM);
    }
  }

  /** Opens what tells of the program and its memory. */
  private void lookAtProgram() {
    memory.open();
    program = ProgramImage.of(memory);
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

  /** {@return the tracer that controls this process} */
  public Tracer tracer() {
    return tracer;
  }

  /** {@return the process's id in the tracer's pid namespace} */
  public int pid() {
    return pid;
  }

  /**
   * {@return true if the process was created while its creator was traced, and not attached to or launched}
   */
  public boolean wasCreated() {
    return created;
  }

  /** {@return the conventions by which the process's program calls the kernel} */
  public Abi abi() {
    return program.abi();
  }

  /**
   * What the kernel told the program when it was executed, as {@code /proc/PID/auxv} shows it: pairs of
   * words.
   *
   * @return a copy; empty if the process has ended, or if this user may not look into it
   * @see <a href="https://man7.org/linux/man-pages/man3/getauxval.3.html">getauxval(3)</a>
   */
  public byte[] auxiliaryVector() {
    return program.auxiliaryVector();
  }

  /**
   * {@return false if the kernel does not let this user look into the process's memory: it was created by a
   * process that has made itself undumpable, or executes a program that this user may not read} Memory that
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
    if (thread.systemCall(abi().prctl(), PR_SET_DUMPABLE, 1) != 0) {
      throw new PtraceException(Reason.NOT_PERMITTED, Libc.EPERM,
          this + " is not dumpable, and could not be made dumpable");
    }
    try {
      memory.open();
    } finally {
      thread.systemCall(abi().prctl(), PR_SET_DUMPABLE, 0);
    }
    if (!isAccessible()) {
      throw Attachability.explain(pid, Libc.EPERM);
    }
  }

  /** {@return the process's memory} Any thread. */
  public ProcessMemory memory() {
    return memory;
  }

  /**
   * {@return the process's mappings now} Any thread.
   *
   * @throws ThreadGoneException if it has ended, and for no other reason
   * @throws PtraceException {@link Reason#NOT_PERMITTED} if it is not {@linkplain #isAccessible accessible}
   */
  public List<MemoryMapping> mappings() {
    List<MemoryMapping> mappings = memory.mappings();
    if (mappings.isEmpty()) {
      throw new ThreadGoneException(Libc.ESRCH,
          "process " + pid + " has ended: it no longer has memory");
    }
    return mappings;
  }

  /** {@return the threads that are traced now} */
  public List<TracedThread> threads() {
    return threads.all();
  }

  /**
   * Sets what is done when this process stops.
   *
   * @param replacement of the handler
   */
  public void handler(TraceHandler replacement) {
    dispatcher.handler(replacement);
  }

  StopDispatcher dispatcher() {
    return dispatcher;
  }

  ThreadTable threadTable() {
    return threads;
  }

  void forget(TracedThread thread) {
    threads.remove(thread);
    memory.threadGone(thread.tid());
    closeIfEmpty();
  }

  void closeIfEmpty() {
    if (threads.isEmpty()) {
      tracer.tracees().remove(this);
      memory.close();
    }
  }

  /** A process that this one created and that is traced since then. */
  void adoptProcess(int child, boolean sharesMemory) {
    var process = new TracedProcess(tracer, child, _ -> dispatcher.handler());
    process.dispatcher.expectBirth(this, sharesMemory);
    process.created = true;
    process.sharedFilters = sharedFilters;
    process.threads.adopt(child);
    process.program = program;
    if (sharesMemory) {
      process.memory.openAs(memory);
    } else {
      process.memory.open();
      process.space.isNew();
    }
    if (!process.isAccessible() && !threads.isEmpty()) {
      // Its memory is a copy of this one, where the instruction can be looked for.
      process.systemCallSite.set(systemCallSite.find());
    }
  }

  /**
   * ptrace(2), "execve(2) under ptrace": all other threads are gone, the one that executed has the process's
   * id, and of its former id nothing is reported any more. Until this event is waited for, the kernel answers
   * requests that were meant for the old main thread with ESRCH (looks_like_a_spurious_pid() in
   * kernel/ptrace.c, since Linux 5.13); behind it, the old thread objects refuse them.
   */
  TracedThread executed() {
    threads.removeAll();
    systemCallSite.set(0);
    lookAtProgram();
    space.isNew();
    TracedThread thread = threads.add(pid, true);
    thread.markStopped(new WaitStatus.Executed());
    return thread;
  }

  /**
   * Detaches from the process: all its threads run on untraced, each with the signal that it was about to
   * receive, or stay stopped if the process is in a group-stop. Processes that it created are processes of
   * their own. What cannot be stopped (state D), and a main thread that has ended before the others, stays
   * traced until it ends or the tracer is closed.
   *
   * @throws PtraceException if a thread could not be detached; the others have been
   */
  public void detach() {
    attacher.detach();
  }

  /** The tracer thread ends, and the kernel lets go of what is still attached. */
  void abandon() {
    threads.abandon();
    memory.close();
  }

  /** Kills a process that was launched, and waits for it; its end is not reported. */
  public void kill() {
    Launcher.kill(tracer, pid);
  }

  /**
   * {@return true if a thread waits for its child of vfork to execute a program or end} It cannot be stopped
   * meanwhile: wait_for_vfork_done() in kernel/fork.c is killable only.
   *
   * @param thread of this process
   */
  public boolean waitsForChild(TracedThread thread) {
    return CloneCall.waitsForChild(thread);
  }

  /**
   * Sets which {@linkplain Abi#systemCall system call instruction} of the process
   * {@link TracedThread#systemCall} uses, or 0 to search.
   *
   * @param address of the instruction, or 0
   */
  public void systemCallInstruction(long address) {
    systemCallSite.set(address);
  }

  SystemCallSite systemCallSite() {
    return systemCallSite;
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
    return mapper.mapNear(thread, near, reach, size, protection);
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
    mapper.unmap(thread, address, size);
  }

  @Override
  public String toString() {
    return "process " + pid;
  }
}
