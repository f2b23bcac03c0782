package io.xolotl.xol.tracee;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.ProcessStatus;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.code.TrapTable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What the process does for a SIGTRAP: by a handler of ours ({@link OrphanHandler}), which hands on to the
 * program's own; or by the program's alone, where ours cannot be had.
 *
 * <p>When a thread traps while it blocks SIGTRAP, as it does in the program's own handler and for moments in
 * many a function of a C library, the kernel unblocks the signal and resets its action to the default
 * (force_sig_info_to_task() in kernel/signal.c): the next trap that nobody traces would kill the process. So
 * what was set is put back behind each of our traps that has cost it, together with the bit in the thread's
 * mask, before the thread goes on.
 *
 * <p>The program's own action is looked at when the first probes are registered. Where it is a handler, the
 * calls of the C library by which the program could ask for it or set another are executed here
 * ({@link #answers}); an action that it sets by a system call of its own takes the place of ours. A process
 * that has entered a sandbox since (seccomp(2)) cannot be given anything back, which is said.
 *
 * <p>Tracer thread only.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
public final class TrapAction {

  private static final System.Logger LOGGER = System.getLogger("io.xolotl.xol.ProbedProcess");

  private static final int SIGSET_BYTES = 8;
  private static final int RT_SIGACTION = 13;
  private static final long EFAULT = -14;
  private static final long SIG_DFL = 0;
  private static final long SIG_IGN = 1;
  private static final long TRAP = 1L << Signals.SIGTRAP - 1;
  private static final long UNBLOCKABLE = 1L << Signals.SIGKILL - 1 | 1L << Signals.SIGSTOP - 1;
  /** As the kernel reads a mask back that has them all. */
  private static final long ALL_SIGNALS = ~UNBLOCKABLE;

  // uapi/asm/signal.h
  private static final long SA_SIGINFO = 4;
  private static final long SA_RESTORER = 0x0400_0000;
  private static final long SA_ONSTACK = 0x0800_0000;
  private static final long SA_RESTART = 0x1000_0000;
  private static final long SA_NODEFER = 0x4000_0000;
  private static final long SA_RESETHAND = 0x8000_0000L;

  /** The kernel's {@code struct sigaction}: handler, flags and restorer, a word each, and the mask, 8. */
  private static final int BYTES = 32;

  /**
   * Below the stack pointer, behind the red zone of 128 bytes: where a signal frame would be written, too.
   */
  private static final int BELOW_STACK = 256;

  private final TracedProcess process;
  private final ProcessMemory memory;
  private final TrapTable table;
  private final OrphanHandler orphans;

  /** What the kernel must have; null if nothing of the program's or ours could be lost. */
  private byte @Nullable [] required;
  /** What the program has set, while ours is in its place. */
  private byte @Nullable [] replaced;
  /** The process has its own action again. */
  private boolean givenBack;

  public TrapAction(TracedProcess process, TrapTable table) {
    this.process = process;
    this.table = table;
    memory = process.memory();
    orphans = new OrphanHandler(process, table);
  }

  private int rtSigaction() {
    return switch (process.abi()) {
      case X86_64 -> RT_SIGACTION;
      case I386 -> 174;
    };
  }

  private static ByteBuffer fields(byte[] action) {
    return ByteBuffer.wrap(action).order(ByteOrder.LITTLE_ENDIAN);
  }

  private long handlerOf(byte[] action) {
    return process.abi() == Abi.I386 ? fields(action).getInt(0) : fields(action).getLong(0);
  }

  private boolean hasHandler(byte[] action) {
    return handlerOf(action) != SIG_DFL && handlerOf(action) != SIG_IGN;
  }

  private boolean isCaught() {
    ProcessStatus status = ProcessStatus.of(process.pid());
    return status != null && (status.caughtSignals() & TRAP) != 0;
  }

  // Ours.

  /** Returns true if the process has our handler. */
  public boolean isInstalled() {
    return replaced != null;
  }

  /**
   * Gives the process our handler.
   *
   * @param thread stopped on its way to user mode
   * @return why it cannot have one; null if it has
   * @throws PtraceException SECCOMP if the thread may not; another may
   */
  public @Nullable String install(TracedThread thread) {
    if (process.abi() != Abi.X86_64) {
      return "it executes a 32-bit program";
    }
    try {
      if (!table.isMapped()) {
        table.map(thread);
      }
      if (!orphans.isMapped()) {
        orphans.map(thread);
      }
    } catch (OrphanHandler.NoRoomException e) {
      return "it has no room for another " + TrapTable.BLOCK_BYTES / 1024 + " KiB of memory";
    }
    byte[] current = exchange(thread, null);
    replace(thread, current, current);
    return null;
  }

  /**
   * Puts our handler in front of the program's action. Another thread may set that meanwhile.
   *
   * @param expected what the kernel has
   */
  private void replace(TracedThread thread, byte[] programs, byte[] expected) {
    byte[] current = programs;
    byte[] there = expected;
    while (true) {
      orphans.handOnTo(handlerOf(current), blockedBy(current));
      byte[] ours = inFrontOf(current);
      byte[] former = exchange(thread, ours);
      replaced = current;
      required = ours;
      orphans.handlesTraps(true);
      if (Arrays.equals(former, there)) {
        return;
      }
      current = former;
      there = ours;
    }
  }

  /** What the program's handler has blocked while it runs. */
  private static long blockedBy(byte[] programs) {
    long mask = fields(programs).getLong(24);
    return (fields(programs).getLong(8) & SA_NODEFER) != 0 ? mask : mask | TRAP;
  }

  /** The program's handler expects the stack and the way back that it has asked for. */
  private byte[] inFrontOf(byte[] programs) {
    boolean handler = hasHandler(programs);
    long flags = fields(programs).getLong(8);
    boolean restorer = handler && (flags & SA_RESTORER) != 0;
    byte[] ours = new byte[BYTES];
    fields(ours).putLong(orphans.address())
        .putLong((handler ? flags & ~SA_RESETHAND : SA_ONSTACK | SA_RESTART) | SA_SIGINFO | SA_RESTORER)
        .putLong(restorer ? fields(programs).getLong(16) : orphans.restorer())
        .putLong(ALL_SIGNALS);
    return ours;
  }

  /** Returns true if the process has our handler in front of one of the program's own. */
  public boolean isInFrontOfHandler() {
    byte[] programs = replaced;
    return programs != null && hasHandler(programs);
  }

  /** Makes room for entries of the table. */
  public void makeRoom(TracedThread thread, int more) {
    boolean mapped = table.isMapped();
    TrapTable.Former former = table.grow(more);
    if (mapped) {
      table.map(thread);
      orphans.useTable();
      process.unmap(thread, former.address(), former.bytes());
    }
  }

  /**
   * Gives the program its own action back, in the process or in one that runs in its memory or has copies of
   * it.
   *
   * @throws PtraceException SECCOMP if the thread may not; another may
   */
  public void uninstall(TracedThread thread) {
    byte[] programs = replaced;
    byte[] ours = required;
    if (programs == null || ours == null) {
      return;
    }
    TracedProcess target = thread.process();
    if (target == process && givenBack) {
      return;
    }
    if (target.mappings().stream().noneMatch(mapping -> mapping.contains(table.lent()))) {
      // A child that was forked before.
      return;
    }
    if (target == process) {
      orphans.handlesTraps(false);
    }
    byte[] former = exchange(thread, programs);
    if (!Arrays.equals(former, ours)) {
      // The program has set another since, or the child has lost ours before it was forked.
      exchange(thread, former);
    }
  }

  /**
   * The same for the process itself, which is not probed any more.
   *
   * @throws PtraceException SECCOMP if the thread may not; another may
   */
  public void giveBack(TracedThread thread) {
    if (!givenBack) {
      uninstall(thread);
      givenBack = true;
    }
  }

  /** Takes the memory away that nothing leads to any more. */
  public void unmap(TracedThread thread, List<MemoryMapping> mappings) {
    orphans.unmap(thread, mappings);
    table.unmap(thread, mappings);
  }

  /** Forgets what it knows: the memory is gone, and the action is the default, or the program's own. */
  public void forget() {
    required = null;
    replaced = null;
    givenBack = false;
    orphans.clear();
    table.clear();
  }

  // The program's, where ours cannot be had.

  /** Returns true if the program has a handler that is not known. */
  public boolean hasUnknownHandler() {
    return required == null && isCaught();
  }

  /**
   * Gets to know the program's action: from now on it is put back where a trap of ours has cost it.
   *
   * @param thread stopped on its way to user mode
   * @throws PtraceException SECCOMP if the thread may not tell; another may
   */
  public void learn(TracedThread thread) {
    if (isInstalled()) {
      byte[] current = exchange(thread, null);
      if (!Arrays.equals(current, required)) {
        replace(thread, current, current);
      }
      return;
    }
    onStack(thread, new byte[BYTES], struct -> {
      if (thread.systemCall(rtSigaction(), Signals.SIGTRAP, 0, struct, SIGSET_BYTES) == 0) {
        byte[] current = memory.read(struct, BYTES);
        required = hasHandler(current) ? current : null;
      }
    });
  }

  // The program asks for its action, or sets it.

  /**
   * Executes a system call that is about the action for SIGTRAP, as the kernel would if ours were not there.
   *
   * @param tracee stopped in front of a system call
   * @param call its instruction
   * @return false if it is another call, or one that the kernel can execute as well
   */
  public boolean answers(Tracee tracee, DecodedInstruction call) {
    Registers registers = tracee.registers();
    if (replaced == null || givenBack || Abi.of(registers) != Abi.X86_64 || registers.rax() != RT_SIGACTION
        || (int) registers.argument(0) != Signals.SIGTRAP
        || registers.get(UserRegister.R10) != SIGSET_BYTES) {
      return false;
    }
    registers.rax(exchangeForProgram(tracee, registers.argument(1), registers.argument(2)));
    registers.set(UserRegister.RCX, call.nextAddress());
    registers.set(UserRegister.R11, registers.rflags());
    registers.rip(call.nextAddress());
    tracee.writeRegistersIfChanged();
    return true;
  }

  private long exchangeForProgram(Tracee tracee, long act, long oldAct) {
    byte[] fresh = new byte[BYTES];
    if (act != 0 && tracee.memory().tryRead(act, fresh, 0, BYTES) != BYTES) {
      return EFAULT;
    }
    byte[] former = programsIn(tracee.thread());
    if (act != 0) {
      fields(fresh).putLong(24, fields(fresh).getLong(24) & ~UNBLOCKABLE);
      if (tracee.thread().process() == process) {
        replace(tracee.thread(), fresh, exchange(tracee.thread(), null));
      } else {
        // It has actions of its own, and what hands on is shared with the process.
        exchange(tracee.thread(), fresh);
      }
    }
    if (oldAct != 0) {
      try {
        tracee.memory().write(oldAct, former);
      } catch (PtraceException e) {
        if (e.reason() != PtraceException.Reason.MEMORY_INACCESSIBLE) {
          throw e;
        }
        return EFAULT;
      }
    }
    return 0;
  }

  /** What the program has set in a process that runs in the memory. */
  private byte[] programsIn(TracedThread thread) {
    byte[] current = exchange(thread, null);
    byte[] known = replaced;
    return known != null && Arrays.equals(current, required) ? known : current;
  }

  // At a trap.

  /**
   * The program is about to get a SIGTRAP.
   *
   * @param fault whether the kernel has raised it
   */
  public void beforeDelivery(TracedThread thread, boolean fault) {
    if (!isCaught()) {
      if (!isInstalled()) {
        restore(thread, 0);
      }
      // Or else the kernel has reset it for this very trap, which kills as it would have without us.
      return;
    }
    if (givenBack) {
      return;
    }
    byte[] programs = replaced;
    if (programs != null && hasHandler(programs) && (fields(programs).getLong(8) & SA_RESETHAND) == 0) {
      // No call is made in a thread that is about to get the program's own signal, which would be lost with
      // this JVM.
      return;
    }
    try {
      learn(thread);
      programs = replaced;
      if (programs != null && (!hasHandler(programs) && (fault || handlerOf(programs) == SIG_DFL)
          || (fields(programs).getLong(8) & SA_RESETHAND) != 0)) {
        // The kernel does what only it can do.
        exchange(thread, programs);
        required = null;
        replaced = null;
        orphans.handlesTraps(false);
      }
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.SECCOMP) {
        throw e;
      }
      // What was known before will do, or the handler cannot be put back should a trap of ours cost it.
    }
  }

  /** A thread has stopped for a trap of ours: puts back what that has cost. */
  public void afterTrap(TracedThread thread) {
    if (required != null && !givenBack && mayHaveBlockedTraps(thread) && !isCaught()) {
      restore(thread, TRAP);
    }
  }

  /**
   * The kernel has unblocked SIGTRAP at the trap, and nothing tells that it was blocked but that it was
   * rarely blocked alone: that is so in a handler of the program's for it.
   */
  private boolean mayHaveBlockedTraps(TracedThread thread) {
    byte[] programs = replaced;
    return programs == null || hasHandler(programs) || thread.signalMask() != 0;
  }

  private void restore(TracedThread thread, long blocked) {
    byte[] known = required;
    if (known == null) {
      return;
    }
    try {
      if (isInstalled()) {
        exchange(thread, known);
      } else {
        onStack(thread, known,
            struct -> thread.systemCall(rtSigaction(), Signals.SIGTRAP, struct, 0, SIGSET_BYTES));
      }
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.SECCOMP) {
        throw e;
      }
      required = null;
      LOGGER.log(System.Logger.Level.WARNING,
          "process " + process.pid() + " has lost its handler for SIGTRAP, because it hit a breakpoint with "
              + "SIGTRAP blocked, and the handler cannot be restored: " + e.getMessage());
    }
    thread.signalMask(thread.signalMask() | blocked);
  }

  /**
   * Sets the action of a process that has the table.
   *
   * @param action null to ask only
   * @return what it was
   */
  private byte[] exchange(TracedThread thread, byte @Nullable [] action) {
    long lent = table.lent();
    ProcessMemory there = thread.process().memory();
    if (action != null) {
      there.write(lent, action);
    }
    long result = thread.systemCall(rtSigaction(), Signals.SIGTRAP, action == null ? 0 : lent, lent + BYTES,
        SIGSET_BYTES);
    if (result != 0) {
      // The memory is there, and the signal's number is valid: nothing else is asked for.
      throw new IllegalStateException("rt_sigaction in " + thread + " failed with errno " + -result);
    }
    return there.read(lent + BYTES, BYTES);
  }

  /** Lends a system call memory of the thread's stack. */
  private void onStack(TracedThread thread, byte[] content, LongConsumer call) {
    var registers = new Registers();
    thread.readRegisters(registers);
    long struct = registers.rsp() - BELOW_STACK & -16;
    try {
      byte[] before = memory.read(struct, BYTES);
      memory.write(struct, content);
      try {
        call.accept(struct);
      } finally {
        memory.write(struct, before);
      }
    } catch (PtraceException e) {
      switch (e.reason()) {
        case MEMORY_INACCESSIBLE -> {
          // The thread has no stack there; it cannot take a signal on it either.
        }
        case REMOTE_CALL_FAILED -> {
          // The program takes its own system calls, and the kernel, before Linux 6.4, does not let us suspend
          // that.
        }
        default -> throw e;
      }
    }
  }
}
