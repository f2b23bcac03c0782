package io.xolotl.ptrace;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * The system call by which a thread creates another thread or a process. What was asked for decides whose the
 * new one's memory is, and whether its creator can be stopped meanwhile, and no event tells it: clone with
 * CLONE_VM and SIGCHLD is announced as a fork, and one without CLONE_THREAD as PTRACE_EVENT_CLONE.
 *
 * <p>So the flags are read where the call has them: clone(2) in its first argument, clone3(2) in memory;
 * fork(2) and vfork(2) have none.
 *
 * <p>Immutable; made on the tracer thread.
 *
 * @param flags of clone(2)
 */
record CloneCall(long flags) {

  private static final int SYS_CLONE3 = 435;
  private static final long CLONE_VM = 0x100;
  private static final long CLONE_VFORK = 0x4000;
  private static final long CLONE_THREAD = 0x10000;

  /** The call that a thread is in, which is in PTRACE_EVENT_CLONE, _FORK or _VFORK. */
  static CloneCall announced(TracedThread thread, WaitStatus.Event event) {
    var registers = new Registers();
    thread.readRegisters(registers);
    Abi caller = Abi.of(registers);
    long argument = caller.firstArgument(registers);
    int number = (int) registers.get(UserRegister.ORIG_RAX);
    if (number == caller.cloneNumber()) {
      return new CloneCall(argument);
    }
    if (number == SYS_CLONE3) {
      try {
        // struct clone_args, the same for both, begins with the flags.
        return new CloneCall(thread.process().memory().readLong(argument));
      } catch (PtraceException unmapped) {
        // Another thread has unmapped them since; the event's usual meaning then.
      }
    }
    return new CloneCall(switch (event) {
      case CLONE -> CLONE_VM | CLONE_THREAD;
      case FORK -> 0;
      case VFORK -> CLONE_VM;
    });
  }

  boolean createsThread() {
    return (flags & CLONE_THREAD) != 0;
  }

  boolean sharesMemory() {
    return (flags & CLONE_VM) != 0;
  }

  /**
   * Returns true if a thread waits for its child of vfork to execute a program or end: wait_for_vfork_done()
   * in kernel/fork.c.
   */
  static boolean waitsForChild(TracedThread thread) {
    ProcessStatus status = ProcessStatus.of(thread.tid());
    if (status == null || !status.isUninterruptible()) {
      return false;
    }
    TracedProcess process = thread.process();
    // With CLONE_PARENT it is none of its children.
    String call = Libc.readFile(process.tracer().scratch(), "/proc/" + thread.tid() + "/syscall");
    if (call.isEmpty()) {
      // This JVM may not know: the process has made itself undumpable.
      return childrenOf(thread).stream().anyMatch(process::sharesMemoryWith);
    }
    // "running", or the number and the arguments.
    String[] fields = call.split(" ");
    return fields.length > 1
        && isVfork(process, Integer.parseInt(fields[0]), Long.parseUnsignedLong(fields[1].substring(2), 16));
  }

  private static boolean isVfork(TracedProcess process, int number, long argument) {
    return switch (number) {
      case SYS_CLONE3 -> {
        try {
          yield (process.memory().readLong(argument) & CLONE_VFORK) != 0;
        } catch (PtraceException unmapped) {
          // Another thread has unmapped it since.
          yield true;
        }
      }
      default -> {
        Abi abi = process.abi();
        yield number == abi.vforkNumber() || number == abi.cloneNumber() && (argument & CLONE_VFORK) != 0;
      }
    };
  }

  private static List<Integer> childrenOf(TracedThread thread) {
    try {
      String list = Files
          .readString(Path.of("/proc/" + thread.process().pid() + "/task/" + thread.tid() + "/children"));
      return Stream.of(list.split(" ")).filter(child -> !child.isBlank()).map(Integer::valueOf).toList();
    } catch (IOException e) {
      // The thread has ended, and its children are another thread's now; or the kernel has no such file.
      return List.of();
    }
  }
}
