package io.xolotl.xol.displacement;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;

/** What is special about displaced system calls. */
@TracerThread
public final class SystemCalls {

  private static final long TF = 0x100;
  private static final int SYS_CLONE3 = 435;
  private static final int CLONE_VFORK = 0x4000;

  private SystemCalls() {}

  /**
   * Returns true if an instruction has its thread wait for a child in wait_for_vfork_done() (kernel/fork.c),
   * where it cannot be stopped.
   */
  static boolean createsByVfork(Effect effect, Tracee tracee) {
    if (!(effect instanceof Effect.SystemCall)) {
      return false;
    }
    Registers registers = tracee.registers();
    Abi abi = Abi.of(registers);
    boolean longMode = abi == Abi.X86_64;
    long argument = longMode
        ? registers.get(UserRegister.RDI)
        : registers.get(UserRegister.RBX) & 0xffff_ffffL;
    int number = (int) registers.rax();
    if (number == SYS_CLONE3) {
      // struct clone_args begins with the flags.
      byte[] flags = new byte[2];
      return tracee.memory().tryRead(argument, flags, 0, flags.length) == flags.length
          && (flags[1] & CLONE_VFORK >> 8) != 0;
    }
    // arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl
    return number == (longMode ? 58 : 190)
        || number == (longMode ? 56 : 120) && (argument & CLONE_VFORK) != 0;
  }

  /**
   * By the definition of syscall, rcx is the address behind it and r11 the flags, of which TF may be the
   * tracer's.
   */
  static void finish(Effect effect, DecodedInstruction instruction, Registers registers,
      boolean keepTrapFlag) {
    if (!(effect instanceof Effect.SystemCall(Effect.SystemCall.Kind kind))
        || kind != Effect.SystemCall.Kind.SYSCALL) {
      return;
    }
    registers.set(UserRegister.RCX, instruction.nextAddress());
    if (!keepTrapFlag) {
      registers.set(UserRegister.R11, registers.get(UserRegister.R11) & ~TF);
    }
  }
}
