package io.xolotl.xol.tracee;

import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.ProcessStatus;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.TracerThread;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The program's own handler for SIGTRAP, which breakpoints take from it. Tracer thread only.
 *
 * <p>When a thread traps while it blocks SIGTRAP, as it does in that very handler, the kernel unblocks the
 * signal and resets its action to the default (force_sig_info_to_task() in kernel/signal.c): the program's
 * next trap of its own would kill it. So the handler is known while the program has one, and put back behind
 * each of our traps that has cost it, together with the bit in the thread's mask.
 *
 * <p>It is looked for when probes are registered and whenever the program is about to get a SIGTRAP. A
 * program that removes its handler after that, or installs one and traps of ours come with SIGTRAP blocked
 * before it ever gets one, is not noticed. Neither can the handler of a process that has entered a sandbox
 * since (seccomp(2)) be put back, which is said then.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
public final class TrapAction {

  private static final int SIGSET_BYTES = 8;
  private static final long SIG_IGN = 1;
  private static final long TRAP = 1L << Signals.SIGTRAP - 1;

  /** The kernel's {@code struct sigaction}: handler, flags and restorer, a word each, and the mask, 8. */
  private static final int BYTES = 32;

  /**
   * Below the stack pointer, behind the red zone of 128 bytes: where a signal frame would be written, too.
   */
  private static final int BELOW_STACK = 256;

  private final TracedProcess process;
  private final ProcessMemory memory;

  private static final System.Logger LOGGER = System.getLogger("io.xolotl.xol.ProbedProcess");

  /** The action with the handler, or null if there is none. */
  private byte @Nullable [] action;

  public TrapAction(TracedProcess process) {
    this.process = process;
    memory = process.memory();
  }

  private int rtSigaction() {
    return switch (process.abi()) {
      case X86_64 -> 13;
      case I386 -> 174;
    };
  }

  /** Returns true if the program has a handler that is not known. */
  public boolean hasUnknownHandler() {
    return action == null && isInstalled();
  }

  private boolean isInstalled() {
    ProcessStatus status = ProcessStatus.of(process.pid());
    return status != null && (status.caughtSignals() & TRAP) != 0;
  }

  /**
   * Gets to know the handler.
   *
   * @param thread stopped on its way to user mode
   * @throws PtraceException SECCOMP if the thread may not tell; another may
   */
  public void learn(TracedThread thread) {
    onStack(thread, new byte[BYTES], struct -> {
      if (thread.systemCall(rtSigaction(), Signals.SIGTRAP, 0, struct, SIGSET_BYTES) == 0) {
        byte[] current = memory.read(struct, BYTES);
        ByteBuffer fields = ByteBuffer.wrap(current).order(ByteOrder.LITTLE_ENDIAN);
        long handler = process.abi() == Abi.I386 ? fields.getInt(0) : fields.getLong(0);
        action = handler == 0 || handler == SIG_IGN ? null : current;
      }
    });
  }

  /** The program is about to get a SIGTRAP. */
  public void beforeDelivery(TracedThread thread) {
    if (isInstalled()) {
      try {
        learn(thread);
      } catch (PtraceException e) {
        if (e.reason() != PtraceException.Reason.SECCOMP) {
          throw e;
        }
        // What was known before will do, or the handler cannot be put back should a trap of ours cost it.
      }
    } else {
      restore(thread, 0);
    }
  }

  /** A thread has stopped for a trap of ours: puts the handler back if that has cost it. */
  public void afterTrap(TracedThread thread) {
    if (action != null && !isInstalled()) {
      // Only a trap that was blocked costs a handler.
      restore(thread, TRAP);
    }
  }

  private void restore(TracedThread thread, long blocked) {
    byte[] known = action;
    if (known == null) {
      return;
    }
    try {
      onStack(thread, known,
          struct -> thread.systemCall(rtSigaction(), Signals.SIGTRAP, struct, 0, SIGSET_BYTES));
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.SECCOMP) {
        throw e;
      }
      action = null;
      LOGGER.log(System.Logger.Level.WARNING,
          "process " + process.pid() + " has lost its handler for SIGTRAP, because it hit a breakpoint with "
              + "SIGTRAP blocked, and the handler cannot be restored: " + e.getMessage());
    }
    thread.signalMask(thread.signalMask() | blocked);
  }

  /** Forgets what it knows: the process has executed another program, whose handlers are the default. */
  public void forget() {
    action = null;
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
