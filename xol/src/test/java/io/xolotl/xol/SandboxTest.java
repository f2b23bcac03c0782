package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.xol.ProbeException.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Programs that enter a sandbox (seccomp), before they are probed or meanwhile: no call of ours ever kills
 * one.
 */
class SandboxTest {

  private static final int MUNMAP = 11;

  private static void done(TargetProcess target, String command) {
    target.send(command);
    target.awaitLine("done");
  }

  /** The process runs on as if it had never been probed, but for the slots, and ends by itself. */
  private static void assertUnharmed(TargetProcess target, Aftermath before, boolean keepsSlots)
      throws IOException {
    if (keepsSlots) {
      assertThat(ProcFs.mappings(target.pid())).anyMatch(SandboxTest::isSlots);
      assertThat(ProcFs.tracerPid(target.pid())).isZero();
      before.assertTextRestored();
    } else {
      before.assertNoTrace();
    }
    done(target, "work");
    target.send("exit");
    assertThat(target.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
  }

  private static boolean isSlots(String mapping) {
    return mapping.contains(" r-xp 00000000 00:00 0");
  }

  private static Aftermath before(TargetProcess target) {
    return Aftermath.expectedOf(target.pid(),
        List.of(target.address("work"), target.address("work_rip_load")));
  }

  private static Probe probe(ProbedProcess process, String symbol) {
    return process.register(ProbeRequest.at("sandbox", symbol, hit -> {}));
  }

  private static void assertRefused(ProbedProcess process, ProbeRequest request, String why) {
    assertThatThrownBy(() -> process.register(request)).isInstanceOfSatisfying(ProbeException.class, e -> {
      assertThat(e.reason()).isEqualTo(Reason.SECCOMP);
      assertThat(e).hasMessageMatching("[^\\n]*").hasMessageContaining(Long.toString(process.pid()))
          .hasMessageContaining(why);
    });
  }

  @Test
  void strictModeBeforeItIsProbed(@RunsFixture(FixtureProgram.SANDBOX) TargetProcess target)
      throws IOException {
    Aftermath before = before(target);
    done(target, "strict");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe emulated = probe(process, "work_push");
      assertThat(emulated.technique()).isEqualTo(Technique.EMULATED);
      assertRefused(process, ProbeRequest.at("sandbox", "work_add_mem", hit -> {}),
          "strict mode, which would kill it; probes on instructions that are emulated need none");
      done(target, "work");
      assertThat(emulated.hits()).isEqualTo(10);
    }
    assertUnharmed(target, before, false);
  }

  /** Where the CPU must execute what is emulated else, and there is no memory for it: the original does. */
  @Test
  void emulatedInstructionThatGrowsTheStack(@RunsFixture(FixtureProgram.SANDBOX) TargetProcess target)
      throws Exception {
    Aftermath before = before(target);
    done(target, "edge");
    done(target, "strict");
    var failure = new CompletableFuture<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((probe, thrown) -> failure.complete(thrown)))) {
      Probe push = probe(process, "work_push");
      Probe ret = probe(process, "work_ret");
      done(target, "work");
      done(target, "edge");
      assertThat(push.hits()).isEqualTo(11);
      assertThat(failure.get()).isInstanceOfSatisfying(ProbeException.class,
          e -> assertThat(e.reason()).isEqualTo(Reason.SECCOMP)).hasMessageContaining("the probe is removed");
      done(target, "edge");
      assertThat(push.hits()).isEqualTo(11);
      assertThat(ret.hits()).isEqualTo(12);
    }
    assertUnharmed(target, before, false);
  }

  /**
   * Everything in a container is under a filter that nobody there can read: all is as it is outside. What a
   * program adds makes it another matter.
   */
  @Test
  void containerKeepsEveryTechnique() throws Exception {
    Process jvm = new ProcessBuilder(FixtureProgram.SANDBOX.path().toString(), "execute", "filter allow 39",
        Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData", "--enable-native-access=ALL-UNNAMED", "-cp", ChildJvm.classPath(),
        ConfinedJvm.class.getName()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      List<String> lines = jvm.inputReader().lines().toList();
      assertThat(lines).containsExactly("EMULATED 10", "BOOSTED 10", "TRAPPED 10", "SINGLE_STEPPED 10",
          "slots 0",
          "SECCOMP", "Exited[status=0] 1");
      assertThat(jvm.waitFor()).isZero();
    } finally {
      jvm.destroyForcibly();
    }
  }

  /** With slots in use; what needs no new memory can even be registered later. */
  @ParameterizedTest
  @ValueSource(strings = {"strict", "filter kill 11", "filter trap 11", "filter errno 11", "tsync kill 11"})
  void entersItsSandboxWhileProbed(String sandbox, @RunsFixture(FixtureProgram.SANDBOX) TargetProcess target)
      throws IOException {
    Aftermath before = before(target);
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe emulated = probe(process, "work_push");
      Probe boosted = probe(process, "work_add_mem");
      assertThat(boosted.technique()).isEqualTo(Technique.BOOSTED);
      done(target, "work");
      done(target, sandbox);
      done(target, "work");
      Probe later = probe(process, "work_rip_load");
      if (sandbox.equals("strict")) {
        assertRefused(process, ProbeRequest.at("libc.so.6", "read", hit -> {}).with(Technique.SINGLE_STEPPED),
            "strict mode");
      }
      done(target, "work");
      assertThat(List.of(emulated.hits(), boosted.hits(), later.hits())).containsExactly(30L, 15L, 10L);
    }
    assertUnharmed(target, before, true);
  }

  /** Another thread is free, and what is to be done is done there. */
  @ParameterizedTest
  @ValueSource(strings = {"worker strict", "worker filter kill 11", "strict", "filter kill 11"})
  void oneThreadEntersASandbox(String sandbox,
      @RunsFixture(value = FixtureProgram.SANDBOX, args = "worker") TargetProcess target) throws IOException {
    Aftermath before = before(target);
    for (int round = 0; round < 2; round++) {
      if (round == 1) {
        done(target, sandbox);
      }
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe boosted = probe(process, "work_add_mem");
        done(target, "worker work");
        done(target, "work");
        assertThat(boosted.hits()).isEqualTo(10);
      }
      before.assertNoTrace();
    }
    assertUnharmed(target, before, false);
  }

  @ParameterizedTest
  @ValueSource(strings = {"kill", "errno"})
  void childrenOfASandbox(String how, @RunsFixture(FixtureProgram.SANDBOX) TargetProcess target)
      throws IOException {
    Aftermath before = before(target);
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe boosted = probe(process, "work_add_mem");
      done(target, "filter " + how + " " + MUNMAP);
      for (int i = 0; i < 3; i++) {
        done(target, "fork");
      }
      done(target, "work");
      assertThat(boosted.hits()).isEqualTo(5);
    }
    assertUnharmed(target, before, true);
  }

  /** A hit with SIGTRAP blocked costs a handler, so it must be possible to put it back. */
  @Test
  void trapHandlerOfASandbox(@RunsFixture(FixtureProgram.SANDBOX) TargetProcess target) throws IOException {
    Aftermath before = before(target);
    done(target, "handle");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = probe(process, "work_push");
      done(target, "trap");
      assertThat(probe.hits()).isEqualTo(10);
    }
    done(target, "strict");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertRefused(process, ProbeRequest.at("sandbox", "work_push", hit -> {}), "a handler for SIGTRAP");
      done(target, "trap");
    }
    assertUnharmed(target, before, false);
  }

  private static boolean isInPoll(int tid) {
    try {
      return Files.readString(Path.of("/proc/" + tid + "/syscall")).startsWith("7 ");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What is waited for with a time-out is restarted by a call that the program never makes. */
  @Test
  void filterThatKillsForARestart(
      @RunsFixture(value = FixtureProgram.SANDBOX, args = "worker") TargetProcess target)
      throws IOException {
    Aftermath before = before(target);
    done(target, "worker filter kill 219");
    target.send("worker poll");
    target.awaitLine("polls");
    int worker = ProcFs.threads(target.pid()).getLast();
    for (int round = 0; round < 3; round++) {
      Await.until(() -> isInPoll(worker), () -> "thread " + worker + " is in poll(2)");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe boosted = probe(process, "work_add_mem");
        done(target, "work");
        assertThat(boosted.hits()).isEqualTo(5);
      }
    }
    done(target, "wake");
    target.awaitLine("done");
    assertUnharmed(target, before, false);
  }

  /** It wakes no thread but one that is traced. */
  @Test
  void filterThatKillsForTheRestartAfterAnIgnoredSignal(
      @RunsFixture(value = FixtureProgram.SANDBOX, args = "worker") TargetProcess target) throws IOException {
    Aftermath before = before(target);
    done(target, "worker filter kill 219");
    target.send("worker poll");
    target.awaitLine("polls");
    int worker = ProcFs.threads(target.pid()).getLast();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe boosted = probe(process, "work_add_mem");
      for (int i = 0; i < 5; i++) {
        Await.until(() -> isInPoll(worker) && ProcFs.state(worker) == 'S',
            () -> "thread " + worker + " is in poll(2)");
        done(target, "wink");
        Await.until(() -> ProcFs.status(worker, "SigPnd").matches("0+"), () -> "the signal is taken");
      }
      done(target, "work");
      assertThat(boosted.hits()).isEqualTo(5);
      done(target, "wake");
      target.awaitLine("done");
    }
    assertUnharmed(target, before, false);
  }
}
