package io.xolotl.xol.program;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import java.util.ArrayList;
import java.util.List;

/**
 * Where a C library asks the kernel for the action of a signal, and sets it: {@code mov eax, 13} in front of
 * {@code syscall}, as glibc and musl are compiled. The bytes tell, since the function has no symbol in a
 * stripped library; code of another kind with the same bytes in it is none that a C library has.
 */
public final class ActionCalls {

  private static final byte[] CALL = {(byte) 0xb8, 13, 0, 0, 0, 0x0f, 0x05};
  private static final int SYSTEM_CALL = 5;
  /** Larger than the text of any C library, in bytes. */
  private static final long MOST_TEXT = 16 << 20;

  private ActionCalls() {}

  /**
   * Looks for them.
   *
   * @param text reads the program's text without breakpoints
   * @param mappings of the process
   * @return the addresses of the system call instructions; empty if the process has no C library that is a
   *     file of its own, or has not mapped it yet
   */
  public static List<Long> of(ProcessMemory text, List<MemoryMapping> mappings) {
    var calls = new ArrayList<Long>();
    for (MemoryMapping mapping : mappings) {
      if (mapping.isExecutable() && mapping.size() <= MOST_TEXT && isCLibrary(mapping.path())) {
        byte[] code = text.readText(mapping.start(), (int) mapping.size());
        for (int i = 0; i + CALL.length <= code.length; i++) {
          if (code[i] == CALL[0] && matches(code, i)) {
            calls.add(mapping.start() + i + SYSTEM_CALL);
          }
        }
      }
    }
    return calls;
  }

  private static boolean matches(byte[] code, int start) {
    for (int i = 1; i < CALL.length; i++) {
      if (code[start + i] != CALL[i]) {
        return false;
      }
    }
    return true;
  }

  private static boolean isCLibrary(String path) {
    String name = path.substring(path.lastIndexOf('/') + 1);
    return name.startsWith("libc.so") || name.startsWith("libc-") || name.startsWith("libc.musl")
        || name.startsWith("ld-musl");
  }
}
