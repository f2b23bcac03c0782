package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.ptrace.PtraceException.Reason;
import org.jspecify.annotations.Nullable;

/**
 * A thread of a traced process. It is running, or stopped and then waits for the tracer; except for
 * {@link #interrupt}, every request needs it to be stopped.
 *
 * <p>This is the thread as its users see it. {@link RunState} knows whether it runs. What is asked of it in a
 * stop is asked by {@link RegisterAccess}, {@link ThreadSignals} and {@link SequenceArea}, and all requests
 * go through {@link ThreadRequests}.
 *
 * <p>Tracer thread only. Any request can throw {@link ThreadGoneException}: a
 * stopped thread can be killed at any moment.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
public final class TracedThread {

  private final TracedProcess process;
  private final int tid;
  private final ThreadRequests requests;
  private final RunState runState;
  private final RegisterAccess registerAccess;
  private final ThreadSignals signals;
  private final SequenceArea sequenceArea;
  private boolean started;
  private @Nullable Object attachment;

  TracedThread(TracedProcess process, int tid, boolean started) {
    this.process = process;
    this.tid = tid;
    this.started = started;
    requests = new ThreadRequests(process.tracer(), tid);
    runState = new RunState(this, requests);
    registerAccess = new RegisterAccess(requests);
    signals = new ThreadSignals(requests, process.pid());
    sequenceArea = new SequenceArea(requests, process.memory());
  }

  /** {@return the process that the thread belongs to} */
  public TracedProcess process() {
    return process;
  }

  /** {@return the thread's id in the tracer's pid namespace} */
  public int tid() {
    return tid;
  }

  /** {@return why the thread is stopped, or null if it runs} */
  public WaitStatus.@Nullable Stopped stop() {
    return runState.stop();
  }

  /** {@return what the handler keeps for this thread} */
  public @Nullable Object attachment() {
    return attachment;
  }

  /**
   * Sets what the handler keeps for this thread.
   *
   * @param value anything, or null
   */
  public void attachment(@Nullable Object value) {
    attachment = value;
  }

  void markStopped(WaitStatus.Stopped why) {
    runState.markStopped(why);
  }

  /** No request may reach whoever has this id next. */
  void markGone() {
    runState.markGone();
  }

  /** {@return true if the thread is new and the handler was not told of it yet} */
  public boolean isFirstStop() {
    return !started;
  }

  /** Returns true, once, if this stop is the first that is reported of a thread that the process created. */
  boolean start() {
    boolean first = !started;
    started = true;
    return first;
  }

  ThreadRequests requests() {
    return requests;
  }

  /**
   * Lets the thread run.
   *
   * @param signal signal to deliver, or 0; only a thread in a signal-delivery-stop can be given one
   */
  public void cont(int signal) {
    runState.resume(Ptrace.CONT, signal);
  }

  /**
   * Lets the thread execute one instruction.
   *
   * @param signal signal to deliver before, or 0
   */
  public void step(int signal) {
    runState.resume(Ptrace.SINGLESTEP, signal);
  }

  /** Leaves the thread in its group-stop until SIGCONT, as job control requires. */
  public void listen() {
    runState.resume(Ptrace.LISTEN, 0);
  }

  /**
   * Ends tracing this thread; it runs on.
   *
   * @param signal signal to deliver, or 0
   */
  public void detach(int signal) {
    runState.resume(Ptrace.DETACH, signal);
    process.forget(this);
  }

  /**
   * Asks a thread to stop, or to stop again when it is resumed; the stop is reported later, possibly behind
   * another.
   */
  public void interrupt() {
    runState.interrupt();
  }

  /**
   * Stops the thread, if it is not stopped, and waits until it is. The stop it gets into, which may be
   * another than the one asked for, is then the caller's to handle: {@link #stop()} tells which.
   *
   * @return the stop
   * @throws ThreadGoneException if it ended instead
   * @throws PtraceException {@link Reason#NOT_STOPPING} if it does not stop in time
   */
  public WaitStatus.Stopped interruptAndWait() {
    return runState.interruptAndWait();
  }

  /**
   * Waits for the next stop of this thread, which runs now and is known to stop soon. An exec is left to be
   * reported in its turn, since it ends all threads of the process but one, which is another object then.
   *
   * @return the stop
   * @throws PtraceException as {@link #interruptAndWait}
   */
  public WaitStatus.Stopped awaitStop() {
    return runState.awaitStop();
  }

  /** For the launch, which waits for the exec. */
  WaitStatus.Stopped awaitStopOrExec() {
    return runState.awaitStopOrExec();
  }

  /**
   * Gives the stop that {@link #awaitStop} or {@link #interruptAndWait} has taken to the process's handler,
   * as if it had just been reported.
   */
  public void handleStop() {
    WaitStatus.Stopped current = stop();
    if (current != null) {
      process.dispatcher().route(this, current);
    }
  }

  /**
   * Lets a {@linkplain #hasPendingTrap pending trap} be reported before the thread executes anything: the
   * thread is then stopped for the trap.
   */
  public void takePendingTrap() {
    boolean groupStopped = stop() instanceof WaitStatus.GroupStop;
    while ((stop() instanceof WaitStatus.Interrupted || stop() instanceof WaitStatus.GroupStop)
        && hasPendingTrap()) {
      cont(0);
      awaitStop();
    }
    if (groupStopped && !(stop() instanceof WaitStatus.GroupStop)) {
      // So that it joins the group-stop again behind the trap.
      interrupt();
    }
  }

  /**
   * {@return true if a signal would, if delivered, stop or continue the process: a signal of job control for
   * which it has no handler}
   *
   * @param signal its number
   */
  public boolean isJobControl(int signal) {
    return signals.isJobControl(signal);
  }

  /**
   * Lets a signal of job control that the thread is stopped for take effect now; the thread is then stopped
   * for no signal, or in the group-stop. The effect is not lasting: whether a stop that a thread has
   * received is still to happen, or was undone by a SIGCONT since, the kernel knows at the stop for that
   * signal alone (JOBCTL_STOP_DEQUEUED in kernel/signal.c). Delivered at any later one it would stop a
   * process that nobody continues.
   */
  public void takeJobControl() {
    if (stop() instanceof WaitStatus.Signal(int signal) && isJobControl(signal)) {
      // The interrupt is taken before the thread gets back to user mode, also if the signal does not stop it.
      interrupt();
      cont(signal);
      awaitStop();
    }
  }

  /** {@return true if the thread is stopped on its way to user mode, where its registers are the user's} */
  public boolean isAtUserBoundary() {
    return switch (stop()) {
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
   * @return true if they are as expected; false if they are not, or if that cannot be found out so, as in a
   *     process that this user may not look into
   */
  public boolean isText(long address, long expected, long mask) {
    Scratch s = requests.scratch();
    // The C library returns the word, so that −1 is no answer. Where the thread has just been there is
    // nothing to page in, which would hold up safepoints; of the next page nobody knows.
    boolean inPage = (address & 4095) <= 4096 - Long.BYTES;
    long word = inPage ? requests.attempt(s, Ptrace.PEEKTEXT, address, 0) : -1;
    return word != -1 && ((word ^ expected) & mask) == 0;
  }

  /**
   * Fetches the general registers.
   *
   * @param registers where to
   */
  public void readRegisters(Registers registers) {
    registerAccess.read(registers);
  }

  /**
   * Sets all general registers. Bases and selectors of segments are set only up to the last that was set
   * since they were read, in the order of {@link UserRegister}. A program may have given them values
   * that the CPU takes but putreg() refuses (arch/x86/kernel/ptrace.c): a null selector other than 0, or a
   * base that is no user address.
   *
   * @param registers what to, in the stop in which they were read; no longer
   *     {@linkplain Registers#isChanged() changed} afterwards
   */
  public void writeRegisters(Registers registers) {
    registerAccess.write(registers);
  }

  /**
   * Fetches the x87, SSE, AVX and further state.
   *
   * @return the state, which is a copy
   */
  public VectorState readVectorState() {
    return registerAccess.readVectorState();
  }

  /**
   * Sets the x87, SSE, AVX and further state.
   *
   * @param state the new one
   */
  public void writeVectorState(VectorState state) {
    registerAccess.writeVectorState(state);
  }

  /**
   * Fetches what the kernel knows of the signal that the thread stopped for.
   *
   * @param info where to
   */
  public void readSignalInfo(SignalInfo info) {
    signals.readInfo(info);
  }

  /**
   * Replaces the information on the signal that the thread stopped for; that signal, with it, is what
   * {@link #cont} delivers.
   *
   * @param info the new one
   */
  public void writeSignalInfo(SignalInfo info) {
    signals.writeInfo(info);
  }

  /**
   * Sends this thread a signal, as tgkill(2).
   *
   * @param signal number of the signal
   */
  public void send(int signal) {
    signals.send(signal);
  }

  /** {@return the signals that the thread blocks, bit n−1 for signal n} */
  public long signalMask() {
    return signals.mask();
  }

  /**
   * Sets the signals that the thread blocks.
   *
   * @param mask bit N - 1 for signal N
   */
  public void signalMask(long mask) {
    signals.mask(mask);
  }

  /**
   * {@return what the thread's ptrace event carries: the id of a new thread or process, the former id after
   * an exec}
   */
  public long eventMessage() {
    Scratch s = requests.scratch();
    requests.make(s, Ptrace.GETEVENTMSG, 0, s.word.address());
    return s.word.get(JAVA_LONG, 0);
  }

  /**
   * {@return true if a trap (int3 or single-step) or a fault of this thread waits to be reported}
   * PTRACE_EVENT_STOP overtakes it: get_signal() in kernel/signal.c takes jobctl traps before it takes queued
   * signals. A thread that is detached in that state dies of the SIGTRAP; one that a system call is made in
   * would report it in the middle.
   */
  public boolean hasPendingTrap() {
    return signals.hasPendingTrap();
  }

  /**
   * {@return true if the kernel may go on with the system call that this thread was stopped in by
   * restart_syscall(2), as it does with most that have a time-out (−ERESTART_RESTARTBLOCK)} The program never
   * makes that call itself, and a seccomp filter that was not made with stops in mind kills for it.
   *
   * @param registers the thread's, in the stop
   */
  public boolean mayRestart(Registers registers) {
    return Seccomp.mayRestart(this, registers);
  }

  /**
   * The restartable sequence that the thread is in, was in last or is about to enter, by what it has
   * registered with rseq(2). A stopped thread is looked at as it is now, one that runs as it was when
   * somebody last asked while it was stopped. The thread is in the sequence if its rip is.
   *
   * @return null if it names none, or the kernel would refuse the one it names
   */
  public @Nullable RestartableSequence restartableSequence() {
    if (stop() != null) {
      sequenceArea.lookUp();
    }
    return sequenceArea.sequence();
  }

  /**
   * {@return true if the thread was seen, by {@link #restartableSequence}, to have registered another
   * signature for abort handlers than {@link RestartableSequence#SIGNATURE}}
   */
  public boolean hasOwnSequenceSignature() {
    return sequenceArea.hasOwnSignature();
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
}
