package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.KIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Processes that run in the memory of the one that is probed: they hit its breakpoints, too, and must not
 * notice.
 */
class KinTest {

  private static final int STORM_ROUNDS = 25;

  private static int make(TargetProcess target, String kind) {
    target.send("make " + kind);
    return Integer.parseInt(target.awaitLine("kin ").substring("kin ".length()));
  }

  private static void go(TargetProcess target, int calls) {
    target.send("go " + calls);
    target.awaitOk();
  }

  private static void end(TargetProcess target) {
    target.send("end");
    target.awaitOk();
  }

  private static ProbeRequest tick(TargetProcess target, Technique technique) {
    return ProbeRequest.at(target.address("tick"), hit -> {}).with(technique);
  }

  private static ProbeRequest tick(TargetProcess target) {
    return ProbeRequest.at(target.address("tick"), hit -> {});
  }

  private static Aftermath before(TargetProcess target, int pid) {
    return Aftermath.expectedOf(pid, List.of(target.address("tick")));
  }

  /** @param callers how many call, the creator among them */
  @ParameterizedTest
  @CsvSource({"child,2", "sibling,2", "orphan,2", "chain,3", "threaded,3", "leaderless,2", "vfork,2",
      "vfork_sibling,2", "untraced,2", "untraced_thread,2", "other_user,2"})
  void everyHitCountsWhenTheCreatorIsProbed(String kind, int callers) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      int kin = make(target, kind);
      everyHitCounts(target, target.pid(), kin, kind, callers);
    }
  }

  @ParameterizedTest
  @CsvSource({"child,2", "sibling,2", "orphan,2", "chain,3", "threaded,3", "leaderless,2", "vfork,2",
      "vfork_sibling,2", "untraced,2"})
  void everyHitCountsWhenOneThatWasCreatedIsProbed(String kind, int callers) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      int kin = make(target, kind);
      everyHitCounts(target, kin, target.pid(), kind, callers);
    }
  }

  private static void everyHitCounts(TargetProcess target, int probed, int other, String kind, int callers)
      throws Exception {
    Aftermath beforeHere = before(target, kind.equals("leaderless") ? target.pid() : probed);
    // A process whose first thread has ended shows no memory.
    Aftermath beforeThere = before(target, kind.equals("leaderless") ? target.pid() : other);
    for (Technique technique : List.of(Technique.BOOSTED, Technique.SINGLE_STEPPED)) {
      try (ProbedProcess process = ProbedProcess.attach(probed)) {
        Probe probe = process.register(tick(target, technique));
        go(target, 100);
        assertThat(probe.hits()).isEqualTo(100L * callers);
        probe.unregister();
        go(target, 10);
        Probe again = process.register(tick(target, technique).inContext(HandlerContext.TASK));
        go(target, 10);
        assertThat(again.hits()).isEqualTo(10L * callers);
      }
      go(target, 10);
      if (!kind.startsWith("vfork")) {
        // Its creator's traced thread is let go by the end of the tracer thread, which close() has waited
        // for.
        beforeHere.assertNoTrace();
        beforeThere.assertNoTrace();
      }
    }
    for (int tid : ProcFs.threads(target.pid())) {
      assertThat(ProcFs.tracerPid(tid)).as("tracer of %d", tid).isZero();
    }
    end(target);
    go(target, 10);
  }

  @ParameterizedTest
  @ValueSource(strings = {"child", "sibling", "orphan", "chain", "threaded", "vfork"})
  void othersExecuteProgramsAndEndWhileProbed(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      make(target, kind);
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe probe = process.register(tick(target));
        go(target, 10);
        long hits = probe.hits();
        target.send("exec");
        target.awaitOk();
        go(target, 10);
        assertThat(probe.hits()).isEqualTo(hits + 10);
        make(target, kind);
        go(target, 10);
        assertThat(probe.hits()).isEqualTo(2 * hits + 10);
        end(target);
        go(target, 10);
        assertThat(probe.hits()).isEqualTo(2 * hits + 20);
      }
      go(target, 10);
    }
  }

  /** The session ends with its process, and others live on in the memory. */
  @ParameterizedTest
  @ValueSource(strings = {"child", "sibling", "orphan", "chain", "vfork", "vfork_sibling"})
  void theProbedOneEnds(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      for (int round = 0; round < 5; round++) {
        int kin = make(target, kind);
        Aftermath before = before(target, target.pid());
        try (ProbedProcess process = ProbedProcess.attach(kin)) {
          Probe probe = process.register(tick(target));
          go(target, 10);
          end(target);
          assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
              .isEqualTo(new ProcessEnd.Exited(0));
          assertThat(probe.hits()).isEqualTo(kind.equals("chain") ? 30 : 20);
          go(target, 10);
        }
        before.assertNoTrace();
        go(target, 10);
      }
    }
  }

  /** The session goes on with the new program; those who stay in the memory are let go. */
  @ParameterizedTest
  @ValueSource(strings = {"child", "sibling", "orphan", "vfork", "vfork_sibling"})
  void theProbedOneExecutesAProgram(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      for (int round = 0; round < 5; round++) {
        int kin = make(target, kind);
        Aftermath before = before(target, target.pid());
        try (ProbedProcess process = ProbedProcess.attach(kin)) {
          Probe probe = process.register(tick(target));
          go(target, 10);
          assertThat(probe.hits()).isEqualTo(20);
          target.send("exec");
          target.awaitOk();
          go(target, 10);
          Await.until(() -> !probe.isActive(), () -> "the end of the probe");
          Await.until(() -> ProcFs.tracerPid(target.pid()) == 0, () -> "the creator is let go");
          before.assertNoTrace();
          assertThat(process.modules()).anyMatch(module -> module.contains("sleep"));
        }
        go(target, 10);
      }
    }
  }

  /** The one whose memory it was executes a program or is killed; those who stay must not notice. */
  @ParameterizedTest
  @CsvSource({"child,exec", "sibling,exec", "orphan,exec", "child,kill", "sibling,kill", "orphan,kill"})
  void othersStayInTheMemory(String kind, String how) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      int kin = make(target, kind);
      Aftermath before = before(target, kin);
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe probe = process.register(tick(target));
        target.send("lead");
        target.awaitLine("leading");
        Await.until(() -> probe.hits() > 100, () -> "hits");
        if (how.equals("exec")) {
          target.send("exec_self");
          target.awaitLine("ready ");
        } else {
          target.signal("KILL");
          assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
              .isEqualTo(new ProcessEnd.Killed(9));
        }
        Await.until(() -> !probe.isActive(), () -> "the end of the probe");
        Await.until(() -> ProcFs.tracerPid(kin) == 0, () -> "it is let go");
        before.assertNoTrace();
      }
      // It calls tick() for ever.
      assertThat(ProcFs.state(kin)).isEqualTo('R');
    }
  }

  /** Nothing tells of them, so they are found when the next probe is registered. */
  @ParameterizedTest
  @ValueSource(strings = {"untraced", "untraced_thread"})
  void newcomersWithoutAnEvent(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      Aftermath before = before(target, target.pid());
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        make(target, kind);
        Probe probe = process.register(tick(target));
        go(target, 100);
        assertThat(probe.hits()).isEqualTo(200);
        // It waits until it is told to call.
        make(target, kind);
        process.register(ProbeRequest.at(target.address("main"), hit -> {}));
        go(target, 100);
        assertThat(probe.hits()).isEqualTo(500);
        make(target, kind);
        // Its creation is told.
        make(target, "child");
        Await.until(() -> process.threadIds().stream().allMatch(tid -> ProcFs.tracerPid(tid) != 0),
            () -> "all");
        go(target, 100);
        assertThat(probe.hits()).isEqualTo(1000);
      }
      before.assertNoTrace();
      go(target, 10);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void oneSessionForOneMemory(boolean creatorFirst) {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      int kin = make(target, "sibling");
      int first = creatorFirst ? target.pid() : kin;
      int second = creatorFirst ? kin : target.pid();
      try (ProbedProcess process = ProbedProcess.attach(first)) {
        Probe probe = process.register(tick(target));
        assertThatThrownBy(() -> ProbedProcess.attach(second)).isInstanceOfSatisfying(ProbeException.class,
            e -> assertThat(e.reason()).isEqualTo(ProbeException.Reason.ADDRESS_SPACE_SHARED))
            .hasMessageContainingAll("process " + second, "process " + first);
        go(target, 10);
        assertThat(probe.hits()).isEqualTo(20);
      }
      try (ProbedProcess process = ProbedProcess.attach(second)) {
        Probe probe = process.register(tick(target));
        go(target, 10);
        assertThat(probe.hits()).isEqualTo(20);
      }
    }
  }

  /** Who is there while everybody is looked for changes all the time. */
  @ParameterizedTest
  @ValueSource(strings = {"child", "sibling", "vfork", "thread"})
  void sessionsComeAndGoInAStorm(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      Aftermath before = before(target, target.pid());
      target.send("storm " + kind);
      for (int i = 0; i < STORM_ROUNDS; i++) {
        try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
          Probe probe = process
              .register(tick(target, i % 2 == 0 ? Technique.BOOSTED : Technique.SINGLE_STEPPED));
          Await.until(() -> probe.hits() > 20, () -> "hits");
        }
      }
      target.send("stop");
      target.awaitLine("made ");
      target.awaitOk();
      before.assertNoTrace();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"child", "sibling", "vfork", "thread"})
  void everyHitOfAStormCounts(String kind) {
    try (TargetProcess target = TargetProcess.start(KIN);
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(tick(target));
      target.send("storm " + kind);
      Await.until(() -> probe.hits() > 2000, () -> "hits");
      target.send("stop");
      long made = Long.parseLong(target.awaitLine("made ").substring("made ".length()));
      target.awaitOk();
      assertThat(probe.hits()).isEqualTo(5 * made);
    }
  }

  /** A hit tells which thread it was, of whichever process. */
  @Test
  void hitsNameTheThread() {
    try (TargetProcess target = TargetProcess.start(KIN)) {
      int kin = make(target, "sibling");
      var threads = new ConcurrentSkipListSet<Integer>();
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        process.register(ProbeRequest.at(target.address("tick"), hit -> threads.add(hit.threadId())));
        go(target, 10);
        assertThat(threads).containsExactlyInAnyOrder(target.pid(), kin);
        assertThat(process.threadIds()).containsExactly(target.pid());
      }
    }
  }

  /**
   * A followed program is another memory; who creates it was there before and is none of the process's
   * children.
   */
  @ParameterizedTest
  @EnumSource(ForkPolicy.class)
  void onlyChildrenAreFollowed(ForkPolicy policy) {
    var followed = new AtomicInteger();
    var listener = new ProcessListener() {
      @Override
      public void followed(ProbedProcess parent, ProbedProcess child) {
        followed.incrementAndGet();
        child.close();
      }
    };
    try (TargetProcess target = TargetProcess.start(KIN)) {
      make(target, "sibling");
      make(target, "orphan");
      try (ProbedProcess process = ProbedProcess.attach(target.pid(),
          ProbingOptions.defaults().withForkPolicy(policy).withProcessListener(listener))) {
        process.register(tick(target));
        target.send("exec");
        target.awaitOk();
        go(target, 10);
      }
      assertThat(followed).hasValue(0);
    }
  }
}
