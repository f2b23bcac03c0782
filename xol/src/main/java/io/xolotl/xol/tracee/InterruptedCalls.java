package io.xolotl.xol.tracee;

import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.ProcessStatus;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.code.TracerThread;

/**
 * System calls that return EINTR when a tracer stops their thread.
 *
 * <p>Most interrupted calls are restarted by the kernel (−ERESTART…), and the program notices nothing. Some
 * return EINTR for every wake-up, also where no signal handler runs; signal(7) lists them. The kernel has
 * consumed nothing in those cases, so the call is simply made again. A time-out of it starts anew. So are
 * calls made again that the kernel would restart by restart_syscall(2), where seccomp does not let the
 * program make that.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
public final class InterruptedCalls {

  private static final int EINTR = -4;
  private static final int ERESTART_RESTARTBLOCK = -516;

  private InterruptedCalls() {}

  private static boolean returnsEintr(int number, Registers registers) {
    return switch (Abi.of(registers)) {
      case X86_64 -> returnsEintr64(number);
      case I386 -> returnsEintr32(number, (int) registers.get(UserRegister.RBX));
    };
  }

  /** Numbers from arch/x86/entry/syscalls/syscall_64.tbl. */
  private static boolean returnsEintr64(int number) {
    return switch (number) {
      // read of an inotify descriptor, accept, recvfrom, recvmsg, semop, rt_sigtimedwait, io_getevents,
      // semtimedop, epoll_wait, epoll_pwait, accept4, recvmmsg, epoll_pwait2
      case 0, 43, 45, 47, 65, 128, 208, 220, 232, 281, 288, 299, 441 -> true;
      default -> false;
    };
  }

  /** Numbers from arch/x86/entry/syscalls/syscall_32.tbl, include/uapi/linux/net.h and ipc.h. */
  private static boolean returnsEintr32(int number, int firstArgument) {
    return switch (number) {
      // read, rt_sigtimedwait, io_getevents, epoll_wait, epoll_pwait, recvmmsg, accept4, recvfrom, recvmsg,
      // recvmmsg_time64, semtimedop_time64, rt_sigtimedwait_time64, epoll_pwait2
      case 3, 177, 247, 256, 319, 337, 364, 371, 372, 417, 420, 421, 441 -> true;
      // socketcall: accept, recv, recvfrom, recvmsg, accept4, recvmmsg
      case 102 -> switch (firstArgument) {
        case 5, 10, 12, 17, 18, 19 -> true;
        default -> false;
      };
      // ipc, with a version in the upper half: semop, semtimedop
      case 117 -> (firstArgument & 0xffff) == 1 || (firstArgument & 0xffff) == 4;
      default -> false;
    };
  }

  /**
   * Makes a thread that the engine has interrupted repeat its system call, if that is what the stop has
   * ended. Where a signal is about to be delivered it is that which the call returned for, and the program
   * learns of it.
   *
   * @param tracee a thread in PTRACE_EVENT_STOP, or in the trap of our step that follows it
   */
  public static void restart(Tracee tracee) {
    tracee.readRegisters();
    Registers registers = tracee.registers();
    // A system call of 32-bit code has 32 bits of number and result.
    int number = (int) registers.get(UserRegister.ORIG_RAX);
    boolean again = (int) registers.rax() == EINTR
        ? number >= 0 && returnsEintr(number, registers)
        : mustNotBeRestarted(tracee);
    if (!again) {
      return;
    }
    ProcessStatus status = ProcessStatus.of(tracee.thread().tid());
    if (status == null || (status.pendingSignals() & ~status.blockedSignals() & ~ownTrap(tracee)) != 0) {
      return;
    }
    makeAgain(tracee);
  }

  /**
   * The trap of our step over a displaced call is queued behind the call, however that ends
   * (report_single_step()).
   */
  private static long ownTrap(Tracee tracee) {
    return tracee.isInCopy() && tracee.detour().isStepped() ? 1L << Signals.SIGTRAP - 1 : 0;
  }

  /**
   * A signal that the program has no handler for is about to be delivered. If it is ignored it would have
   * woken nobody, were the thread not traced (sig_ignored() in kernel/signal.c), and the call would go on.
   */
  public static void beforeDelivery(Tracee tracee, int signal) {
    tracee.readRegisters();
    if (mustNotBeRestarted(tracee)) {
      ProcessStatus status = ProcessStatus.of(tracee.thread().tid());
      if (status != null && (status.caughtSignals() >>> signal - 1 & 1) == 0) {
        makeAgain(tracee);
      }
    }
  }

  private static boolean mustNotBeRestarted(Tracee tracee) {
    Registers registers = tracee.registers();
    return (int) registers.rax() == ERESTART_RESTARTBLOCK
        && (int) registers.get(UserRegister.ORIG_RAX) >= 0
        && !tracee.thread().mayRestart(registers);
  }

  private static void makeAgain(Tracee tracee) {
    Registers registers = tracee.registers();
    int number = (int) registers.get(UserRegister.ORIG_RAX);
    // syscall and int 0x80 have two bytes, and sysenter returns behind an int 0x80 in the vDSO; the kernel
    // rewinds restarted calls in the same way (arch_do_signal_or_restart).
    registers.rip(registers.rip() - 2);
    registers.rax(number);
    tracee.writeRegistersIfChanged();
  }
}
