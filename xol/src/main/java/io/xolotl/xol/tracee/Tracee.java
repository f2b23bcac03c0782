package io.xolotl.xol.tracee;

import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import java.util.ArrayDeque;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One thread of the target: where it is, what it pins there, and what it must be given when it goes on.
 *
 * <pre>
 *   FREE ── pin ──► HANDLING ── enter ──► IN_COPY
 *    ▲                 │                     │ (divert: in the copy by another detour)
 *    └──── release ────┴────── release ──────┘
 * </pre>
 *
 * <p>Nobody else changes phase, pin and detour. Owned by the tracer thread, except while the phase is
 * HANDLING: then {@link #registers} belong to the handler, and pass to the executor's thread and back through
 * its queue and the tracer's.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
public final class Tracee {

  private enum Phase {
    /** In the program's own code, or in the kernel on its behalf. */
    FREE,
    /** Stopped at a site; handlers run. */
    HANDLING,
    /** In a copy, or out of it by now if that {@link Detour#endsUnseen ends unseen}. */
    IN_COPY
  }

  private static final long TF = 0x100;

  /** More handlers of the program than that are not in one another. */
  private static final int MAX_POSTPONED = 16;

  /** No signal has this number. */
  private static final int NOT_SETTLED = -1;

  private static final Set<UserRegister> REGISTERS_32 = EnumSet.of(UserRegister.RAX, UserRegister.RBX,
      UserRegister.RCX,
      UserRegister.RDX, UserRegister.RSI, UserRegister.RDI, UserRegister.RBP, UserRegister.RSP,
      UserRegister.RIP, UserRegister.RFLAGS);

  private final TracedThread thread;
  private final Registers registers = new Registers();
  private final SignalInfo signal = new SignalInfo();
  private final HeldSignals heldSignals;

  private Phase phase = Phase.FREE;
  /** Pinned from the hit until the displaced instruction is executed; null if that needs no slot. */
  private @Nullable Lease lease;
  private @Nullable Detour detour;

  /** The program's value of the scratch register, while the thread is in a copy that uses one. */
  private long savedScratch;
  /** The program has set the trap flag for the displaced instruction itself, and gets its trap. */
  private boolean stepsItself;

  /**
   * Registers with which the thread was at a system call, its handlers done, when a signal was delivered in
   * front of it: the latest last. When a handler of the program returns the thread is there again, and goes
   * on with that same hit.
   */
  private final ArrayDeque<Registers> postponed = new ArrayDeque<>();

  /** We have asked this thread to stop. */
  private boolean interrupted;
  private int resumeWith = NOT_SETTLED;
  private boolean ended;

  public Tracee(TracedThread thread) {
    this.thread = thread;
    heldSignals = new HeldSignals(thread);
  }

  public TracedThread thread() {
    return thread;
  }

  /** The thread's own: a borrower keeps the memory that its creator leaves by exec or ends with. */
  public ProcessMemory memory() {
    return thread.process().memory();
  }

  public Registers registers() {
    return registers;
  }

  public void readRegisters() {
    thread.readRegisters(registers);
  }

  public void writeRegistersIfChanged() {
    if (registers.isChanged()) {
      thread.writeRegisters(registers);
    }
  }

  /** What the thread has stopped for, when it was read last. */
  public SignalInfo signal() {
    return signal;
  }

  public void readSignal() {
    thread.readSignalInfo(signal);
  }

  public void writeSignal() {
    thread.writeSignalInfo(signal);
  }

  /**
   * Returns true if the signal that was read last reports what the thread did, and stands for the instruction
   * at rip.
   */
  public boolean isFault(int number) {
    return signal.isFault() && Signals.isRaisedByInstruction(number);
  }

  public HeldSignals heldSignals() {
    return heldSignals;
  }

  // Phase, pin and detour.

  /**
   * The thread has arrived at a displaced instruction: from now on it may get into the slot.
   *
   * @param slot that of the instruction, or null if it needs none
   */
  public void pin(@Nullable Lease slot) {
    if (phase != Phase.FREE) {
      throw new IllegalStateException(thread + " is at an instruction already");
    }
    if (slot != null) {
      slot.pin();
    }
    lease = slot;
    phase = Phase.HANDLING;
  }

  /** Writes the registers, by which the thread gets into a copy. Where that fails it is not there. */
  public void enter(Detour copy) {
    thread.writeRegisters(registers);
    detour = copy;
    phase = Phase.IN_COPY;
  }

  /** The thread goes on in its copy by another detour, of the same copy. */
  public void divert(Detour instead) {
    detour = instead;
  }

  /** The thread is done with the instruction, and out of the copy if it was in one. Idempotent. */
  public void release() {
    Lease slot = lease;
    lease = null;
    detour = null;
    phase = Phase.FREE;
    if (slot != null) {
      slot.unpin();
    }
  }

  public boolean isHandling() {
    return phase == Phase.HANDLING;
  }

  /** In a copy; if that ends unseen, this was true when the thread last ran. */
  public boolean isInCopy() {
    return phase == Phase.IN_COPY;
  }

  /** The way through the copy; only while the thread is in one. */
  public Detour detour() {
    return Objects.requireNonNull(detour, "the thread is in no copy");
  }

  /** The thread has stopped, and not for a breakpoint: it may be out of its copy. */
  public void leaveIfOutside() {
    if (isInCopy() && detour().leaveIfThrough(this)) {
      release();
    }
  }

  /**
   * The thread has stopped for a breakpoint. A copy that ends unseen has none, so the thread is out of it.
   */
  public void leaveAtBreakpoint() {
    if (isInCopy() && detour().endsUnseen()) {
      release();
    }
  }

  /** Brings a stopped thread out of its copy, if it is in one. */
  public void leaveCopy() {
    if (isInCopy()) {
      readRegisters();
      detour().leave(this);
    }
  }

  public void saveScratch(long value) {
    savedScratch = value;
  }

  public long savedScratch() {
    return savedScratch;
  }

  /** Takes the program's own trap flag from the registers, before the displaced instruction is executed. */
  public void noteTrapFlag() {
    stepsItself = (registers.rflags() & TF) != 0;
  }

  public boolean stepsItself() {
    return stepsItself;
  }

  // Going on.

  /**
   * Lets a thread run that is done with the trap it is stopped for; where that fails it is done all the same.
   */
  public void resume(int with) {
    settle(with);
    thread.cont(with);
    resumeWith = NOT_SETTLED;
  }

  /**
   * Lets a thread go on that is stopped for a trap of ours behind the displaced instruction, with its
   * registers written: with the program's own trap if it steps itself, or else with the first signal that was
   * held. A system call does not trap under a trap flag of the program's (entry_SYSCALL_64 returns to user
   * mode by iret then, and the next instruction traps).
   */
  public void resumeBehind(boolean systemCall) {
    if (stepsItself && !systemCall) {
      heldSignals.requeueAll();
      signal.singleStep(registers.rip());
      writeSignal();
      resume(Signals.SIGTRAP);
    } else {
      resume(heldSignals.takeFirst());
    }
  }

  /** The registers of this thread, which is stopped for a trap of ours, are as the program must find them. */
  public void settle(int with) {
    resumeWith = with;
  }

  public boolean isSettled() {
    return resumeWith != NOT_SETTLED;
  }

  /** What a thread that is settled is resumed with: the number of a signal, or 0. */
  public int resumeWith() {
    return resumeWith;
  }

  public void interrupted(boolean byUs) {
    interrupted = byUs;
  }

  public boolean isInterrupted() {
    return interrupted;
  }

  /** The thread is gone, or must be treated so: what its handlers have made of its registers is dropped. */
  public void end() {
    ended = true;
  }

  public boolean hasEnded() {
    return ended;
  }

  // System calls that a signal was delivered in front of.

  /**
   * Notes that the thread, with these registers, has not executed the system call of a hit that is handled.
   */
  public void postpone() {
    if (postponed.size() == MAX_POSTPONED) {
      // Handlers of the program that were left by siglongjmp(3).
      postponed.removeFirst();
    }
    var copy = new Registers();
    copy.copyFrom(registers);
    copy.set(UserRegister.ORIG_RAX, -1);
    postponed.add(copy);
  }

  /**
   * Returns true, once, if the thread has come back to a system call that was
   * {@linkplain #postpone postponed}.
   */
  public boolean resumesPostponedHit() {
    if (postponed.isEmpty()) {
      return false;
    }
    if (postponed.stream().anyMatch(this::isHere)) {
      // What was postponed since, in handlers of the program, is given up.
      while (!isHere(postponed.removeLast())) {
        continue;
      }
      return true;
    }
    // Here in the same frame, but by another way: siglongjmp(3), or a handler that changed what it returned
    // to.
    postponed.removeIf(each -> each.rip() == registers.rip() && each.rsp() == registers.rsp());
    return false;
  }

  /** Of 32-bit code rt_sigreturn keeps the lower halves of eight registers, and may change null selectors. */
  private boolean isHere(Registers then) {
    return Abi.of(registers) == Abi.X86_64
        ? registers.equals(then)
        : REGISTERS_32.stream()
            .allMatch(register -> (int) registers.get(register) == (int) then.get(register));
  }

  @Override
  public String toString() {
    return thread.toString();
  }
}
