package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static io.xolotl.fixtures.FixtureProgram.DLOPENER;
import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.SLEEPER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Probes come and go while all threads run and hit. */
class RegistrationTest {

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aSecondProbeOnTheNextInstructionComesAndGoesTwoHundredTimes(HandlerContext context,
      @RunsFixture(value = CALLS, args = {"8", "20000"}) TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(),
        List.of(target.address("work_push"), target.address("work_mov")));
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe first = process
          .register(ProbeRequest.at(target.address("work_push"), hit -> {}).inContext(context));
      target.send("go");
      Await.until(() -> first.hits() > 0, () -> "the threads never hit");
      var handled = new AtomicLong();
      long counted = 0;
      for (int i = 0; i < 200; i++) {
        Technique technique = Technique.values()[1 + i % 3];
        Probe second = process
            .register(ProbeRequest.at(target.address("work_mov"), hit -> handled.incrementAndGet()).inContext(
                context).with(technique));
        second.unregister();
        counted += second.hits();
        assertThat(second.isActive()).isFalse();
        // Outside a handler unregister waits for those that run.
        assertThat(handled).hasValue(counted);
      }
      target.awaitOk();
      assertThat(first.hits()).isEqualTo(160_000);
    }
    before.assertNoTrace();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void handlersRegisterAndUnregister(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "8") TargetProcess target) throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(),
        List.of(target.address("work_push"), target.address("work_mov")));
    var cycles = new AtomicInteger();
    var failure = new AtomicReference<Throwable>();
    var inner = new AtomicLong();
    ProbingOptions options = ProbingOptions.defaults()
        .withErrorListener((probe, thrown) -> failure.compareAndSet(null,
            thrown));
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      process.register(ProbeRequest.at(target.address("work_push"), hit -> {
        if (cycles.get() < 300) {
          Probe second = hit.probe().process().register(ProbeRequest.at(target.address("work_mov"), h -> inner
              .incrementAndGet()).inContext(context));
          second.unregister();
          cycles.incrementAndGet();
        }
      }).inContext(context));
      target.send("go");
      Await.until(() -> cycles.get() >= 300 || failure.get() != null,
          () -> "cycles " + cycles);
      assertThat(failure).hasNullValue();
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aHandlerUnregistersItself(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "8") TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (int i = 0; i < 20; i++) {
        var handled = new AtomicLong();
        var done = new CompletableFuture<Boolean>();
        Probe probe = process.register(ProbeRequest.at(target.address("work_push"), hit -> {
          handled.incrementAndGet();
          hit.probe().unregister();
          done.complete(hit.probe().isActive());
        }).inContext(context));
        if (i == 0) {
          target.send("go");
        }
        assertThat(done.orTimeout(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS).join()).isFalse();
        probe.unregister();
        long after = handled.get();
        assertThat(after).isEqualTo(probe.hits());
      }
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void twoThousandProbesInOneCall(@RunsFixture(SLEEPER) TargetProcess target) throws Exception {
    List<Long> addresses = new ArrayList<>();
    List<Probe> probes;
    Aftermath before;
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      List<ProbeRequest> requests = new ArrayList<>();
      for (ModuleFunction function : process.functions("libc.so.6")) {
        ProbeRequest request = ProbeRequest.at(function.address(), hit -> {});
        if (requests.size() < 2_000 && isAccepted(process, request)) {
          requests.add(request);
          addresses.add(function.address());
        }
      }
      before = Aftermath.expectedOf(target.pid(), addresses);
      probes = process.register(requests);
      assertThat(probes).hasSize(2_000).allMatch(Probe::isActive);
      for (Probe probe : probes) {
        assertThat(process.memory().readText(probe.address(), 1)).containsExactly(0xcc);
      }
    }
    assertThat(probes).noneMatch(Probe::isActive);
    before.assertNoTrace();
  }

  /** What starts with an instruction that cannot be displaced is left out. */
  private static boolean isAccepted(ProbedProcess process, ProbeRequest request) {
    try {
      process.register(request).unregister();
      return true;
    } catch (ProbeException e) {
      assertThat(e.reason()).isIn(ProbeException.Reason.INSTRUCTION_REFUSED,
          ProbeException.Reason.BREAKPOINT_EXISTS, ProbeException.Reason.SIGNAL_TRAMPOLINE);
      return false;
    }
  }

  @Test
  void oneRefusalUndoesTheWholeCall(@RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    List<Long> sites = List.of(target.address("work_push"), target.address("work_rip_load"),
        target.address("work_ret"));
    Aftermath before = Aftermath.expectedOf(target.pid(), sites);
    target.send("go");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      List<ProbeRequest> requests = new ArrayList<>();
      for (long site : sites) {
        requests.add(ProbeRequest.at(site, hit -> {}));
      }
      requests.add(ProbeRequest.at(target.address("work_mov") + 1, hit -> {}));
      Assertions.assertThatThrownBy(() -> process.register(requests))
          .isInstanceOfSatisfying(
              ProbeException.class, e -> assertThat(e.reason()).isEqualTo(
                  ProbeException.Reason.NOT_AN_INSTRUCTION_BOUNDARY));
      for (long site : sites) {
        assertThat(process.memory().readText(site, 1)[0]).isNotEqualTo((byte) 0xcc);
      }
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  /** What is mapped where a probed library was is not probed, also where it is the same library again. */
  @Test
  void aLibraryIsUnloadedBelowItsProbeAndLoadedAgain(@RunsFixture(DLOPENER) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      long earlier = 0;
      boolean reused = false;
      for (int i = 0; i < 4; i++) {
        target.send("load");
        long address = Long.parseLong(target.awaitLine("loaded ").substring("loaded ".length()), 16);
        target.awaitOk();
        reused |= address == earlier;
        earlier = address;
        Probe probe = process.register(ProbeRequest.at("libplug.so", "plug_work", hit -> {}));
        target.send("go");
        target.awaitLine("plug 61");
        assertThat(probe.hits()).isEqualTo(1);
        target.send("unload");
        target.awaitLine("unloaded");
      }
      assertThat(reused).isTrue();
    }
  }
}
