package io.xolotl.ptrace;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Code in a process by which one of its threads makes a system call for us, and finds back by itself if its
 * tracer dies before it could be put back.
 *
 * <p>A system call disturbs few registers, and neither flags nor stack nor vectors. So those few, the signal
 * mask and the place are behind the code, and it gives them back with instructions that change no flag and
 * use no stack. A frame for rt_sigreturn(2) would do the same with 3 to 12 KiB, and end what a thread sleeps
 * in: {@code restart_block} would be reset (restore_sigcontext() in arch/x86/kernel/signal_64.c).
 */
final class RemoteCode {

  /** Addresses count from the first byte. */
  private static final String LISTING = """
      0f 05                          syscall
      cc                             int3
      eb 02                          jmp 0x0000000000000007
      0f 05                          syscall
      b8 0e 00 00 00                 mov eax, 0x0E
      bf 02 00 00 00                 mov edi, 0x02
      48 8d 35 58 00 00 00           lea rsi, [0x0000000000000070]
      ba 00 00 00 00                 mov edx, 0x00
      41 ba 08 00 00 00              mov r10d, 0x08
      0f 05                          syscall
      48 8b 05 4c 00 00 00           mov rax, [0x0000000000000078]
      48 8b 0d 4d 00 00 00           mov rcx, [0x0000000000000080]
      48 8b 15 4e 00 00 00           mov rdx, [0x0000000000000088]
      48 8b 35 4f 00 00 00           mov rsi, [0x0000000000000090]
      48 8b 3d 50 00 00 00           mov rdi, [0x0000000000000098]
      4c 8b 05 51 00 00 00           mov r8, [0x00000000000000A0]
      4c 8b 0d 52 00 00 00           mov r9, [0x00000000000000A8]
      4c 8b 15 53 00 00 00           mov r10, [0x00000000000000B0]
      4c 8b 1d 54 00 00 00           mov r11, [0x00000000000000B8]
      ff 25 56 00 00 00              jmp [0x00000000000000C0]
      """;

  private static final byte[] CODE = HexFormat.of().parseHex(LISTING.lines()
      .map(line -> line.substring(0, 31).replace(" ", "")).collect(Collectors.joining()));

  /** The system call that is followed by a breakpoint, which only a handler of ours survives. */
  static final int WITH_TRAP = 0;
  /** The system call that is followed by the way back. */
  static final int WITHOUT_TRAP = 5;

  /** Mask, nine registers and rip, behind the code. */
  private static final int DATA = 0x70;
  /** All of it. It must begin at a multiple of eight, since a thread may have its accesses checked (AC). */
  static final int BYTES = DATA + 11 * Long.BYTES;

  // include/linux/errno.h: what an interrupted call has for a result until it is restarted.
  private static final int ERESTARTSYS = -512;
  private static final int ERESTARTNOINTR = -513;
  private static final int ERESTARTNOHAND = -514;
  private static final int ERESTART_RESTARTBLOCK = -516;
  private static final int SYSTEM_CALL_BYTES = 2;

  private RemoteCode() {}

  /** The lines of the listing: bytes and instruction. */
  static List<String> listing() {
    return LISTING.lines().toList();
  }

  /**
   * The code for one thread.
   *
   * @param saved its registers, of 64-bit code. A call that it was interrupted in is made again, as the
   *     kernel would do if it put the thread back
   * @param mask the signals that it blocks
   * @param restart the number of restart_syscall(2), or that of the call itself where it may not make that
   */
  static byte[] of(Registers saved, long mask, int restart) {
    long rip = saved.rip();
    long rax = saved.rax();
    int call = (int) saved.get(UserRegister.ORIG_RAX);
    if (call >= 0) {
      int again = switch ((int) rax) {
        case ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND -> call;
        case ERESTART_RESTARTBLOCK -> restart;
        default -> -1;
      };
      if (again >= 0) {
        rax = again;
        rip -= SYSTEM_CALL_BYTES;
      }
    }
    ByteBuffer image = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN).put(CODE).position(DATA);
    image.putLong(mask).putLong(rax);
    for (UserRegister register : List.of(UserRegister.RCX, UserRegister.RDX, UserRegister.RSI,
        UserRegister.RDI,
        UserRegister.R8, UserRegister.R9, UserRegister.R10, UserRegister.R11)) {
      image.putLong(saved.get(register));
    }
    return image.putLong(rip).array();
  }
}
