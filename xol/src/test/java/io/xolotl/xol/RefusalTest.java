package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.IFUNC;
import static io.xolotl.fixtures.FixtureProgram.INSNS;
import static io.xolotl.fixtures.FixtureProgram.SLEEPER;
import static io.xolotl.fixtures.FixtureProgram.ZOMBIE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.Refusal;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessStatus;
import io.xolotl.ptrace.TraceHandler;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.ProbeException.Reason;
import java.lang.reflect.Proxy;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/**
 * What is refused is refused with its reason and one sentence that says what to do, and the target is
 * unharmed.
 */
class RefusalTest {

  private static ProbeException refused(Reason reason, ThrowingCallable operation) {
    var caught = new ProbeException[1];
    assertThatThrownBy(operation).isInstanceOfSatisfying(ProbeException.class, e -> caught[0] = e);
    assertThat(caught[0].reason()).as(caught[0].getMessage()).isEqualTo(reason);
    assertThat(caught[0].getMessage()).doesNotContain("\n");
    return caught[0];
  }

  private static ProbeException refused(TargetProcess target, Reason reason, ProbeRequest request)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of());
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      return refused(reason, () -> process.register(request));
    } finally {
      before.assertNoTrace();
    }
  }

  private static ProbeRequest at(long address) {
    return ProbeRequest.at(address, hit -> {});
  }

  private static ProbeRequest at(String module, String symbol) {
    return ProbeRequest.at(module, symbol, hit -> {});
  }

  @Test
  void processesThatCannotBeTraced(@RunsFixture(ZOMBIE) TargetProcess zombie) throws Exception {
    assertThat(refused(Reason.NO_SUCH_PROCESS, () -> ProbedProcess.attach(4_194_300)))
        .hasMessageContaining("4194300");
    refused(Reason.NO_SUCH_PROCESS, () -> ProbedProcess.attach(0));
    refused(Reason.NO_SUCH_PROCESS, () -> ProbedProcess.attach(-1));
    refused(Reason.OWN_PROCESS, () -> ProbedProcess.attach((int) ProcessHandle.current().pid()));
    int dead = Integer.parseInt(zombie.awaitLine("zombie ").substring("zombie ".length()));
    refused(Reason.ZOMBIE, () -> ProbedProcess.attach(dead));
    Process child = new ProcessBuilder("sleep", "60").start();
    try {
      refused(Reason.CHILD_OF_THIS_JVM, () -> ProbedProcess.attach((int) child.pid()));
    } finally {
      child.destroyForcibly();
      assertThat(child.waitFor()).isEqualTo(128 + 9);
    }
  }

  @Test
  void aProcessThatIsTracedAlready(@RunsFixture(SLEEPER) TargetProcess target) {
    // Without handler: it is never stopped.
    TraceHandler nobody = (TraceHandler) Proxy.newProxyInstance(
        TraceHandler.class.getClassLoader(), new Class<?>[]{TraceHandler.class},
        (proxy, method, arguments) -> null);
    try (Tracer other = Tracer.start("other tracer")) {
      TracedProcess held = other.call(() -> TracedProcess.attach(other, target.pid(), _ -> nobody));
      ProcessStatus own = ProcessStatus.of((int) ProcessHandle.current().pid());
      assertThat(refused(Reason.ALREADY_TRACED, () -> ProbedProcess.attach(target.pid())))
          .hasMessageContaining("process " + own.tgid() + " (" + own.name() + ")");
      other.call(() -> {
        held.detach();
        return true;
      });
    }
    ProbedProcess.attach(target.pid()).close();
  }

  @Test
  void modulesAndSymbolsThatDoNotExist(@RunsFixture(SLEEPER) TargetProcess target) throws Exception {
    assertThat(refused(target, Reason.MODULE_NOT_FOUND, at("libc.so.7", "malloc")))
        .hasMessageContaining("libc.so.6");
    assertThat(refused(target, Reason.SYMBOL_NOT_FOUND, at("libc.so.6", "mallox")))
        .hasMessageContaining("malloc");
  }

  @Test
  void anIndirectFunctionThatNobodyHasResolved(@RunsFixture(IFUNC) TargetProcess target) throws Exception {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(at("ifunc", "chosen"));
      assertThat(process.describe(probe.address())).contains("chosen_");
    }
  }

  @Test
  void addressesThatHoldNoInstruction(@RunsFixture(INSNS) TargetProcess target) throws Exception {
    refused(target, Reason.ADDRESS_NOT_MAPPED, at(0x10));
    refused(target, Reason.ADDRESS_NOT_MAPPED, at(-1L));
    MemoryMapping stack = MemoryMapping.of(target.pid()).stream().filter(m -> m.path().equals("[stack]"))
        .findFirst()
        .orElseThrow();
    refused(target, Reason.NOT_EXECUTABLE, at(stack.start()));
    ProbeException middle = refused(target, Reason.NOT_AN_INSTRUCTION_BOUNDARY,
        at(target.address("site_mid")));
    assertThat(middle.address()).hasValue(target.address("site_mid"));
    assertThat(middle).hasMessageContaining("mov rax");
  }

  @Test
  void instructionsThatCannotBeDisplaced(@RunsFixture(INSNS) TargetProcess target) throws Exception {
    assertThat(refused(target, Reason.BREAKPOINT_EXISTS, at(target.address("site_int3_own"))).refusal())
        .contains(
            Refusal.BREAKPOINT_EXISTS);
    assertThat(refused(target, Reason.INSTRUCTION_REFUSED, at(target.address("site_hlt"))).refusal())
        .contains(
            Refusal.PRIVILEGED);
    assertThat(refused(target, Reason.INSTRUCTION_REFUSED, at(target.address("site_mov_rip_load")).under(
        RelocationPolicy.STRICT)).refusal()).contains(Refusal.RIP_RELATIVE_UNDER_STRICT);
    refused(target, Reason.TECHNIQUE_NOT_APPLICABLE,
        at(target.address("site_cpuid")).with(Technique.EMULATED));
  }

  /** The middle of an instruction in memory that no symbol describes: only the caller can know. */
  @Test
  void anAddressThatNoSymbolCovers(@RunsFixture(SLEEPER) TargetProcess target) throws Exception {
    MemoryMapping text = MemoryMapping.of(target.pid()).stream()
        .filter(m -> m.isExecutable() && m.path().endsWith("sleeper"))
        .findFirst().orElseThrow();
    // The first bytes of the executable segment are .init or the PLT; behind the last function there is only
    // padding.
    long address = text.end() - 1;
    refused(target, Reason.BOUNDARY_UNVERIFIED, at(address - 15));
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(at(address - 15).trustingBoundary());
      assertThat(probe.isActive()).isTrue();
    }
    // It would reach into the page behind, which is not mapped.
    assertThat(refused(target, Reason.INSTRUCTION_REFUSED, at(address).trustingBoundary()).refusal())
        .contains(
            Refusal.TRUNCATED);
  }

  @Test
  void programsThatCannotBeStarted() {
    assertThat(refused(Reason.LAUNCH_FAILED, () -> ProbedProcess.launch(LaunchRequest.of(List.of(
        "no-such-program-anywhere"))))).hasMessageContaining("no-such-program-anywhere");
    refused(Reason.LAUNCH_FAILED, () -> ProbedProcess.launch(LaunchRequest.of(List.of("/etc/passwd"))));
    refused(Reason.LAUNCH_FAILED, () -> ProbedProcess.launch(LaunchRequest.of(List.of("/tmp"))));
  }

  @Test
  void aClosedSession(@RunsFixture(SLEEPER) TargetProcess target) {
    ProbedProcess process = ProbedProcess.attach(target.pid());
    Probe probe = process.register(at("libc.so.6", "malloc"));
    process.close();
    process.close();
    probe.unregister();
    assertThat(process.end()).isCompletedWithValue(new ProcessEnd.Detached());
    refused(Reason.CLOSED, () -> process.register(at("libc.so.6", "malloc")));
  }
}
