package io.xolotl.xol;

import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.Register;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.SignalInfo;
import io.xolotl.ptrace.TracedThread;
import java.util.ArrayDeque;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What the engine knows of one thread of the target.
 *
 * <p>Owned by the tracer thread, except while {@link #phase} is HANDLING: then {@link #registers},
 * {@link #hit} and {@link #calls} belong to the handler, and pass to the executor's thread and back through
 * its queue and the tracer's.
 */
final class ThreadState {

  /** Where the thread is. */
  enum Phase {
    /** In the program's own code, or in the kernel on its behalf. */
    FREE,
    /** Stopped at a site; handlers run. */
    HANDLING,
    /** In a slot whose copy ends in a jump back, or out of it by now: the next stop tells. */
    BOOSTED,
    /** In a slot, under the trap flag. */
    STEPPING,
    /** In a slot, running towards the breakpoint behind the copy. */
    TRAPPING
  }

  /** More handlers of the program than that are not in one another. */
  private static final int MAX_POSTPONED = 16;

  private static final Set<Register> REGISTERS_32 = EnumSet.of(Register.RAX, Register.RBX, Register.RCX,
      Register.RDX, Register.RSI, Register.RDI, Register.RBP, Register.RSP, Register.RIP, Register.RFLAGS);

  private final TracedThread traced;
  private final Registers registers = new Registers();
  final SignalInfo signal = new SignalInfo();
  final ProbeHit hit;

  /** Handlers of its hits on the executor. */
  final UserCode task = new UserCode(false);

  /**
   * The probe whose handler for this thread's hit is handed to the executor and has not returned; else null.
   * Written by the tracer thread before, and by the executor's behind it; read by those who wait.
   */
  volatile @Nullable Probe handedOver;

  Phase phase = Phase.FREE;

  /**
   * The site that was hit, from the hit until the displaced instruction is executed; it is pinned meanwhile.
   */
  @Nullable
  Site site;

  /** The program's value of the scratch register, while the thread is in a slot that uses one. */
  long savedScratch;

  /** The program has set the trap flag for the displaced instruction itself, and gets its trap. */
  boolean stepsItself;

  /** Signals that arrived while the thread was in a slot, oldest first; null if none did. */
  @Nullable
  ArrayDeque<SignalInfo> held;

  /** Signals whose origin must be put back when they are delivered: see {@link Signalling}. */
  @Nullable
  ArrayDeque<SignalInfo> requeued;

  /**
   * Registers with which the thread was at a system call, its handlers done, when a signal was delivered in
   * front of it: the latest last. When a handler of the program returns the thread is there again, and goes
   * on with that same hit.
   */
  private final ArrayDeque<Registers> postponed = new ArrayDeque<>();

  /** The engine has asked this thread to stop. */
  boolean interrupted;

  /**
   * The registers of this thread, which is stopped for a trap of the engine, are as the program must find
   * them.
   */
  boolean settled;

  /** What a thread that is {@link #settled} is resumed with, or 0. */
  int due;

  /** The thread is gone. */
  boolean ended;

  /** Calls of functions with return probes that have not returned, by the stack pointer at their entry. */
  final Map<ReturnProbe, Map<Long, ReturnProbe.Call>> calls = new HashMap<>();

  /** The probes of this hit and which of them is next. */
  Probe[] chain = {};
  int next;

  ThreadState(Engine engine, TracedThread traced) {
    this.traced = traced;
    hit = new ProbeHit(engine, this);
  }

  TracedThread traced() {
    return traced;
  }

  Registers registers() {
    return registers;
  }

  /** In a slot; if it was boosted, that was true when it last ran: see {@link Sites#noteStop}. */
  boolean isInSlot() {
    return phase == Phase.BOOSTED || phase == Phase.STEPPING || phase == Phase.TRAPPING;
  }

  /**
   * Lets a thread run that is done with the trap it is stopped for; where that fails it is done with it all
   * the same.
   */
  void resume(int signal) {
    settled = true;
    due = signal;
    traced.cont(signal);
    settled = false;
    due = 0;
  }

  /**
   * Notes that the thread, with these registers, has not executed the system call of a hit that is handled.
   */
  void postpone() {
    if (postponed.size() == MAX_POSTPONED) {
      // Handlers of the program that were left by siglongjmp(3).
      postponed.removeFirst();
    }
    var copy = new Registers();
    copy.copyFrom(registers);
    copy.set(Register.ORIG_RAX, -1);
    postponed.add(copy);
  }

  /**
   * Returns true, once, if the thread has come back to a system call that was
   * {@linkplain #postpone postponed}.
   */
  boolean comesBack() {
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

  void readRegisters() {
    traced.readRegisters(registers);
  }

  void writeRegistersIfChanged() {
    if (registers.isChanged()) {
      traced.writeRegisters(registers);
    }
  }
}
