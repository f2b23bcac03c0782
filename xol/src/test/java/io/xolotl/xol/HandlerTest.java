package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.ALTER;
import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.UserRegister;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What handlers see and change is what the program has and gets. */
class HandlerTest {

  /** A base of a segment must be a user's address (putreg() in arch/x86/kernel/ptrace.c). */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void registersThatTheKernelRefusesAreReportedAndTheThreadGoesOn(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) {
    var errors = new LinkedBlockingQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((probe, thrown) -> errors.add(thrown)))) {
      List<Probe> probes = process
          .register(List.of("work_push", "work_rip_load", "work_nop", "work_ret").stream()
              .map(label -> ProbeRequest.at(target.address(label), hit -> {
                if (hit.number() % 2 == 0) {
                  hit.registers().set(UserRegister.FS_BASE, -1);
                }
              }).inContext(context)).toList());
      target.send("go");
      Await.until(() -> probes.stream().allMatch(probe -> probe.hits() > 100), () -> "hits");
      assertThat(errors).hasSizeGreaterThanOrEqualTo(100).allSatisfy(
          e -> assertThat(e).isInstanceOf(ProbeException.class).hasMessageContaining("refused"));
    }
    target.send("stop");
    target.awaitOk();
  }

  /** Refused registers must not be half written when the listener that hears of them ends the session. */
  @ParameterizedTest
  @CsvSource({"FS_BASE,-1,INTERRUPT", "FS_BASE,-1,TASK", "CS,0,INTERRUPT", "SS,0,TASK"})
  void aListenerMayCloseTheSessionWhenRegistersAreRefused(UserRegister register, long value,
      HandlerContext context,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    List<Long> sites = List.of(target.address("work_push"), target.address("work_mov"));
    Aftermath before = Aftermath.expectedOf(target.pid(), sites);
    target.send("go");
    for (int i = 0; i < 10; i++) {
      ProbedProcess process = ProbedProcess.attach(target.pid(),
          ProbingOptions.defaults().withErrorListener((probe, thrown) -> probe.process().close()));
      process.register(
          sites.stream().map(site -> ProbeRequest.at(site, hit -> hit.registers().set(register, value))
              .inContext(context)).toList());
      assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .isEqualTo(new ProcessEnd.Detached());
      process.close();
      before.assertNoTrace();
    }
    target.send("stop");
    target.awaitOk();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void changesArgumentsResultsVectorsAndMemory(HandlerContext context,
      @RunsFixture(ALTER) TargetProcess target) {
    target.send("go");
    target.awaitLine("add 5");
    target.awaitLine("skip_me 1");
    target.awaitLine("half 3.5");
    target.awaitLine("global 100");
    target.awaitLine("message hello");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      process.register(List.of(
          ProbeRequest.at(target.address("add"),
              hit -> hit.registers().argument(0, hit.registers().argument(0) + 1_000)).inContext(
                  context),
          ProbeRequest.at("alter", "skip_me", hit -> hit.returnFromFunction(77)).inContext(context),
          ProbeRequest.at(target.address("half"), hit -> {
            assertThat(hit.vectorState().xmmDouble(0)).isEqualTo(7.0);
            hit.vectorState().xmmDouble(0, 50.0);
            hit.memory().writeLong(target.address("global_value"), 4242);
            assertThat(hit.memory().readString(target.address("message"), 32)).isEqualTo("hello");
            hit.memory().write(target.address("message"), "probed\0".getBytes(StandardCharsets.UTF_8));
          }).inContext(context)));
      target.send("go");
      target.awaitLine("add 1005");
      target.awaitLine("skip_me 77");
      target.awaitLine("skipped 1");
      target.awaitLine("half 25");
      target.awaitLine("global 4242");
      target.awaitLine("message probed");
    }
    target.send("go");
    target.awaitLine("add 5");
    target.awaitLine("skip_me 1");
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void seesTheThreadAtTheProbedInstruction(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "4") TargetProcess target)
      throws Exception {
    var seen = new LinkedBlockingQueue<long[]>();
    Set<Integer> threads = ConcurrentHashMap.newKeySet();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      List<Integer> ids = process.threadIds();
      Probe probe = process.register(ProbeRequest.at("forever", "work", hit -> {
        threads.add(hit.threadId());
        long returnAddress = hit.memory().readLong(hit.registers().rsp());
        seen.add(new long[]{hit.registers().rip(), hit.registers().get(UserRegister.RIP), returnAddress,
            hit.number()});
      }).inContext(context));
      target.send("go");
      for (int i = 0; i < 1_000; i++) {
        long[] hit = seen.poll(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
        assertThat(hit).isNotNull();
        assertThat(hit[0]).isEqualTo(target.address("work")).isEqualTo(hit[1]);
        assertThat(process.describe(hit[2])).startsWith("forever:");
      }
      Await.until(() -> threads.size() == 4, () -> "threads seen: " + threads);
      assertThat(ids).containsAll(threads);
      probe.unregister();
      assertThat(seen.stream().map(h -> h[3]).distinct().count()).isEqualTo(seen.size());
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void aTaskHandlerHoldsOnlyItsOwnThread(@RunsFixture(value = FOREVER, args = "4") TargetProcess target)
      throws Exception {
    var allInside = new CountDownLatch(4);
    var release = new CountDownLatch(1);
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe blocking = process.register(ProbeRequest.at("forever", "work_pop", hit -> {
        allInside.countDown();
        release.await();
      }).inContext(HandlerContext.TASK));
      target.send("go");
      // Only if all four threads run the same handler at the same time.
      assertThat(allInside.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
      assertThat(blocking.hits()).isEqualTo(4);
      // The tracer is free while four handlers block.
      Probe other = process.register(ProbeRequest.at("forever", "work_ret", hit -> {}));
      assertThat(other.hits()).isZero();
      release.countDown();
      blocking.unregister();
      Await.until(() -> other.hits() > 100, () -> "hits " + other.hits());
    }
    target.send("stop");
    target.awaitOk();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void whatAHandlerThrowsReachesTheListenerAndNotTheProgram(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    var thrown = new LinkedBlockingQueue<Throwable>();
    ProbingOptions options = ProbingOptions.defaults().withErrorListener((probe, t) -> thrown.add(t));
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      var error = new StackOverflowError("on purpose");
      process.register(List.of(ProbeRequest.at("forever", "work", hit -> {
        throw error;
      }).inContext(context)));
      Probe second = process.register(ProbeRequest.at("forever", "work", hit -> {}).inContext(context));
      target.send("go");
      assertThat(thrown.poll(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isSameAs(error);
      Await.until(() -> second.hits() > 100, () -> "hits " + second.hits());
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void aHitIsOverWhenItsHandlerReturns(@RunsFixture(value = FOREVER, args = "1") TargetProcess target)
      throws Exception {
    var kept = new LinkedBlockingQueue<ProbeHit>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process
          .register(ProbeRequest.at("forever", "work", kept::add).inContext(HandlerContext.TASK));
      target.send("go");
      ProbeHit hit = kept.poll(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
      probe.unregister();
      assertThat(hit).isNotNull();
      Assertions.assertThatThrownBy(hit::registers)
          .isInstanceOf(NullPointerException.class)
          .hasMessageContaining("valid only until");
    }
    target.send("stop");
    target.awaitOk();
  }
}
