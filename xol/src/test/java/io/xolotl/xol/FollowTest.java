package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FORKER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Children that are followed, programs that are executed, and the listener that hears of both. */
class FollowTest {

  /** Keeps all that it is told; what it does besides is for the test to say. */
  private static class Recording implements ProcessListener {

    final ConcurrentLinkedQueue<Integer> created = new ConcurrentLinkedQueue<>();
    final ConcurrentLinkedQueue<ProbedProcess> followed = new ConcurrentLinkedQueue<>();
    final ConcurrentLinkedQueue<ProbedProcess> executed = new ConcurrentLinkedQueue<>();

    @Override
    public void created(ProbedProcess parent, int child) {
      created.add(child);
    }

    @Override
    public void followed(ProbedProcess parent, ProbedProcess child) {
      followed.add(child);
    }

    @Override
    public void executed(ProbedProcess process) {
      executed.add(process);
    }
  }

  private static ProbingOptions following(ProcessListener listener) {
    return ProbingOptions.defaults().withForkPolicy(ForkPolicy.FOLLOW).withProcessListener(listener);
  }

  private static int goOnce(TargetProcess target) {
    target.send("go");
    int child = Integer.parseInt(target.awaitLine("child ").substring("child ".length()).strip());
    target.awaitOk();
    return child;
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aForkedChildHasTheSameProbes(HandlerContext context) throws Exception {
    var listener = new Recording();
    Map<Integer, AtomicLong> hitsByThread = new ConcurrentHashMap<>();
    ProbeHandler count = hit -> hitsByThread.computeIfAbsent(hit.threadId(), t -> new AtomicLong())
        .incrementAndGet();
    try (TargetProcess target = TargetProcess.start(FORKER, "fork")) {
      Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("work_push")));
      try (ProbedProcess process = ProbedProcess.attach(target.pid(), following(listener))) {
        List<Probe> probes = process.register(List.of(
            ProbeRequest.at(target.address("work_push"), count).inContext(
                context),
            ProbeRequest.at("forker", "work_helper", count),
            ProbeRequest.at(target.address("work_rip_load"), hit -> {
              throw new AssertionError("unregistered before");
            })));
        probes.getLast().unregister();
        ReturnProbe returns = process
            .register(ReturnProbeRequest.of(new ProbeLocation.Address(target.address("work")), hit -> 1L,
                (hit, one) -> assertThat(one).isEqualTo(1L)).inContext(context));
        for (int round = 1; round <= 50; round++) {
          int pid = goOnce(target);
          ProbedProcess child = listener.followed.remove();
          assertThat(child.pid()).isEqualTo(pid);
          assertThat(child.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
              .isInstanceOf(ProcessEnd.Exited.class);
          assertThat(hitsByThread.get(pid)).hasValue(2);
          assertThat(hitsByThread.get(target.pid())).hasValue(2 * round);
          assertThat(returns.returns()).isEqualTo(round);
        }
        assertThat(listener.created).hasSize(50);
        assertThat(listener.followed).isEmpty();
        assertThat(process.probes()).containsExactly(probes.get(0), probes.get(1));
        assertThat(process.returnProbes()).containsExactly(returns);
      }
      before.assertNoTrace();
    }
  }

  @Test
  void aChildIsProbedAndClosedByItself() throws Exception {
    var listener = new Recording();
    try (TargetProcess target = TargetProcess.start(FORKER, "fork")) {
      long site = target.address("work_push");
      ProbedProcess process = ProbedProcess.attach(target.pid(), following(listener));
      Probe probe = process.register(ProbeRequest.at(site, hit -> {}));
      // They belong to threads that the child does not have.
      process.register(ProbeRequest.at(site, hit -> {}).inThreads(Set.of(target.pid())));
      target.send("hold");
      int pid = Integer.parseInt(target.awaitLine("child ").substring("child ".length()).strip());
      ProbedProcess child = listener.followed.remove();
      assertThat(child.probes()).singleElement();
      Probe copy = child.probes().getFirst();
      assertThat(copy.address()).isEqualTo(site);
      assertThat(copy.process()).isSameAs(child);
      assertThat(copy.hits()).isEqualTo(1);
      assertThat(probe.hits()).isZero();
      Probe own = child.register(ProbeRequest.at(target.address("work_ret"), hit -> {}));
      // The parent leaves, and with it what the two share.
      process.close();
      assertThat(ProcFs.tracerPid(target.pid())).isZero();
      assertThat(ProcFs.tracerPid(pid)).isNotZero();
      target.send("release");
      target.awaitOk();
      assertThat(child.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .isInstanceOf(ProcessEnd.Exited.class);
      assertThat(copy.hits()).isEqualTo(2);
      assertThat(own.hits()).isEqualTo(1);
    }
  }

  @Test
  void aChildIsLetGoByItself() throws Exception {
    var listener = new Recording();
    try (TargetProcess target = TargetProcess.start(FORKER, "fork");
        ProbedProcess process = ProbedProcess.attach(target.pid(), following(listener))) {
      Probe probe = process.register(ProbeRequest.at(target.address("work_push"), hit -> {}));
      target.send("hold");
      int pid = Integer.parseInt(target.awaitLine("child ").substring("child ".length()).strip());
      ProbedProcess child = listener.followed.remove();
      Aftermath free = Aftermath.expectedOf(pid, List.of());
      child.close();
      free.assertNoTrace();
      assertThat(ProcFs.memory(pid, target.address("work_push"), 1)).isEqualTo(new byte[]{0x53});
      assertThat(child.end().join()).isEqualTo(new ProcessEnd.Detached());
      assertThat(ProcFs.tracerPid(target.pid())).isNotZero();
      target.send("release");
      target.awaitOk();
      goOnce(target);
      assertThat(probe.hits()).isEqualTo(1);
    }
  }

  /** They hit their parent's probes until they execute a program, which is followed without any. */
  @ParameterizedTest
  @ValueSource(strings = {"vfork", "posix_spawn", "clone_vm"})
  void childrenInTheSameMemory(String kind) throws Exception {
    var calls = new AtomicLong();
    var listener = new Recording() {
      @Override
      public void followed(ProbedProcess parent, ProbedProcess child) {
        super.followed(parent, child);
        assertThat(child.probes()).isEmpty();
        child.register(ProbeRequest.at("forker", "work", hit -> calls.incrementAndGet()));
      }
    };
    try (TargetProcess target = TargetProcess.start(FORKER, kind)) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid(), following(listener))) {
        Probe probe = process.register(ProbeRequest.at(target.address("work"), hit -> {}));
        for (int i = 1; i <= 30; i++) {
          goOnce(target);
          assertThat(listener.created).hasSize(i);
          boolean spawns = kind.equals("posix_spawn");
          assertThat(probe.hits()).isEqualTo(spawns ? i : 2 * i);
          assertThat(calls).hasValue(spawns ? i : 0);
          assertThat(listener.followed).hasSize(spawns ? i : 0);
        }
      }
      Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"exec", "thread_exec"})
  void probesThatAListenerRegistersAreThereBeforeTheNewProgramRuns(String kind) throws Exception {
    List<Probe> first = new ArrayList<>();
    var listener = new Recording() {
      @Override
      public void executed(ProbedProcess process) {
        assertThat(process.probes()).isEmpty();
        // Hit once, before anything else of the program: the dynamic linker jumps there.
        first.add(process.register(ProbeRequest.at("forker", "_start", hit -> {})));
        first.add(process.register(ProbeRequest.at("libc.so.6", "getpid", hit -> {}).whenItIsMapped()));
        super.executed(process);
      }
    };
    try (TargetProcess target = TargetProcess.start(FORKER, kind);
        ProbedProcess process = ProbedProcess.attach(target.pid(),
            ProbingOptions.defaults().withProcessListener(listener))) {
      Probe old = process.register(ProbeRequest.at("forker", "work", hit -> {}));
      target.send("go");
      target.awaitOk();
      if (kind.equals("thread_exec")) {
        target.send("exec");
      }
      target.awaitLine("ready ");
      assertThat(listener.executed).containsExactly(process);
      assertThat(old.isActive()).isFalse();
      assertThat(first).extracting(Probe::hits).containsExactly(1L, 1L);
      old.unregister();
      assertThat(process.probes()).containsExactlyElementsOf(first);
    }
  }

  @Test
  void aListenerThatThrowsOrClosesHoldsNobody() throws Exception {
    var listener = new ProcessListener() {
      @Override
      public void created(ProbedProcess parent, int child) {
        throw new IllegalStateException("on purpose");
      }

      @Override
      public void followed(ProbedProcess parent, ProbedProcess child) {
        child.close();
      }
    };
    try (TargetProcess target = TargetProcess.start(FORKER, "fork")) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid(), following(listener))) {
        Probe probe = process.register(ProbeRequest.at(target.address("work"), hit -> {}));
        for (int i = 0; i < 20; i++) {
          goOnce(target);
        }
        assertThat(probe.hits()).isEqualTo(20);
      }
      var closing = new ProcessListener() {
        @Override
        public void followed(ProbedProcess parent, ProbedProcess child) {
          parent.close();
        }
      };
      ProbedProcess process = ProbedProcess.attach(target.pid(), following(closing));
      process.register(ProbeRequest.at(target.address("work"), hit -> {}));
      goOnce(target);
      Await.until(() -> ProcFs.tracerPid(target.pid()) == 0, () -> "the parent is let go");
      goOnce(target);
    }
  }
}
