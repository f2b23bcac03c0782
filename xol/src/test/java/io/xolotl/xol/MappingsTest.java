package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.DLOPENER;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Libraries come and go below probes. */
class MappingsTest {

  private static ProbeRequest plugWork() {
    return ProbeRequest.at("libplug.so", "plug_work", hit -> {});
  }

  @Test
  void aProbeWaitsForItsLibraryAndSeesTheConstructor(@RunsFixture(DLOPENER) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertThatThrownBy(() -> process.register(plugWork())).isInstanceOf(ProbeException.class);
      for (int round = 0; round < 5; round++) {
        Probe probe = process.register(plugWork().whenItIsMapped());
        assertThat(probe.isWaiting()).isTrue();
        assertThatThrownBy(probe::address).isInstanceOf(IllegalStateException.class);
        target.send("load");
        target.awaitOk();
        assertThat(probe.isActive()).isTrue();
        assertThat(probe.hits()).as("calls by the constructor").isEqualTo(1);
        target.send("go");
        target.awaitLine("plug ");
        assertThat(probe.hits()).isEqualTo(2);
        target.send("unload");
        target.awaitLine("unloaded");
        assertThat(probe.isActive()).as("after dlclose").isFalse();
        assertThat(probe.isWaiting()).isFalse();
        probe.unregister();
      }
    }
    target.send("load");
    target.awaitOk();
  }

  /** A library whose code lies in other memory than its file is a module like others. */
  @Test
  void codeThatWasMovedBeforeBelongsToItsModule(@RunsFixture(DLOPENER) TargetProcess target)
      throws Exception {
    target.send("load");
    target.awaitOk();
    target.send("move");
    target.awaitLine("moved ");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertThat(process.modules()).contains("libplug.so");
      assertThat(process.functions("libplug.so"))
          .anyMatch(function -> function.names().contains("plug_work"));
      Probe probe = process.register(plugWork());
      assertThat(process.describe(probe.address())).isEqualTo("libplug.so:plug_work");
      target.send("go");
      assertThat(target.awaitLine("plug ")).isEqualTo("plug 61");
      assertThat(probe.hits()).isEqualTo(1);
    }
    target.send("go");
    assertThat(target.awaitLine("plug ")).isEqualTo("plug 61");
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
  }

  @Test
  void codeThatIsMovedWhileProbedStaysProbed(@RunsFixture(DLOPENER) TargetProcess target) throws Exception {
    target.send("load");
    target.awaitOk();
    Aftermath before;
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(plugWork());
      before = Aftermath.expectedOf(target.pid(), List.of());
      target.send("move");
      target.awaitLine("moved ");
      target.send("go");
      assertThat(target.awaitLine("plug ")).isEqualTo("plug 61");
      assertThat(probe.hits()).isEqualTo(1);
      Probe second = process.register(plugWork());
      target.send("go");
      target.awaitLine("plug ");
      assertThat(probe.hits()).isEqualTo(2);
      assertThat(second.hits()).isEqualTo(1);
    }
    target.send("go");
    assertThat(target.awaitLine("plug ")).isEqualTo("plug 61");
    before.assertNoTrace();
  }

  @Test
  void nothingIsWrittenToWhatIsMappedThereLater(@RunsFixture(DLOPENER) TargetProcess target)
      throws Exception {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (int round = 0; round < 5; round++) {
        target.send("load");
        target.awaitOk();
        Probe probe = process.register(plugWork());
        target.send("go");
        target.awaitLine("plug ");
        assertThat(probe.hits()).isEqualTo(1);
        target.send("unload");
        target.awaitLine("unloaded");
        if (round % 2 == 0) {
          probe.unregister();
        }
      }
      target.send("load");
      target.awaitOk();
    }
    target.send("go");
    target.awaitLine("plug ");
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
  }

  @Test
  void aLibraryThatHasNoSuchFunctionFailsTheProbeWhenItComes(@RunsFixture(DLOPENER) TargetProcess target)
      throws Exception {
    var failures = new LinkedBlockingQueue<Throwable>();
    ProbingOptions options = ProbingOptions.defaults()
        .withErrorListener((probe, thrown) -> failures.add(thrown));
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      Probe probe = process.register(ProbeRequest.at("libplug.so", "plug_wrok", hit -> {}).whenItIsMapped());
      target.send("load");
      target.awaitOk();
      assertThat(failures.poll(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .hasMessageContaining("plug_work");
      assertThat(probe.isActive()).isFalse();
      assertThat(probe.isWaiting()).isFalse();
    }
  }

  @Test
  void aLaunchedProgramWaitsForItsLibraries() throws Exception {
    var none = new LaunchRequest.Stream.File(Path.of("/dev/null"), true);
    try (ProbedProcess process = ProbedProcess.launch(
        LaunchRequest.of(List.of("ls", "/")).withStreams(none, none, none),
        ProbingOptions.defaults(), ProbedProcess.LaunchStop.FIRST_INSTRUCTION)) {
      Probe probe = process.register(ProbeRequest.at("libc.so.6", "malloc", hit -> {}).whenItIsMapped());
      assertThat(probe.isWaiting()).isTrue();
      process.start();
      assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .isEqualTo(new ProcessEnd.Exited(0));
      assertThat(probe.hits()).isPositive();
    }
  }

  @Test
  void aStaticProgramHasNobodyToWaitFor(
      @RunsFixture(value = FixtureProgram.STATIC, args = {"1", "1"}) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertThatThrownBy(() -> process.register(plugWork().whenItIsMapped())).isInstanceOfSatisfying(
          ProbeException.class,
          e -> assertThat(e.reason()).isEqualTo(ProbeException.Reason.MODULE_NOT_FOUND));
    }
  }
}
