package io.xolotl.xol.site;

import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.xol.site.SiteException.Reason;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * The code that returns from signal handlers: {@code __restore_rt} of C libraries, {@code runtime.sigreturn}
 * of Go, {@code __kernel_sigreturn} and {@code __kernel_rt_sigreturn} of the vDSO. Debuggers and unwinders,
 * those of the program's own exceptions among them, recognise a signal frame by these bytes, whatever symbols
 * there are: x86_64_fallback_frame_state and x86_fallback_frame_state in libgcc/config/i386/linux-unwind.h,
 * gdb/amd64-linux-tdep.c and gdb/i386-linux-tdep.c.
 */
final class SignalTrampolines {

  private static final List<byte[]> OF_X86_64 = List.of(
      // mov $15, %rax; syscall
      HexFormat.of().parseHex("48c7c00f0000000f05"));

  private static final List<byte[]> OF_I386 = List.of(
      // pop %eax; mov $119, %eax; int $0x80
      HexFormat.of().parseHex("58b877000000cd80"),
      // mov $173, %eax; int $0x80
      HexFormat.of().parseHex("b8ad000000cd80"));

  private SignalTrampolines() {}

  /**
   * Refuses what is in one.
   *
   * @param code what is at the address, without our breakpoints
   * @throws SiteException with {@link Reason#SIGNAL_TRAMPOLINE}
   */
  static void check(Abi abi, long address, byte[] code, ProcessMemory memory) {
    for (byte[] trampoline : switch (abi) {
      case X86_64 -> OF_X86_64;
      case I386 -> OF_I386;
    }) {
      for (int offset = 0; offset < trampoline.length; offset++) {
        int rest = trampoline.length - offset;
        if (code.length >= rest
            && Arrays.equals(code, 0, rest, trampoline, offset, trampoline.length)
            && Arrays.equals(memory.readText(address - offset, offset), 0, offset, trampoline, 0, offset)) {
          throw new SiteException(Reason.SIGNAL_TRAMPOLINE, address, SiteException.hex(address)
              + " is in the code from 0x" + Long.toHexString(address - offset) + " to 0x"
              + Long.toHexString(address + rest)
              + " that returns from signal handlers, which debuggers and unwinders know by its bytes;"
              + " probe the handler instead");
        }
      }
    }
  }
}
