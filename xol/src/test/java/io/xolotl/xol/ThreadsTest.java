package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.SPAWNER;
import static io.xolotl.fixtures.FixtureProgram.THREADS;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Any number of threads, also those that come later, and detaching from them wherever they are. */
class ThreadsTest {

  @Test
  void aThousandThreads(
      @RunsFixture(value = THREADS, args = "1000") TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(),
        List.of(target.address("work"), target.address("work_rip_load")));
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertThat(process.threadIds()).hasSizeGreaterThanOrEqualTo(1_000);
      List<Probe> probes = process.register(List.of(ProbeRequest.at("threads", "work", hit -> {}),
          ProbeRequest.at("threads", "work_rip_load", hit -> {}).inContext(HandlerContext.TASK)));
      for (int round = 1; round <= 3; round++) {
        target.send("round");
        target.awaitOk();
        assertThat(probes.get(0).hits()).isEqualTo(1_000L * round);
        assertThat(probes.get(1).hits()).isEqualTo(1_000L * round);
      }
    }
    before.assertNoTrace();
    target.send("round");
    target.awaitOk();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void newThreadsShareAllProbesFromTheirFirstInstructionOn(HandlerContext context,
      @RunsFixture(value = SPAWNER, args = "4") TargetProcess target) throws Exception {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe entry = process
          .register(ProbeRequest.at("spawner", "thread_entry", hit -> {}).inContext(context));
      Probe last = process.register(ProbeRequest.at("spawner", "thread_ret", hit -> {}).inContext(context));
      target.send("go");
      Await.until(() -> last.hits() > 2_000, () -> "hits " + last.hits());
      target.send("stop");
      long created = Long.parseLong(target.awaitLine("created ").substring("created ".length()));
      target.awaitOk();
      assertThat(entry.hits()).isEqualTo(created);
      assertThat(last.hits()).isEqualTo(created);
    }
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
  }

  @Test
  void attachingWhileThreadsComeAndGo(
      @RunsFixture(value = SPAWNER, args = "4") TargetProcess target)
      throws Exception {
    target.send("go");
    for (int i = 0; i < 20; i++) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe probe = process.register(ProbeRequest.at("spawner", "thread_entry", hit -> {}));
        Await.until(() -> probe.hits() > 20, () -> "hits " + probe.hits());
      }
    }
    target.send("stop");
    target.awaitOk();
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
  }

  /**
   * Every site of a hot loop is probed with every technique, so that the session ends while threads are
   * everywhere.
   */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void closingWhileThreadsAreInSlots(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "8") TargetProcess target) throws Exception {
    List<String> labels = List.of("work_push", "work_mov", "work_rip_load", "work_lea", "work_add",
        "work_nop",
        "work_test", "work_jcc", "work_add_mem", "work_call", "work_pop", "work_ret", "work_helper",
        "work_xor",
        "work_helper_ret");
    Aftermath before = Aftermath.expectedOf(target.pid(), labels.stream().map(target::address).toList());
    target.send("go");
    for (int i = 0; i < 60; i++) {
      Technique technique = Technique.values()[i % Technique.values().length];
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe last = process.register(ProbeRequest.at("forever", "work_ret", hit -> {}).inContext(context));
        for (String label : labels) {
          ProbeRequest request = ProbeRequest.at("forever", label, hit -> {}).inContext(context);
          try {
            process.register(request.with(technique));
          } catch (ProbeException e) {
            assertThat(e.reason()).isEqualTo(ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE);
          }
        }
        long enough = ThreadLocalRandom.current().nextLong(50);
        Await.until(() -> last.hits() >= enough, () -> "hits " + last.hits());
      }
      before.assertNoTrace();
    }
    target.send("stop");
    target.awaitOk();
  }
}
