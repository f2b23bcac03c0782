package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Sessions end as they should, whatever calls for it and whatever the handlers do at that time. */
class EndingTest {

  @TempDir
  private Path directory;

  /** In a thread of its own: where it hangs it must not hold others up. */
  private static CompletableFuture<Void> closing(ProbedProcess process) {
    return CompletableFuture.runAsync(process::close, task -> Thread.ofPlatform().daemon().start(task));
  }

  @ParameterizedTest
  @EnumSource(ProbedProcess.LaunchStop.class)
  void aLaunchedProgramThatWasNeverStartedStartsWhenTheSessionCloses(ProbedProcess.LaunchStop stop)
      throws Exception {
    Path output = directory.resolve("output");
    var inherited = new LaunchRequest.Stream.Inherited();
    LaunchRequest request = LaunchRequest.of(List.of("echo", "started")).withStreams(inherited,
        new LaunchRequest.Stream.File(output, false), inherited);
    ProbedProcess process = ProbedProcess.launch(request, ProbingOptions.defaults(), stop);
    process.close();
    Await.until(() -> output.toFile().length() > 0, () -> "the output of echo");
    assertThat(Files.readString(output)).isEqualTo("started\n");
  }

  @Test
  void theProcessIsKilledWhileHandlersBlock(@RunsFixture(value = FOREVER, args = "8") TargetProcess target)
      throws Exception {
    var release = new CountDownLatch(1);
    ProbedProcess process = ProbedProcess.attach(target.pid());
    Probe probe = process.register(ProbeRequest.at("forever", "work_rip_load", hit -> release.await())
        .inContext(HandlerContext.TASK));
    target.send("go");
    Await.until(() -> probe.hits() == 8, () -> "hits " + probe.hits());
    target.signal("KILL");
    assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
        .isEqualTo(new ProcessEnd.Killed(9));
    var closed = closing(process);
    assertThat(closed).isNotDone();
    release.countDown();
    closed.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    probe.unregister();
  }

  /** The first thread's handler returns between the kill and the report of it. */
  @Test
  void theProcessIsKilledWhileAHandlerReturns() throws Exception {
    for (int i = 0; i < 20; i++) {
      try (TargetProcess target = TargetProcess.start(FixtureProgram.SIGNALS, "10", "30")) {
        var release = new CountDownLatch(1);
        ProbedProcess process = ProbedProcess.attach(target.pid());
        Probe probe = process.register(ProbeRequest.at(target.address("work_rip_load"), hit -> {
          release.await();
          ProcessHandle.of(target.pid()).ifPresent(ProcessHandle::destroyForcibly);
        }).inContext(HandlerContext.TASK));
        target.send("go");
        Await.until(() -> probe.hits() == 1, () -> "hits " + probe.hits());
        release.countDown();
        closing(process).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
      }
    }
  }

  /** What depends on {@link ProbedProcess#end} runs on the tracer thread, which must not wait for itself. */
  @Test
  void theEndClosesTheSession(@RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    ProbedProcess process = ProbedProcess.attach(target.pid());
    process.end().thenRun(process::close);
    closing(process).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    target.send("go");
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void theEndOfTheProcessClosesTheSessionWhileHandlersBlock(
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    var release = new CountDownLatch(1);
    ProbedProcess process = ProbedProcess.attach(target.pid());
    Probe probe = process.register(ProbeRequest.at("forever", "work_rip_load", hit -> release.await())
        .inContext(HandlerContext.TASK));
    var called = process.end().thenRun(() -> {
      probe.unregister();
      process.close();
    });
    target.send("go");
    Await.until(() -> probe.hits() == 2, () -> "hits " + probe.hits());
    target.signal("KILL");
    called.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    release.countDown();
    closing(process).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aListenerThatThrowsDoesNotHoldTheProgram(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    ProbingOptions options = ProbingOptions.defaults().withErrorListener((probe, thrown) -> {
      throw new AssertionError("listener", thrown);
    });
    ProbedProcess process = ProbedProcess.attach(target.pid(), options);
    Probe probe = process.register(ProbeRequest.at("forever", "work", hit -> {
      throw new IllegalStateException("handler");
    }).inContext(context));
    target.send("go");
    Await.until(() -> probe.hits() > 20, () -> "hits " + probe.hits());
    closing(process).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void anExecutorThatFailsDoesNotHoldTheProgram(
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    ProbingOptions options = ProbingOptions.defaults().withErrorListener((probe, thrown) -> {})
        .withTaskExecutor(task -> {
          throw new OutOfMemoryError("unable to create native thread");
        });
    ProbedProcess process = ProbedProcess.attach(target.pid(), options);
    Probe probe = process
        .register(ProbeRequest.at("forever", "work", hit -> {}).inContext(HandlerContext.TASK));
    target.send("go");
    Await.until(() -> probe.hits() > 20, () -> "hits " + probe.hits());
    closing(process).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    target.send("stop");
    target.awaitOk();
  }
}
