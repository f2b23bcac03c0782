package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.UserRegister;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Several users of one process, and several probes at one address. */
class UsersTest {

  @Test
  void twoUsersShareASessionAndDoNotNoticeEachOther(
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    long site = target.address("work_push");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    var errors = new ConcurrentLinkedQueue<Throwable>();
    ProbedProcess one = ProbedProcess.attach(target.pid());
    ProbedProcess two = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((probe, thrown) -> errors.add(thrown)));
    Probe first = one.register(ProbeRequest.at(site, hit -> {}));
    Probe waits = one.register(ProbeRequest.at("libplug.so", "plug_work", hit -> {}).whenItIsMapped());
    Probe second = two.register(ProbeRequest.at(site, hit -> {
      throw new IllegalStateException("mine");
    }));
    Probe waitsToo = two.register(ProbeRequest.at("libplug.so", "plug_work", hit -> {}).whenItIsMapped());
    target.send("go");
    Await.until(() -> first.hits() > 100 && second.hits() > 100, () -> "hits");
    one.close();
    assertThat(one.end().join()).isEqualTo(new ProcessEnd.Detached());
    assertThat(first.isActive()).isFalse();
    assertThat(waits.isWaiting()).isFalse();
    assertThat(waitsToo.isWaiting()).isTrue();
    assertThatThrownBy(() -> one.register(ProbeRequest.at(site, hit -> {}))).isInstanceOfSatisfying(
        ProbeException.class, e -> assertThat(e.reason()).isEqualTo(ProbeException.Reason.CLOSED));
    long hitsThen = second.hits();
    Await.until(() -> second.hits() > hitsThen + 100, () -> "hits of the other user");
    assertThat(errors).isNotEmpty().allMatch(e -> e.getMessage().equals("mine"));
    one.close();
    assertThat(ProcFs.tracerPid(target.pid())).isNotZero();
    two.close();
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  /**
   * What a handler unregisters goes on running while others of the probe do, and ends before the user has
   * left.
   */
  @Test
  void leavingWaitsForHandlersOfProbesThatAreGone(
      @RunsFixture(value = FOREVER, args = "1") TargetProcess target)
      throws Exception {
    ProbedProcess leaving = ProbedProcess.attach(target.pid());
    try (ProbedProcess other = ProbedProcess.attach(target.pid())) {
      var unregistered = new CountDownLatch(1);
      var release = new CountDownLatch(1);
      var handled = new AtomicBoolean();
      leaving.register(ProbeRequest.at(target.address("work_push"), hit -> {
        hit.probe().unregister();
        unregistered.countDown();
        // Whoever waits for it interrupts it after a second, which may pass here.
        while (release.getCount() > 0) {
          Thread.onSpinWait();
        }
        handled.set(true);
      }).inContext(HandlerContext.TASK));
      target.send("go");
      unregistered.await();
      var handledBefore = new AtomicBoolean();
      Thread closing = Thread.ofPlatform().start(() -> {
        leaving.close();
        handledBefore.set(handled.get());
      });
      Await.until(() -> closing.getState() == Thread.State.TIMED_WAITING || !closing.isAlive(),
          () -> "waits");
      release.countDown();
      closing.join();
      assertThat(handledBefore).isTrue();
      assertThat(other.probes()).isEmpty();
    }
  }

  /** Whoever comes while the last one leaves opens a new session. */
  @Test
  void usersComeAndGoInManyThreads(@RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    long site = target.address("work_rip_load");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    target.send("go");
    try (var threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> all = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        all.add(threads.submit(() -> {
          for (int i = 0; i < 50; i++) {
            try (ProbedProcess user = ProbedProcess.attach(target.pid())) {
              Probe probe = user.register(ProbeRequest.at(site, hit -> {}));
              Await.until(() -> probe.hits() > 2, () -> "hits " + probe.hits());
            }
          }
        }));
      }
      for (Future<?> each : all) {
        each.get();
      }
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void handlersAtOneAddressRunInOrderAndOneThatThrowsStopsNobody(HandlerContext context) throws Exception {
    try (TargetProcess target = TargetProcess.start(CALLS, "4", "500")) {
      var order = new ConcurrentHashMap<Integer, List<Integer>>();
      var errors = new ConcurrentLinkedQueue<Probe>();
      long site = target.address("work_push");
      try (ProbedProcess process = ProbedProcess.attach(target.pid(),
          ProbingOptions.defaults().withErrorListener((probe, thrown) -> errors.add(probe)))) {
        List<Probe> probes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          int index = i;
          probes.add(process.register(ProbeRequest.at(site, hit -> {
            order.computeIfAbsent(hit.threadId(), t -> new ArrayList<>()).add(index);
            if (index == 1) {
              throw new IllegalStateException("the second");
            }
          }).inContext(context)));
        }
        target.send("go");
        target.awaitOk();
        assertThat(probes).extracting(Probe::hits).containsOnly(2000L);
        assertThat(errors).hasSize(2000).containsOnly(probes.get(1));
        assertThat(order).hasSize(4).allSatisfy((thread, indexes) -> {
          assertThat(indexes).hasSize(1500);
          for (int i = 0; i < indexes.size(); i++) {
            assertThat(indexes.get(i)).isEqualTo(i % 3);
          }
        });
        probes.get(0).unregister();
        probes.get(2).unregister();
        assertThat(ProcFs.memory(target.pid(), site, 1)[0]).isEqualTo((byte) 0xcc);
        probes.get(1).unregister();
        assertThat(ProcFs.memory(target.pid(), site, 1)[0]).isEqualTo((byte) 0x53);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aProbeIsForSomeThreadsAndSomeHits(HandlerContext context) throws Exception {
    try (TargetProcess target = TargetProcess.start(CALLS, "4", "1000")) {
      var errors = new ConcurrentLinkedQueue<Throwable>();
      try (ProbedProcess process = ProbedProcess.attach(target.pid(),
          ProbingOptions.defaults().withErrorListener((probe, thrown) -> errors.add(thrown)))) {
        int chosen = process.threadIds().get(2);
        Set<Integer> seen = ConcurrentHashMap.newKeySet();
        var work = new ProbeLocation.Address(target.address("work"));
        ProbeRequest all = ProbeRequest.at(work, hit -> seen.add(hit.threadId())).inContext(context);
        Probe ofThread = process.register(all.inThreads(Set.of(chosen)));
        Set<Integer> seenByThread = Set.copyOf(seen);
        assertThat(seenByThread).isEmpty();
        // The argument's low bit.
        Probe odd = process.register(ProbeRequest.at(work, hit -> assertThat(hit.registers().argument(0) & 1)
            .isEqualTo(1)).inContext(context)
            .onlyIf(registers -> (registers.get(UserRegister.RDI) & 1) == 1));
        Probe failing = process.register(ProbeRequest.at(work, hit -> {
          throw new AssertionError("must not be asked");
        }).inContext(context).onlyIf(registers -> {
          throw new IllegalStateException("condition");
        }));
        ReturnProbe returns = process.register(ReturnProbeRequest.of(work, hit -> hit.threadId(),
            (hit, thread) -> assertThat(hit.threadId()).isEqualTo(thread)).inContext(context)
            .inThreads(Set.of(chosen)).onlyIf(registers -> (registers.get(UserRegister.RDI) & 1) == 0));
        target.send("go");
        target.awaitOk();
        assertThat(ofThread.hits()).isEqualTo(1000);
        assertThat(seen).containsExactly(chosen);
        assertThat(odd.hits()).isEqualTo(2000);
        assertThat(returns.calls()).isEqualTo(500);
        assertThat(returns.returns()).isEqualTo(500);
        assertThat(failing.hits()).isZero();
        assertThat(errors).hasSize(4000).allMatch(e -> "condition".equals(e.getMessage()));
      }
    }
  }

  /** When unregister has returned no handler of the probe runs, and none will. */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void unregisteringWhileSixtyFourThreadsHit(HandlerContext context) throws Exception {
    try (TargetProcess target = TargetProcess.start(FOREVER, "64");
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      target.send("go");
      for (int i = 0; i < 40; i++) {
        var over = new AtomicBoolean();
        var late = new AtomicLong();
        var hits = new CountDownLatch(64);
        Probe probe = process
            .register(ProbeRequest.at(target.address(i % 2 == 0 ? "work_push" : "work_rip_load"),
                hit -> {
                  if (over.get()) {
                    late.incrementAndGet();
                  }
                  hits.countDown();
                }).inContext(context));
        hits.await();
        probe.unregister();
        over.set(true);
        probe.unregister();
        assertThat(late).hasValue(0);
        assertThat(probe.isActive()).isFalse();
      }
      target.send("stop");
      target.awaitOk();
    }
  }
}
