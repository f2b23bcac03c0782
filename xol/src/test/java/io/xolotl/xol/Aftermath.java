package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessStatus;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What a process looked like before it was probed, to compare with afterwards. */
final class Aftermath {

  private static final int BYTES = 16;

  private final int pid;
  private final Map<Long, byte[]> text = new HashMap<>();

  private Aftermath(int pid) {
    this.pid = pid;
  }

  /** Remembers the text at some addresses of a process that is not probed yet. */
  static Aftermath expectedOf(int pid, List<Long> addresses) {
    var before = new Aftermath(pid);
    for (long address : addresses) {
      before.text.put(address, ProcFs.memory(pid, address, BYTES));
    }
    return before;
  }

  /** Asserts that the process lives on as if it had never been probed. */
  void assertNoTrace() throws IOException {
    assertThat(ProcFs.tracerPid(pid)).as("tracer of process %d", pid).isZero();
    assertTextRestored();
    // JITs map anonymous executable memory too, but writable or far larger than one block.
    assertThat(MemoryMapping.of(pid)).as("slots left behind")
        .noneMatch(m -> m.permissions().equals("r-xp") && m.path()
            .isEmpty() && m.size() == 64 << 10);
    for (int tid : ProcFs.threads(pid)) {
      // It may end at any moment, and has no tracer then either.
      Await.until(() -> {
        ProcessStatus status = ProcessStatus.of(tid);
        return status == null || status.tracer() == 0;
      }, () -> "thread " + tid + " is still traced");
    }
  }

  /** Asserts that no breakpoint is left. */
  void assertTextRestored() {
    text.forEach(
        (address, bytes) -> assertThat(ProcFs.memory(pid, address, BYTES)).as("text at 0x%x", address)
            .isEqualTo(bytes));
  }
}
