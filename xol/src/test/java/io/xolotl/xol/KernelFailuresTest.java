package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Instructions that the kernel's uprobes (Linux 6.18) refuse, or execute with another result than in place.
 * Each is probed in a program that checks its result; {@link InstructionsTest} also forces each technique on
 * them.
 */
class KernelFailuresTest {

  private static final String PREFIX = "site_kernel_";

  @ParameterizedTest
  @ValueSource(strings = {"vpor", "vpsubsb", "vcmpps", "vfnmadd132ss", "vpxor", "lock", "notrack_jmp",
      "cs_nop",
      "tls_call", "pushf_popf", "fork"})
  void hasItsResult(String instruction) {
    try (TargetProcess target = TargetProcess.start(FixtureProgram.INSNS, "50", "kernel_" + instruction);
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(ProbeRequest.at(target.address(PREFIX + instruction), hit -> {}));
      target.send("go");
      target.awaitOk();
      boolean skipped = target.output().contains("kernel_" + instruction + " skipped");
      assertThat(probe.hits()).isEqualTo(skipped ? 0 : 50);
    }
  }

  /** {@code rcx} behind a system call, and the flags that pushf pushes. */
  @ParameterizedTest
  @ValueSource(strings = {"syscall", "pushf"})
  void showsNothingOfTheProbe(String instruction) {
    try (TargetProcess target = TargetProcess.start(FixtureProgram.INSNS, "50", instruction);
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(ProbeRequest.at(target.address("site_" + instruction), hit -> {}));
      target.send("go");
      target.awaitOk();
      assertThat(probe.hits()).isEqualTo(50);
    }
  }

  @Test
  void allOfThemAreTested() {
    Set<String> sites = FixtureProgram.INSNS.symbols().keySet().stream()
        .filter(name -> name.startsWith(PREFIX))
        .map(name -> name.substring(PREFIX.length())).collect(Collectors.toSet());
    assertThat(sites).containsExactlyInAnyOrder("vpor", "vpsubsb", "vcmpps", "vfnmadd132ss", "vpxor", "lock",
        "notrack_jmp", "cs_nop", "tls_call", "pushf_popf", "fork");
  }
}
