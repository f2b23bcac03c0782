package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.UserRegister;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.RejectedExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What requests refuse, and when a probe ends by its errors. */
class RequestsTest {

  private static final ProbeLocation HERE = new ProbeLocation.Address(1);

  @Test
  @SuppressWarnings("DataFlowIssue") // Callers without a nullness check.
  void nullIsRefusedAtOnce() {
    ProbeHandler none = null;
    assertThatThrownBy(() -> ProbeRequest.at(HERE, none)).isInstanceOf(NullPointerException.class)
        .hasMessage("handler");
    assertThatThrownBy(() -> ProbeRequest.at((ProbeLocation) null, _ -> {})).hasMessage("location");
    assertThatThrownBy(() -> ProbeRequest.at(null, "malloc", _ -> {})).hasMessage("module");
    assertThatThrownBy(() -> ProbeRequest.at("libc.so.6", null, _ -> {})).hasMessage("symbol");
    ProbeRequest request = ProbeRequest.at(HERE, _ -> {});
    assertThatThrownBy(() -> request.inContext(null)).hasMessage("context");
    assertThatThrownBy(() -> request.under(null)).hasMessage("policy");
    assertThatThrownBy(() -> request.with((Technique) null)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> request.onlyIf(null)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> request.inThreads(null)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> request.inThreads(Set.of())).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new ProbeLocation.Symbol("m", "f", -1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new ProbeLocation.Written("m")).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> ReturnProbeRequest.of(HERE, null, (_, _) -> {})).hasMessage("onEntry");
    assertThatThrownBy(() -> ReturnProbeRequest.<Object>of(HERE, _ -> "", null)).hasMessage("onReturn");
    assertThatThrownBy(() -> ProbingOptions.defaults().withErrorListener(null)).hasMessage("errorListener");
    int self = (int) ProcessHandle.current().pid();
    assertThatThrownBy(() -> ProbedProcess.attach(self, null)).hasMessage("options");
    assertThatThrownBy(() -> ProbedProcess.launch(null)).hasMessage("request");
    LaunchRequest launch = LaunchRequest.of(List.of("true"));
    assertThatThrownBy(() -> ProbedProcess.launch(launch, null)).hasMessage("options");
    assertThatThrownBy(() -> launch.withStreams(launch.input(), null, launch.error())).hasMessage("output");
    assertThatThrownBy(() -> request.withErrorLimit(0)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void theOptionsOfALaunchAreUsed() {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.launch(LaunchRequest.of(List.of("true")),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      process.register(ProbeRequest.at("libc.so.6", "exit", _ -> {
        throw new IllegalStateException("mine");
      }));
      process.start();
      assertThat(process.end().join()).isEqualTo(new ProcessEnd.Exited(0));
    }
    assertThat(errors).singleElement().isInstanceOf(IllegalStateException.class);
  }

  @Test
  void threadsThatDoNotExistAreRefused(@RunsFixture(value = FOREVER, args = "2") TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      long site = target.address("work_push");
      int other = (int) ProcessHandle.current().pid();
      for (int stranger : List.of(0, -1, other, Integer.MAX_VALUE)) {
        ProbeRequest request = ProbeRequest.at(site, _ -> {}).inThreads(Set.of(target.pid(), stranger));
        assertThatThrownBy(() -> process.register(request)).isInstanceOfSatisfying(ProbeException.class,
            e -> {
              assertThat(e.reason()).isEqualTo(ProbeException.Reason.NO_SUCH_THREAD);
              assertThat(e).hasMessage("process " + target.pid() + " has no thread " + stranger);
            });
        Registration some = process.registerPossible(
            List.of(request, ProbeRequest.at(site, _ -> {}).inThreads(Set.copyOf(process.threadIds()))));
        assertThat(some.probes()).hasSize(1);
        assertThat(some.refused()).singleElement()
            .satisfies(refused -> assertThat(refused.request()).isEqualTo(request));
        some.probes().forEach(Probe::unregister);
      }
      assertThat(process.probes()).isEmpty();
      assertThatThrownBy(() -> process.register(
          ReturnProbeRequest.of(new ProbeLocation.Address(target.address("work")), _ -> "", (_, _) -> {})
              .inThreads(Set.of(other))))
          .isInstanceOf(ProbeException.class).hasMessageContaining("has no thread " + other);
      assertThat(process.returnProbes()).isEmpty();
    }
  }

  @Test
  void aModuleThatIsMissingMayBeWaitedFor(@RunsFixture(value = FOREVER, args = "1") TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      ProbeRequest request = ProbeRequest.at("libplug.so", "plug_work", _ -> {});
      assertThatThrownBy(() -> process.register(request)).isInstanceOf(ProbeException.class)
          .hasMessageContaining("has no module 'libplug.so'")
          .hasMessageEndingWith("; a request with whenItIsMapped() waits for it");
      assertThat(process.register(request.whenItIsMapped()).isWaiting()).isTrue();
    }
  }

  private static void failAlways(ProbeHit hit) {
    throw new IllegalStateException("hit " + hit.number());
  }

  /** The last error is told, then that it was the last; and no thread of the program runs it from there on. */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aProbeEndsWithItsLastError(HandlerContext context,
      @RunsFixture(value = CALLS, args = {"4", "1000"}) TargetProcess target) {
    long failures;
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      Probe limited = process.register(
          ProbeRequest.at("calls", "work", RequestsTest::failAlways).inContext(context).withErrorLimit(10));
      Probe other = process.register(ProbeRequest.at("calls", "work", _ -> {}));
      target.send("go");
      target.awaitOk();
      assertThat(other.hits()).isEqualTo(4_000);
      assertThat(limited.isActive()).isFalse();
      assertThat(process.probes()).containsExactly(other);
      // In task context three others may have run at that moment, and no other has begun.
      assertThat(limited.errors()).isBetween(10L, context == HandlerContext.TASK ? 13L : 10L)
          .isEqualTo(limited.hits());
      assertThat(process.statistics().lost()).containsEntry(ProbeException.Reason.TOO_MANY_ERRORS, 1L);
      failures = limited.errors();
    }
    assertThat(errors).hasSize((int) failures + 1);
    assertThat(errors.stream().filter(ProbeException.class::isInstance)).singleElement().satisfies(
        e -> assertThat(((ProbeException) e).reason()).isEqualTo(ProbeException.Reason.TOO_MANY_ERRORS));
  }

  @Test
  void aConditionThatFailsCounts(@RunsFixture(value = CALLS, args = {"1", "100"}) TargetProcess target) {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      Probe probe = process.register(ProbeRequest.at("calls", "work", _ -> {}).onlyIf(_ -> {
        throw new IllegalStateException("condition");
      }).withErrorLimit(3));
      target.send("go");
      target.awaitOk();
      assertThat(probe.hits()).isZero();
      assertThat(probe.errors()).isEqualTo(3);
      assertThat(probe.isActive()).isFalse();
      assertThat(errors).hasSize(4);
    }
  }

  @Test
  void anExecutorThatRejectsCounts(@RunsFixture(value = CALLS, args = {"2", "100"}) TargetProcess target) {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown))
            .withTaskExecutor(_ -> {
              throw new RejectedExecutionException("full");
            }))) {
      Probe probe = process.register(
          ProbeRequest.at("calls", "work", _ -> {}).inContext(HandlerContext.TASK).withErrorLimit(5));
      target.send("go");
      target.awaitOk();
      assertThat(probe.errors()).isEqualTo(5);
      assertThat(probe.hits()).isEqualTo(5);
      assertThat(errors).hasSize(6);
    }
  }

  /** The engine's own failures are no errors of the user's. */
  @Test
  void whatTheEngineCannotDoDoesNotCount(
      @RunsFixture(value = CALLS, args = {"1", "100"}) TargetProcess target) {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      // Who is called with a stack that cannot be read: the handler of another probe sees to that.
      Probe spoils = process.register(ProbeRequest.at("calls", "work", hit -> {
        hit.registers().set(UserRegister.R11, hit.registers().rsp());
        hit.registers().rsp(16);
      }));
      ReturnProbe probe = process.register(
          ReturnProbeRequest.of(new ProbeLocation.Symbol("calls", "work", 0), _ -> true, (_, _) -> {})
              .withErrorLimit(3));
      Probe mends = process.register(
          ProbeRequest.at("calls", "work",
              hit -> hit.registers().rsp(hit.registers().get(UserRegister.R11))));
      target.send("go");
      target.awaitOk();
      assertThat(probe.calls()).isEqualTo(100);
      assertThat(spoils.hits()).isEqualTo(mends.hits()).isEqualTo(100);
      assertThat(errors).hasSize(100);
      assertThat(probe.errors()).isZero();
      assertThat(probe.isActive()).isTrue();
    }
  }

  @Test
  void aProbeThatIsUnregisteredWhileItFailsIsNotSaidToEnd(
      @RunsFixture(value = CALLS, args = {"1", "100"}) TargetProcess target) {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      process.register(ProbeRequest.at("calls", "work", hit -> {
        hit.probe().unregister();
        throw new IllegalStateException("last");
      }).withErrorLimit(1));
      target.send("go");
      target.awaitOk();
      assertThat(errors).singleElement().isInstanceOf(IllegalStateException.class);
      assertThat(process.statistics().lost()).isEmpty();
    }
  }

  /** Both handlers count together, and the whole return probe ends. */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aReturnProbeEndsWithItsLastError(HandlerContext context,
      @RunsFixture(value = CALLS, args = {"2", "500"}) TargetProcess target) {
    long failures;
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      ReturnProbe probe = process.register(ReturnProbeRequest.of(new ProbeLocation.Symbol("calls", "work", 0),
          hit -> {
            if (hit.number() % 2 == 0) {
              throw new IllegalStateException("entry");
            }
            return hit.number();
          }, (_, number) -> {
            throw new IllegalStateException("return of " + number);
          }).inContext(context).withErrorLimit(20));
      target.send("go");
      target.awaitOk();
      assertThat(probe.isActive()).isFalse();
      assertThat(process.returnProbes()).isEmpty();
      assertThat(probe.errors()).isBetween(20L, context == HandlerContext.TASK ? 22L : 20L);
      failures = probe.errors();
    }
    assertThat(errors).hasSize((int) failures + 1);
  }
}
