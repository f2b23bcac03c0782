package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.SIGNALS;
import static io.xolotl.fixtures.FixtureProgram.SYSBLOCK;
import static io.xolotl.fixtures.FixtureProgram.SYSCALLS;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Signals, job control and blocking system calls go on as if nobody watched. */
class SignalsTest {

  private static final List<String> WORK = List.of("work_push", "work_mov", "work_rip_load", "work_lea",
      "work_add",
      "work_nop", "work_test", "work_jcc", "work_add_mem", "work_call", "work_pop", "work_ret", "work_helper",
      "work_xor",
      "work_helper_ret");

  @Test
  void signalsLoseNothing(
      @RunsFixture(value = SIGNALS, args = {"1000", "2"}) TargetProcess target)
      throws Exception {
    runsRight(target, null, HandlerContext.INTERRUPT);
  }

  /**
   * Two stops a hit: handlers alone take more time than there is, and signals arrive at every instruction.
   */
  @ParameterizedTest
  @CsvSource({"BOOSTED, INTERRUPT", "TRAPPED, INTERRUPT", "SINGLE_STEPPED, INTERRUPT",
      "SINGLE_STEPPED, TASK"})
  void signalsThatArriveInSlots(Technique technique, HandlerContext context,
      @RunsFixture(value = SIGNALS, args = {"1000", "0.4"}) TargetProcess target)
      throws Exception {
    runsRight(target, technique, context);
  }

  private static void runsRight(TargetProcess target, @org.jspecify.annotations.Nullable Technique forced,
      HandlerContext context) throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), WORK.stream().map(target::address).toList());
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (String label : WORK) {
        ProbeRequest request = ProbeRequest.at(target.address(label), hit -> {}).inContext(context);
        try {
          process.register(Optional.ofNullable(forced).map(request::with).orElse(request));
        } catch (ProbeException e) {
          assertThat(e.reason()).isEqualTo(ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE);
        }
      }
      target.send("go");
      target.awaitOk();
    }
    before.assertNoTrace();
  }

  @Test
  void sessionsComeAndGoInASignalStorm(
      @RunsFixture(value = SIGNALS, args = {"1000", "0.4"}) TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), WORK.stream().map(target::address).toList());
    var stop = new AtomicBoolean();
    // As long as sessions come, however long that is.
    var storm = CompletableFuture.runAsync(() -> {
      while (!stop.get()) {
        target.send("go");
        target.awaitOk();
      }
    }, task -> Thread.ofPlatform().daemon().start(task));
    for (int i = 0; i < 40; i++) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe probe = process.register(ProbeRequest.at(target.address("work_rip_load"), hit -> {})
            .with(i % 2 == 0 ? Technique.TRAPPED : Technique.SINGLE_STEPPED));
        process.register(ProbeRequest.at(target.address("work_ret"), hit -> {}));
        Await.until(() -> probe.hits() > 20, () -> "hits " + probe.hits());
      }
      before.assertNoTrace();
    }
    stop.set(true);
    storm.join();
  }

  @Test
  void stoppingAndContinuingByJobControl(@RunsFixture(value = FOREVER, args = "4") TargetProcess target)
      throws Exception {
    target.send("go");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(ProbeRequest.at(target.address("work_rip_load"), hit -> {}));
      Await.until(() -> probe.hits() > 100, () -> "hits " + probe.hits());
      for (int i = 0; i < 10; i++) {
        target.signal("STOP");
        // Traced threads in a group-stop are in state t.
        ProcFs.awaitState(target.pid(), "tT");
        Probe second = process.register(ProbeRequest.at(target.address("work_push"), hit -> {}));
        second.unregister();
        target.signal("CONT");
        long before = probe.hits();
        Await.until(() -> probe.hits() > before + 100, () -> "hits " + probe.hits());
      }
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void aStoppedProcessIsAttachedProbedAndLeftStopped(
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    target.send("go");
    target.signal("STOP");
    ProcFs.awaitState(target.pid(), "T");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("work_rip_load")));
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      process.register(ProbeRequest.at(target.address("work_rip_load"), hit -> {}));
    }
    ProcFs.awaitState(target.pid(), "T");
    before.assertNoTrace();
    target.signal("CONT");
    target.send("stop");
    target.awaitOk();
  }

  /** A signal that arrives in front of a system call is delivered there, and the call still counts once. */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void signalsInFrontOfASystemCall(HandlerContext context,
      @RunsFixture(value = SYSCALLS, args = "2000") TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("the_syscall")));
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process
          .register(ProbeRequest.at(target.address("the_syscall"), hit -> {}).inContext(context));
      target.send("go");
      String calls = target.awaitLine("calls ");
      assertThat("calls " + probe.hits()).isEqualTo(calls);
      assertThat(target.awaitLine("handled ")).doesNotMatch("handled [12]?\\d");
      target.awaitOk();
    }
    before.assertNoTrace();
  }

  /** It would otherwise wait for the call's end, which may never come. */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aSignalInFrontOfACallThatBlocks(HandlerContext context,
      @RunsFixture(SYSCALLS) TargetProcess target) throws Exception {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      process
          .register(ProbeRequest.at(target.address("the_syscall"), hit -> {
            // Not by the tracer thread, which would be the parent of what sends it.
            Thread.ofPlatform().start(() -> target.signal("TERM")).join();
          }).inContext(context));
      target.send("block");
      assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .isEqualTo(new ProcessEnd.Killed(15));
    }
  }

  /**
   * Attaching, making system calls in its threads, and detaching interrupt them, and none of them notices.
   */
  @Test
  void blockedSystemCallsAreNotDisturbed(
      @RunsFixture(SYSBLOCK) TargetProcess target)
      throws Exception {
    for (int i = 0; i < 30; i++) {
      ProcFs.threads(target.pid()).forEach(tid -> ProcFs.awaitState(tid, "S"));
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        process.register(ProbeRequest.at("libc.so.6", "malloc", hit -> {}));
      }
    }
    target.send("release");
    target.awaitOk();
    assertThat(target.output().stream().filter(line -> line.contains(" returns ")))
        .hasSizeGreaterThanOrEqualTo(4)
        .allSatisfy(line -> assertThat(line).contains(" eintr 0 early 0"));
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
  }
}
