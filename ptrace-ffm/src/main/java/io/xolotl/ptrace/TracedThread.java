package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A thread of a traced process. It is running, or stopped and then waits for the tracer; except for
 * {@link #interrupt}, every request needs it to be stopped.
 *
 * <p>Tracer thread only. Any request can throw {@link ThreadGoneException}: a
 * stopped thread can be killed at any moment.
 */
public final class TracedThread {

  /** Where {@code struct rseq} has the address of a record. */
  private static final int RSEQ_CS = 8;

  private final TracedProcess process;
  private final int tid;
  private WaitStatus.@Nullable Stopped stop;
  /** It ran before it was traced. */
  private final boolean seized;
  private boolean started;
  /** By the code segment that was read or written last. */
  private boolean in32BitCode;
  /** Detached, ended, or replaced by exec: the id may be that of another thread by now. */
  private boolean gone;
  private @Nullable Object attachment;
  /** Address of its {@code struct rseq} when somebody last asked, or 0. */
  private long sequenceArea;
  private int sequenceSignature;

  TracedThread(TracedProcess process, int tid, boolean started) {
    this.process = process;
    this.tid = tid;
    this.started = started;
    seized = started;
  }

  /** The process that the thread belongs to. */
  public TracedProcess process() {
    return process;
  }

  /** The thread's id in the tracer's pid namespace. */
  public int tid() {
    return tid;
  }

  /** Why the thread is stopped, or null if it runs. */
  public WaitStatus.@Nullable Stopped stop() {
    return stop;
  }

  /** What the handler keeps for this thread. */
  public @Nullable Object attachment() {
    return attachment;
  }

  /** Sets what the handler keeps for this thread. */
  public void attachment(@Nullable Object value) {
    attachment = value;
  }

  void markStopped(WaitStatus.Stopped why) {
    stop = why;
  }

  /** No request may reach whoever has this id next. */
  void markGone() {
    stop = null;
    gone = true;
  }

  boolean wasSeized() {
    return seized;
  }

  /** Returns true if the thread is new and the handler was not told of it yet. */
  public boolean isFirstStop() {
    return !started;
  }

  /** Returns true, once, if this stop is the first that is reported of a thread that the process created. */
  boolean start() {
    boolean first = !started;
    started = true;
    return first;
  }

  private Scratch scratch() {
    return process.tracer().scratch();
  }

  private long request(Scratch s, int request, long address, long data) {
    if (gone) {
      throw PtraceException.ofRequest(request, tid, Libc.ESRCH);
    }
    long result = Libc.ptrace(s.state, request, tid, address, data);
    if (result < 0) {
      throw PtraceException.ofRequest(request, tid, Libc.errno(s.state));
    }
    return result;
  }

  /** A thread that is gone is not stopped any more; any other failure leaves it stopped. */
  private void resume(int request, int signal) {
    WaitStatus.Stopped before = stop;
    stop = null;
    try {
      request(scratch(), request, 0, signal);
    } catch (ThreadGoneException e) {
      throw e;
    } catch (PtraceException e) {
      stop = before;
      throw e;
    }
  }

  /**
   * Lets the thread run.
   *
   * @param signal signal to deliver, or 0; only a thread in a signal-delivery-stop can be given one
   */
  public void cont(int signal) {
    resume(Ptrace.CONT, signal);
  }

  /**
   * Lets the thread execute one instruction.
   *
   * @param signal signal to deliver before, or 0
   */
  public void step(int signal) {
    resume(Ptrace.SINGLESTEP, signal);
  }

  /** Leaves the thread in its group-stop until SIGCONT, as job control wants it. */
  public void listen() {
    resume(Ptrace.LISTEN, 0);
  }

  /**
   * Ends tracing this thread; it runs on.
   *
   * @param signal signal to deliver, or 0
   */
  public void detach(int signal) {
    resume(Ptrace.DETACH, signal);
    process.forget(this);
  }

  /**
   * Asks a thread to stop, or to stop again when it is resumed; the stop is reported later, possibly behind
   * another.
   */
  public void interrupt() {
    request(scratch(), Ptrace.INTERRUPT, 0, 0);
  }

  /**
   * Stops the thread, if it is not stopped, and waits until it is. The stop it gets into, which may be
   * another than the one asked for, is then the caller's to handle: {@link #stop()} tells which.
   *
   * @throws ThreadGoneException if it ended instead
   * @throws PtraceException {@link Reason#NOT_STOPPING} if it does not stop in time
   */
  public WaitStatus.Stopped interruptAndWait() {
    if (stop != null) {
      return stop;
    }
    WaitStatus known = process.tracer().takeReport(tid);
    if (known != null) {
      return stopped(known);
    }
    interrupt();
    return awaitStop();
  }

  /**
   * Has a thread that runs execute nothing of the program until its stop is handed out in its turn. One in
   * state D does not stop now, but on its way to user mode, before the program's next instruction.
   *
   * @param asked is told if it is asked to stop
   */
  void holdStill(TraceHandler asked) {
    Tracer tracer = process.tracer();
    try {
      WaitStatus known = tracer.takeReport(tid);
      if (known == null) {
        asked.interrupting(this);
        interrupt();
        ProcessStatus status = ProcessStatus.of(tid);
        if (status == null || status.isUninterruptible()) {
          return;
        }
        known = tracer.await(tid);
      }
      tracer.defer(tid, known);
    } catch (PtraceException e) {
      if (!e.isBeyondReach()) {
        throw e;
      }
      // It executes nothing any more, or is in state D.
    }
  }

  /**
   * Waits for the next stop of this thread, which runs now and is known to stop soon. An exec is left to be
   * reported in its turn, since it ends all threads of the process but one, which is another object then.
   *
   * @throws PtraceException as {@link #interruptAndWait}
   */
  public WaitStatus.Stopped awaitStop() {
    return stopped(process.tracer().await(tid));
  }

  private WaitStatus.Stopped stopped(WaitStatus status) {
    return switch (status) {
      case WaitStatus.Executed _ -> throw gone(status, "its process executes a program");
      case WaitStatus.Stopped stopped -> {
        stop = stopped;
        process.noteCreation(this, stopped);
        yield stopped;
      }
      case WaitStatus.Ended _ -> throw gone(status, "it has ended meanwhile");
    };
  }

  /** For the launch, which waits for the exec. */
  WaitStatus.Stopped awaitStopOrExec() {
    WaitStatus status = process.tracer().await(tid);
    return switch (status) {
      case WaitStatus.Stopped stopped -> stop = stopped;
      case WaitStatus.Ended ended -> throw gone(status, "it has ended meanwhile: " + ended);
    };
  }

  /** What came instead of a stop is reported in its turn, when the caller's work is done. */
  private PtraceException gone(WaitStatus status, String why) {
    process.tracer().defer(tid, status);
    return new ThreadGoneException(Libc.ESRCH, this + " does not stop: " + why);
  }

  /**
   * Gives the stop that {@link #awaitStop} or {@link #interruptAndWait} has taken to the process's handler,
   * as if it had just been reported.
   */
  public void handleStop() {
    WaitStatus.Stopped current = stop;
    if (current != null) {
      process.route(this, current);
    }
  }

  /**
   * Lets a trap that {@link #hasPendingTrap} tells of be reported, before the thread executes anything: its
   * stop is the trap's then.
   */
  public void takePendingTrap() {
    boolean groupStopped = stop instanceof WaitStatus.GroupStop;
    while ((stop instanceof WaitStatus.Interrupted || stop instanceof WaitStatus.GroupStop)
        && hasPendingTrap()) {
      cont(0);
      awaitStop();
    }
    if (groupStopped && !(stop instanceof WaitStatus.GroupStop)) {
      // So that it joins the group-stop again behind the trap.
      interrupt();
    }
  }

  /**
   * Returns true if a signal would, if delivered, stop or continue the process: a signal of job control for
   * which it has no handler.
   *
   * @param signal its number
   */
  public boolean isJobControl(int signal) {
    return switch (signal) {
      case Signals.SIGSTOP -> true;
      case Signals.SIGCONT, Signals.SIGTSTP, Signals.SIGTTIN, Signals.SIGTTOU -> {
        ProcessStatus status = ProcessStatus.of(tid);
        yield status == null || (status.caughtSignals() >>> signal - 1 & 1) == 0;
      }
      default -> false;
    };
  }

  /**
   * Has a signal of job control that the thread is stopped for take its effect now; the thread is then
   * stopped for nothing, or in the group-stop. The effect is not lasting: whether a stop that a thread has
   * received is still to happen, or was undone by a SIGCONT since, the kernel knows at the stop for that
   * signal alone (JOBCTL_STOP_DEQUEUED in kernel/signal.c). Delivered at any later one it would stop a
   * process that nobody continues.
   */
  public void takeJobControl() {
    if (stop instanceof WaitStatus.Signal(int signal) && isJobControl(signal)) {
      // The interrupt is taken before the thread gets back to user mode, also if the signal does not stop it.
      interrupt();
      cont(signal);
      awaitStop();
    }
  }

  /** Returns true if the thread is stopped on its way to user mode, where its registers are the user's. */
  public boolean isAtUserBoundary() {
    return switch (stop) {
      case null -> false;
      case WaitStatus.Signal _, WaitStatus.GroupStop _, WaitStatus.Interrupted _ -> true;
      case WaitStatus.Created _, WaitStatus.Executed _, WaitStatus.Exiting _, WaitStatus.Other _ -> false;
    };
  }

  /**
   * Lets a thread that is stopped inside a system call finish it, and stops it again on its way to user mode,
   * before its next instruction. The call must not block.
   */
  public void finishSystemCall() {
    while (!isAtUserBoundary()) {
      // The interrupt is taken before the thread gets back to user mode: get_signal() looks at it first.
      interrupt();
      cont(0);
      awaitStop();
    }
  }

  /**
   * Compares up to eight bytes of memory, whatever its permissions are, in less time than it takes to read
   * them otherwise.
   *
   * @param address first address
   * @param expected the bytes, lowest first
   * @param mask of the bits that are compared
   * @return true if they are as expected; false if they are not, or if that cannot be found out so, as of a
   *     process that this user may not look into
   */
  public boolean isText(long address, long expected, long mask) {
    Scratch s = scratch();
    // The C library returns the word, so that −1 is no answer. Where the thread has just been there is
    // nothing to page in, which would hold up safepoints; of the next page nobody knows.
    boolean inPage = (address & 4095) <= 4096 - Long.BYTES;
    long word = gone || !inPage ? -1 : Libc.ptrace(s.state, Ptrace.PEEKTEXT, tid, address, 0);
    return word != -1 && ((word ^ expected) & mask) == 0;
  }

  /**
   * Fetches the general registers.
   *
   * @param registers where to
   */
  public void readRegisters(Registers registers) {
    Scratch s = scratch();
    request(s, Ptrace.GETREGS, 0, s.registers.address());
    registers.load(s.registers);
    in32BitCode = Abi.of(registers) == Abi.I386;
  }

  /**
   * Sets all general registers; of the bases and selectors of segments only those that were set since they
   * were read, and those before them in the order of {@link Register}. A program may have given them values
   * that the CPU takes but putreg() refuses (arch/x86/kernel/ptrace.c): a null selector other than 0, or a
   * base that is no user address.
   *
   * @param registers what to, in the stop in which they were read; no longer
   *     {@linkplain Registers#isChanged() changed} afterwards
   */
  public void writeRegisters(Registers registers) {
    Scratch s = scratch();
    boolean was32BitCode = in32BitCode;
    in32BitCode = Abi.of(registers) == Abi.I386;
    if (was32BitCode) {
      writeRegistersOf32BitCode(s, registers);
      return;
    }
    s.vector.set(JAVA_LONG, 0, s.registers.address());
    s.vector.set(JAVA_LONG, 8, registers.store(s.registers));
    request(s, Ptrace.SETREGSET, Ptrace.NT_PRSTATUS, s.vector.address());
  }

  /**
   * Of a thread in 32-bit code PTRACE_SETREGSET means i386's registers (task_user_regset_view() of the
   * thread), and PTRACE_SETREGS those of the tracer. The latter sets all, so where one is refused they are
   * set one by one.
   */
  private void writeRegistersOf32BitCode(Scratch s, Registers registers) {
    registers.storeAll(s.registers);
    boolean refused = gone || Libc.ptrace(s.state, Ptrace.SETREGS, tid, 0, s.registers.address()) < 0;
    long bytes = registers.store(s.registers);
    for (long offset = 0; refused && offset < bytes; offset += 8) {
      request(s, Ptrace.POKEUSR, offset, s.registers.get(JAVA_LONG, offset));
    }
  }

  /** Fetches the x87, SSE, AVX and further state. */
  public VectorState readVectorState() {
    Scratch s = scratch();
    s.vector.set(JAVA_LONG, 0, s.xstate.address());
    s.vector.set(JAVA_LONG, 8, s.xstate.byteSize());
    request(s, Ptrace.GETREGSET, Ptrace.NT_X86_XSTATE, s.vector.address());
    // The kernel reports how much this CPU has.
    return new VectorState(s.xstate.asSlice(0, s.vector.get(JAVA_LONG, 8)));
  }

  /** Sets the x87, SSE, AVX and further state. */
  public void writeVectorState(VectorState state) {
    Scratch s = scratch();
    s.xstate.copyFrom(state.segment());
    s.vector.set(JAVA_LONG, 0, s.xstate.address());
    s.vector.set(JAVA_LONG, 8, state.size());
    request(s, Ptrace.SETREGSET, Ptrace.NT_X86_XSTATE, s.vector.address());
  }

  /**
   * Fetches what the kernel knows of the signal that the thread stopped for.
   *
   * @param info where to
   */
  public void readSignalInfo(SignalInfo info) {
    Scratch s = scratch();
    request(s, Ptrace.GETSIGINFO, 0, s.siginfo.address());
    info.load(s.siginfo);
  }

  /**
   * Replaces the information on the signal that the thread stopped for; that signal, with it, is what
   * {@link #cont} delivers.
   */
  public void writeSignalInfo(SignalInfo info) {
    Scratch s = scratch();
    info.store(s.siginfo);
    request(s, Ptrace.SETSIGINFO, 0, s.siginfo.address());
  }

  /**
   * Sends this thread a signal, as tgkill(2).
   *
   * @param signal number of the signal
   */
  public void send(int signal) {
    Scratch s = scratch();
    if (Libc.syscall(s.state, WakeSignal.SYS_TGKILL, process.pid(), tid, signal, 0, 0) < 0) {
      throw new ThreadGoneException(Libc.errno(s.state),
          "tgkill of thread " + tid + " failed with " + Errno.name(Libc.errno(s.state)));
    }
  }

  /** The signals that the thread blocks, bit n−1 for signal n. */
  public long signalMask() {
    Scratch s = scratch();
    request(s, Ptrace.GETSIGMASK, 8, s.word.address());
    return s.word.get(JAVA_LONG, 0);
  }

  /** Sets the signals that the thread blocks. */
  public void signalMask(long mask) {
    Scratch s = scratch();
    s.word.set(JAVA_LONG, 0, mask);
    request(s, Ptrace.SETSIGMASK, 8, s.word.address());
  }

  /**
   * What the thread's ptrace event carries: the id of a new thread or process, the former id after an exec.
   */
  public long eventMessage() {
    Scratch s = scratch();
    request(s, Ptrace.GETEVENTMSG, 0, s.word.address());
    return s.word.get(JAVA_LONG, 0);
  }

  /**
   * Returns true if a trap (int3 or single-step) or a fault of this thread waits to be reported.
   * PTRACE_EVENT_STOP overtakes it: get_signal() in kernel/signal.c takes jobctl traps before it takes queued
   * signals. A thread that is detached in that state dies of the SIGTRAP; one that a system call is made in
   * would report it in the middle.
   */
  public boolean hasPendingTrap() {
    Scratch s = scratch();
    int atOnce = (int) (s.siginfo.byteSize() / SignalInfo.BYTES);
    for (long offset = 0;; offset += atOnce) {
      // struct ptrace_peeksiginfo_args: u64 off; u32 flags (0: the thread's own queue); s32 nr
      s.peek.set(JAVA_LONG, 0, offset);
      s.peek.set(JAVA_INT, 8, 0);
      s.peek.set(JAVA_INT, 12, atOnce);
      long n = request(s, Ptrace.PEEKSIGINFO, s.peek.address(), s.siginfo.address());
      for (int i = 0; i < n; i++) {
        MemorySegment info = s.siginfo.asSlice((long) i * SignalInfo.BYTES, SignalInfo.BYTES);
        if (Signals.isRaisedByInstruction(info.get(JAVA_INT, 0)) && info.get(JAVA_INT, 8) > 0) {
          return true;
        }
      }
      if (n < atOnce) {
        return false;
      }
    }
  }

  /**
   * Lets the thread's next system calls be made, where the program would have them raise SIGSYS (prctl(2),
   * PR_SET_SYSCALL_USER_DISPATCH), as Wine has.
   *
   * @return what {@link #resumeSyscallDispatch} puts back; null if there is nothing to put back
   */
  long @Nullable [] suspendSyscallDispatch() {
    Scratch s = scratch();
    // EIO: a kernel before 6.4, which cannot tell. ESRCH is told by the next request.
    if (gone || Libc.ptrace(s.state, Ptrace.GET_SYSCALL_USER_DISPATCH_CONFIG, tid, s.dispatch.byteSize(),
        s.dispatch.address()) < 0 || s.dispatch.get(JAVA_LONG, 0) == 0) {
      return null;
    }
    long[] configuration = s.dispatch.toArray(JAVA_LONG);
    s.dispatch.fill((byte) 0);
    request(s, Ptrace.SET_SYSCALL_USER_DISPATCH_CONFIG, s.dispatch.byteSize(), s.dispatch.address());
    return configuration;
  }

  void resumeSyscallDispatch(long[] configuration) {
    Scratch s = scratch();
    MemorySegment.copy(configuration, 0, s.dispatch, JAVA_LONG, 0, configuration.length);
    request(s, Ptrace.SET_SYSCALL_USER_DISPATCH_CONFIG, s.dispatch.byteSize(), s.dispatch.address());
  }

  /**
   * The seccomp filters of this thread; none if it has none, or they may not be read or the kernel has not
   * kept them (EMEDIUMTYPE, or EINVAL without CONFIG_CHECKPOINT_RESTORE).
   */
  List<SeccompFilter> seccompFilters() {
    Scratch s = scratch();
    var filters = new ArrayList<SeccompFilter>();
    while (true) {
      long length = gone
          ? -1
          : Libc.ptrace(s.state, Ptrace.SECCOMP_GET_FILTER, tid, filters.size(), s.filter.address());
      if (length >= 0) {
        filters.add(new SeccompFilter(
            s.filter.asSlice(0, length * SeccompFilter.INSTRUCTION_BYTES).toArray(JAVA_BYTE)));
      } else if (gone || Libc.errno(s.state) == Libc.ESRCH) {
        throw PtraceException.ofRequest(Ptrace.SECCOMP_GET_FILTER, tid, Libc.ESRCH);
      } else {
        // ENOENT: these are all. Where one cannot be read the others say nothing.
        return Libc.errno(s.state) == Libc.ENOENT ? filters : List.of();
      }
    }
  }

  /**
   * Returns true if the kernel may go on with the system call that this thread was stopped in by
   * restart_syscall(2), as it does with most that have a time-out (−ERESTART_RESTARTBLOCK). The program never
   * makes that call itself, and a seccomp filter that was not made with stops in mind kills for it.
   *
   * @param registers the thread's, in the stop
   */
  public boolean mayRestart(Registers registers) {
    Abi abi = Abi.of(registers);
    var restart = new Registers();
    restart.copyFrom(registers);
    restart.rax(abi.restart());
    restart.rip(registers.rip() - abi.systemCall().length);
    try {
      Seccomp.check(this, restart);
      return true;
    } catch (PtraceException e) {
      if (e.reason() != Reason.SECCOMP) {
        throw e;
      }
      return false;
    }
  }

  /**
   * Looks up what the thread has registered with rseq(2). It must be stopped; what it registers while it runs
   * is not seen.
   */
  private void lookUpSequenceArea() {
    Scratch s = scratch();
    if (gone || Libc.ptrace(s.state, Ptrace.GET_RSEQ_CONFIGURATION, tid, s.rseq.byteSize(),
        s.rseq.address()) < 0) {
      // EIO: a kernel before 5.13, or one without restartable sequences. ESRCH is told by the next request.
      sequenceArea = 0;
    } else {
      // struct ptrace_rseq_configuration: u64 rseq_abi_pointer; u32 rseq_abi_size; u32 signature
      sequenceArea = s.rseq.get(JAVA_LONG, 0);
      sequenceSignature = s.rseq.get(JAVA_INT, 12);
    }
  }

  /**
   * The restartable sequence that the thread is in, was in last or is about to enter, by what it has
   * registered with rseq(2): of a stopped thread as it is now, of one that runs where it was when somebody
   * last asked while it was stopped. Whether the thread is in it, rip tells.
   *
   * @return null if it names none, or the kernel would refuse the one it names
   */
  public @Nullable RestartableSequence restartableSequence() {
    if (stop != null) {
      lookUpSequenceArea();
    }
    ProcessMemory memory = process.memory();
    byte[] record = scratch().sequence;
    if (sequenceArea == 0
        || memory.tryRead(sequenceArea + RSEQ_CS, record, 0, Long.BYTES) < Long.BYTES) {
      return null;
    }
    long address = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    return address == 0 || memory.tryRead(address, record, 0, record.length) < record.length
        ? null
        : RestartableSequence.of(record);
  }

  /**
   * Returns true if the thread was seen, by {@link #restartableSequence}, to have registered another
   * signature for abort handlers than {@link RestartableSequence#SIGNATURE}.
   */
  public boolean hasOwnSequenceSignature() {
    return sequenceArea != 0 && sequenceSignature != RestartableSequence.SIGNATURE;
  }

  /**
   * Executes a system call in this thread, which is stopped
   * {@linkplain #isAtUserBoundary() on its way to user mode}, and leaves everything else of it as it was:
   * registers (a system call that was interrupted still restarts), signal mask and the signal that it stopped
   * for, except one that it must {@linkplain #takeJobControl take before}. It stays stopped. The other
   * threads of the process are stopped for it, and what they report is handed out in its turn.
   *
   * @param number number of the system call, by the {@link Abi} of the process
   * @param arguments up to six
   * @return what the kernel returns: −4095 to −1 is a negated errno
   * @throws PtraceException {@link Reason#SECCOMP} if it could do harm, since the thread is under seccomp;
   *     nothing has changed then, and another thread may be able to make it
   */
  public long systemCall(int number, long... arguments) {
    return RemoteCall.systemCall(this, number, arguments);
  }

  @Override
  public String toString() {
    return "thread " + tid + " of process " + process.pid();
  }

  /** For tests of the raw layout. */
  byte[] rawRegisters() {
    Scratch s = scratch();
    request(s, Ptrace.GETREGS, 0, s.registers.address());
    return s.registers.toArray(JAVA_BYTE);
  }
}
