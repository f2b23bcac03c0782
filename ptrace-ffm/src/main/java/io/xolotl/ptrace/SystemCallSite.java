package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.util.ArrayList;
import java.util.Comparator;

/**
 * Where in a process a system call can be made for us. A thread is brought to such an instruction, and it
 * must be one that the program leaves as it is and that no breakpoint is in.
 *
 * <p>Whoever has one of his own in the process says so; otherwise it is looked for once a program, first in
 * the vDSO, which every process has that has one at all.
 *
 * <p>Tracer thread only.
 */
final class SystemCallSite {

  /** How much of the executable memory of one mapping is searched, in bytes. */
  private static final int MOST_TEXT = 64 << 20;

  private final TracedProcess process;
  /** Address of the instruction, or 0 to search. */
  private long address;

  SystemCallSite(TracedProcess process) {
    this.process = process;
  }

  /** Sets the instruction to be used, or 0 to search. */
  void set(long instruction) {
    address = instruction;
  }

  /** Address of a {@linkplain Abi#systemCall system call instruction} of the process. */
  long get() {
    if (address == 0) {
      address = find();
    }
    return address;
  }

  /** Looks for an instruction, whichever is used. */
  long find() {
    var executable = new ArrayList<MemoryMapping>(process.mappings());
    executable.removeIf(m -> !m.isExecutable() || m.path().equals("[vsyscall]"));
    executable.sort(Comparator.comparing(m -> !m.path().equals("[vdso]")));
    byte[] wanted = process.abi().systemCall();
    for (MemoryMapping mapping : executable) {
      byte[] text = process.memory().readText(mapping.start(), (int) Math.min(mapping.size(), MOST_TEXT));
      for (int i = 0; i + 1 < text.length; i++) {
        if (text[i] == wanted[0] && text[i + 1] == wanted[1]) {
          return mapping.start() + i;
        }
      }
    }
    throw new PtraceException(Reason.REMOTE_CALL_FAILED,
        process + " has no system call instruction in its executable memory");
  }
}
