package io.xolotl.xol;

import io.xolotl.ptrace.ProcessStatus;
import io.xolotl.ptrace.Register;
import io.xolotl.ptrace.Registers;

/**
 * System calls that return EINTR when a tracer stops their thread.
 *
 * <p>Most interrupted calls are restarted by the kernel (−ERESTART…), and the program notices nothing. Some return EINTR
 * for every wake-up, also where no signal handler runs; signal(7) lists them. The kernel has consumed nothing in those
 * cases, so the call is simply made again. A time-out of it starts anew.
 */
final class InterruptedCalls {

  private static final long EINTR = -4;

  private InterruptedCalls() {}

  /** Numbers from arch/x86/entry/syscalls/syscall_64.tbl. */
  private static boolean returnsEintr(long number) {
    return switch ((int) number) {
      // read of an inotify descriptor, accept, recvfrom, recvmsg, semop, rt_sigtimedwait, io_getevents, semtimedop,
      // epoll_wait, epoll_pwait, accept4, recvmmsg, epoll_pwait2
      case 0, 43, 45, 47, 65, 128, 208, 220, 232, 281, 288, 299, 441 -> true;
      default -> false;
    };
  }

  /**
   * Makes a thread that the engine has interrupted repeat its system call, if that is what the stop has ended. Where a
   * signal is about to be delivered it is that which the call returned for, and the program learns of it.
   *
   * @param state of a thread in PTRACE_EVENT_STOP
   */
  static void restart(ThreadState state) {
    state.readRegisters();
    Registers registers = state.registers();
    long number = registers.get(Register.ORIG_RAX);
    if (registers.rax() != EINTR || number < 0 || !returnsEintr(number)) {
      return;
    }
    ProcessStatus status = ProcessStatus.of(state.traced().tid());
    if (status == null || (status.pendingSignals() & ~status.blockedSignals()) != 0) {
      return;
    }
    // syscall has two bytes; the kernel rewinds restarted calls in the same way (arch_do_signal_or_restart).
    registers.rip(registers.rip() - 2);
    registers.rax(number);
    state.writeRegistersIfChanged();
  }
}
