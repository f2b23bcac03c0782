package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.I386;
import static io.xolotl.fixtures.FixtureProgram.SLEEPER;
import static io.xolotl.fixtures.FixtureProgram.STATIC;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.xol.ProbeException.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Code that returns from signal handlers keeps its bytes, wherever it is and whatever symbols it has. */
class SignalTrampolinesTest {

  private static final String RESTORE_RT = "48c7c00f0000000f05";
  private static final String I386_SIGRETURN = "58b877000000cd80";
  private static final String I386_RT_SIGRETURN = "b8ad000000cd80";

  /** Where bytes are in the executable memory of a module. */
  private static List<Long> find(ProbedProcess process, String module, String hex) {
    byte[] wanted = HexFormat.of().parseHex(hex);
    var found = new ArrayList<Long>();
    for (MemoryMapping mapping : process.mappings()) {
      if (mapping.isExecutable() && mapping.path().endsWith(module)) {
        byte[] text = process.memory().read(mapping.start(), (int) mapping.size());
        for (int i = 0; i + wanted.length <= text.length; i++) {
          if (Arrays.equals(text, i, i + wanted.length, wanted, 0, wanted.length)) {
            found.add(mapping.start() + i);
          }
        }
      }
    }
    return found;
  }

  private static void assertKept(ProbedProcess process, long start, int length) {
    for (long address = start; address < start + length; address++) {
      ProbeRequest request = ProbeRequest.at(address, hit -> {}).trustingBoundary();
      long end = start + length;
      assertThatThrownBy(() -> process.register(request)).isInstanceOfSatisfying(ProbeException.class, e -> {
        // A byte in the middle may be no instruction at all.
        assertThat(e.reason()).as(e.getMessage()).isEqualTo(Reason.SIGNAL_TRAMPOLINE);
        assertThat(e.address()).hasValue(request.location() instanceof ProbeLocation.Address(long a) ? a : 0);
        assertThat(e).hasMessageContaining("0x" + Long.toHexString(start))
            .hasMessageContaining("0x" + Long.toHexString(end)).hasMessageContaining("signal handlers");
      });
    }
    assertThat(process.probes()).isEmpty();
  }

  @Test
  void ofTheSharedCLibrary(@RunsFixture(SLEEPER) TargetProcess target) throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of());
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      List<Long> found = find(process, "libc.so.6", RESTORE_RT);
      assertThat(found).isNotEmpty();
      found.forEach(address -> assertKept(process, address, RESTORE_RT.length() / 2));
      // What is in front and behind is other code.
      process.register(ProbeRequest.at("libc.so.6", "raise", hit -> {})).unregister();
    }
    before.assertNoTrace();
  }

  @Test
  void ofAStaticProgram(@RunsFixture(value = STATIC, args = {"1", "1"}) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      List<Long> found = find(process, "/static", RESTORE_RT);
      assertThat(found).isNotEmpty();
      found.forEach(address -> assertKept(process, address, RESTORE_RT.length() / 2));
    }
  }

  @Test
  void ofTheVdso(@RunsFixture(value = I386, args = "forever") TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      List<Long> sigreturn = find(process, "[vdso]", I386_SIGRETURN);
      List<Long> rtSigreturn = find(process, "[vdso]", I386_RT_SIGRETURN);
      assumeTrue(!sigreturn.isEmpty() && !rtSigreturn.isEmpty(), "this kernel's vDSO for i386 has none");
      sigreturn.forEach(address -> assertKept(process, address, I386_SIGRETURN.length() / 2));
      rtSigreturn.forEach(address -> assertKept(process, address, I386_RT_SIGRETURN.length() / 2));
      for (String symbol : List.of("__kernel_sigreturn", "__kernel_rt_sigreturn")) {
        assertThatThrownBy(() -> process.register(ProbeRequest.at("[vdso]", symbol, hit -> {})))
            .isInstanceOfSatisfying(ProbeException.class,
                e -> assertThat(e.reason()).isEqualTo(Reason.SIGNAL_TRAMPOLINE));
      }
    }
  }
}
