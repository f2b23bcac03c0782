package io.xolotl.xol.tracee;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.code.TrapTable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A handler for SIGTRAP in the process, of machine code, for the time when its tracer was killed: breakpoints
 * are in memory still, and nobody else knows what to do about them. While a tracer lives it sees only what is
 * the program's own, and hands it on.
 *
 * <p>It leads a thread that has executed a breakpoint of ours to relocated code ({@link TrapTable}). It calls
 * nothing of the program's, needs no stack but its frame's, and is the same for any number of threads at
 * once.
 *
 * <p>Tracer thread only.
 */
@TracerThread
final class OrphanHandler {

  /**
   * The handler: rdi is the signal, rsi its siginfo_t, rdx the ucontext_t, whose gregs begin at 40: rip is at
   * 168, the flags are at 176 (struct sigcontext in uapi/asm/sigcontext.h). Addresses count from its first
   * byte. It may use every register that sigreturn restores, but must hand rdi, rsi, rdx and rsp on. All
   * signals are blocked in it: another handler in between would hit breakpoints with SIGTRAP blocked, which
   * kills.
   */
  private static final String LISTING = """
      48 8b 82 a8 00 00 00           mov rax, [rdx+0xA8]                       ; rip
      8b 4e 08                       mov ecx, [rsi+0x08]                       ; si_code
      81 f9 80 00 00 00              cmp ecx, 0x80                             ; SI_KERNEL: an int3
      75 58                          jnz 0x000000000000006A
      4c 8d 40 ff                    lea r8, [rax-0x01]
      e8 23 01 00 00                 call 0x000000000000013E
      4d 85 d2                       test r10, r10
      74 2b                          jz 0x000000000000004B                     ; never a breakpoint of ours
      4d 8b 4a 08                    mov r9, [r10+0x08]                        ; the way on
      80 78 ff cc                    cmp byte ptr [rax-0x01], 0xCC
      75 19                          jnz 0x0000000000000043
      4d 85 c9                       test r9, r9
      74 67                          jz 0x0000000000000096                     ; the program's own
      4c 89 8a a8 00 00 00           mov [rdx+0xA8], r9
      4c 8b 05 53 01 00 00           mov r8, [0x0000000000000190]
      f0 49 ff 40 08                 lock inc [r8+0x08]                        ; nobody is told of it
      c3                             ret
      48 ff 8a a8 00 00 00           dec [rdx+0xA8]                            ; 43: taken out since
      c3                             ret
      49 89 c0                       mov r8, rax                               ; 4b: moved to a breakpoint?
      e8 eb 00 00 00                 call 0x000000000000013E
      4d 85 d2                       test r10, r10
      75 11                          jnz 0x0000000000000069
      49 89 c0                       mov r8, rax                               ; in a block of ours?
      66 45 31 c0                    xor r8w, r8w
      e8 da 00 00 00                 call 0x000000000000013E
      4d 85 d2                       test r10, r10
      74 2d                          jz 0x0000000000000096
      c3                             ret                                       ; 69: by a tracer, dead now
      83 e9 01                       sub ecx, 0x01                             ; 6a
      83 f9 01                       cmp ecx, 0x01                             ; TRAP_BRKPT, TRAP_TRACE
      77 24                          jnbe 0x0000000000000096
      49 89 c0                       mov r8, rax
      66 45 31 c0                    xor r8w, r8w
      e8 c0 00 00 00                 call 0x000000000000013E
      4d 85 d2                       test r10, r10
      75 0a                          jnz 0x000000000000008D                    ; a step through a copy of ours
      48 83 3d fd 00 00 00 01        cmp qword ptr [0x0000000000000188], 0x01
      77 09                          jnbe 0x0000000000000096                   ; the program may step itself
      0f ba b2 b0 00 00 00 08        btr dword ptr [rdx+0xB0], 0x08            ; 8d: TF
      c3                             ret
      48 8b 05 eb 00 00 00           mov rax, [0x0000000000000188]             ; 96: not ours
      48 83 f8 01                    cmp rax, 0x01
      77 09                          jnbe 0x00000000000000AC
      72 38                          jb 0x00000000000000DD
      83 7e 08 00                    cmp dword ptr [rsi+0x08], 0x00            ; SIG_IGN
      7f 32                          jnle 0x00000000000000DD                   ; not what the kernel raises
      c3                             ret
      57                             push rdi                                  ; ac: the program's handler
      56                             push rsi
      52                             push rdx
      50                             push rax
      48 8b 8a 28 01 00 00           mov rcx, [rdx+0x128]                      ; the mask of the thread
      48 0b 0d da 00 00 00           or rcx, [0x0000000000000198]
      51                             push rcx
      bf 02 00 00 00                 mov edi, 0x02
      48 89 e6                       mov rsi, rsp
      31 d2                          xor edx, edx
      41 ba 08 00 00 00              mov r10d, 0x08
      b8 0e 00 00 00                 mov eax, 0x0E                             ; rt_sigprocmask
      0f 05                          syscall
      59                             pop rcx
      58                             pop rax
      5a                             pop rdx
      5e                             pop rsi
      5f                             pop rdi
      ff e0                          jmp rax                                   ; in the same frame
      48 83 ec 28                    sub rsp, 0x28                             ; dd: SIG_DFL, and once more
      48 c7 04 24 00 00 00 00        mov qword ptr [rsp], 0x00
      48 c7 44 24 08 00 00 00 00     mov qword ptr [rsp+0x08], 0x00
      48 c7 44 24 10 00 00 00 00     mov qword ptr [rsp+0x10], 0x00
      48 c7 44 24 18 00 00 00 00     mov qword ptr [rsp+0x18], 0x00
      bf 05 00 00 00                 mov edi, 0x05
      48 89 e6                       mov rsi, rsp
      31 d2                          xor edx, edx
      41 ba 08 00 00 00              mov r10d, 0x08
      b8 0d 00 00 00                 mov eax, 0x0D                             ; rt_sigaction
      0f 05                          syscall
      b8 27 00 00 00                 mov eax, 0x27                             ; getpid
      0f 05                          syscall
      89 c7                          mov edi, eax
      b8 ba 00 00 00                 mov eax, 0xBA                             ; gettid
      0f 05                          syscall
      89 c6                          mov esi, eax
      ba 05 00 00 00                 mov edx, 0x05
      b8 ea 00 00 00                 mov eax, 0xEA                             ; tgkill; sigreturn unblocks
      0f 05                          syscall
      48 83 c4 28                    add rsp, 0x28
      c3                             ret
      4c 8b 1d 4b 00 00 00           mov r11, [0x0000000000000190]             ; 13e: r10 = entry of r8
      49 ba 15 7c 4a 7f b9 79 37 9e  mov r10, 0x9E3779B97F4A7C15
      4d 0f af d0                    imul r10, r8
      49 c1 ea 20                    shr r10, 0x20
      4d 23 13                       and r10, [r11]                            ; 157
      4d 89 d1                       mov r9, r10
      49 c1 e1 04                    shl r9, 0x04
      4f 8d 4c 0b 10                 lea r9, [r11+r9*1+0x10]
      4d 39 01                       cmp [r9], r8
      74 0b                          jz 0x0000000000000176
      49 83 39 00                    cmp qword ptr [r9], 0x00
      74 09                          jz 0x000000000000017A
      49 ff c2                       inc r10
      eb e1                          jmp 0x0000000000000157
      4d 89 ca                       mov r10, r9                               ; 176
      c3                             ret
      45 31 d2                       xor r10d, r10d                            ; 17a
      c3                             ret
      b8 0f 00 00 00                 mov eax, 0x0F                             ; 17e: rt_sigreturn
      0f 05                          syscall
      """;

  private static final byte[] CODE = HexFormat.of().parseHex(LISTING.lines()
      .map(line -> line.substring(0, 31).replace(" ", "")).collect(Collectors.joining()));

  private static final int RESTORER = 0x17e;
  /** Behind the code: the program's own handler, 0 (SIG_DFL) or 1 (SIG_IGN). */
  private static final int OLD = 0x188;
  /** The address of the table. */
  private static final int TABLE = 0x190;
  /** What the program's handler has blocked besides what its thread blocks. */
  private static final int MASK = 0x198;

  /** Where system calls are made from. */
  private static final int REMOTE_CODE = 0x200;

  private static final int BYTES = TrapTable.BLOCK_BYTES;
  private static final int PROT_READ_EXEC = 1 | 4;

  private final TracedProcess process;
  private final TrapTable table;
  /** Where it is in the process; 0 if it is not there. */
  private long address;

  OrphanHandler(TracedProcess process, TrapTable table) {
    this.process = process;
    this.table = table;
  }

  /** The lines of the listing: bytes, instruction, and perhaps a comment. */
  static List<String> listing() {
    return LISTING.lines().toList();
  }

  boolean isMapped() {
    return address != 0;
  }

  /** Its first instruction. */
  long address() {
    return address;
  }

  /** Code that returns from a signal handler. */
  long restorer() {
    return address + RESTORER;
  }

  /** Writes it into the process, where nothing leads to it yet. */
  void map(TracedThread thread) {
    long near = process.mappings().getFirst().start();
    long fresh = process.mapNear(thread, near, Long.MAX_VALUE >> 1, BYTES, BYTES, PROT_READ_EXEC);
    if (fresh == 0) {
      throw new NoRoomException();
    }
    byte[] code = new byte[MASK + Long.BYTES];
    System.arraycopy(CODE, 0, code, 0, CODE.length);
    process.memory().writeText(fresh, code);
    address = fresh;
    useTable();
    table.put(address, address);
    process.remoteCode(address + REMOTE_CODE, false);
  }

  /** There is no unmapped memory of the size of a block. */
  static final class NoRoomException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  /** The table is somewhere else from now on. */
  void useTable() {
    write(TABLE, table.address());
  }

  /**
   * Whom it hands a trap to that is not ours.
   *
   * @param handler an address, 0 (SIG_DFL) or 1 (SIG_IGN)
   * @param mask the signals that are blocked meanwhile
   */
  void handOnTo(long handler, long mask) {
    write(MASK, mask);
    write(OLD, handler);
  }

  private void write(int offset, long value) {
    process.memory().writeText(address + offset,
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
  }

  /** Takes it out of a process that nothing leads to it in, or of a child that may have a copy. */
  void unmap(TracedThread thread, List<MemoryMapping> mappings) {
    if (address != 0 && mappings.stream().anyMatch(mapping -> mapping.contains(address))) {
      if (thread.process() == process) {
        // The call must not return to memory that it has unmapped.
        process.remoteCode(0, false);
      }
      thread.process().unmap(thread, address, BYTES);
    }
  }

  /**
   * Says whether a thread that executes a breakpoint in here goes on behind it when nobody traces it.
   *
   * @param handled whether it is the process's handler
   */
  void handlesTraps(boolean handled) {
    process.remoteCode(address + REMOTE_CODE, handled);
  }

  /** The memory is gone. */
  void clear() {
    process.remoteCode(0, false);
    address = 0;
  }
}
