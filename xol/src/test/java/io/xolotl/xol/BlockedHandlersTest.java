package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.FORKER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whoever waits for code of a user's that blocks has it interrupted, and goes on. */
@Execution(ExecutionMode.CONCURRENT)
class BlockedHandlersTest {

  private static CompletableFuture<Void> inAnotherThread(Runnable action) {
    return CompletableFuture.runAsync(action, task -> Thread.ofPlatform().start(task));
  }

  /** Blocks until it is interrupted. */
  private static void block() throws InterruptedException {
    new CountDownLatch(1).await();
  }

  private static void blockUnchecked() {
    try {
      block();
    } catch (InterruptedException e) {
      // As most code does it, with the flag for whoever comes next.
      Thread.currentThread().interrupt();
    }
  }

  @ParameterizedTest
  @CsvSource({"INTERRUPT,close", "INTERRUPT,unregister", "INTERRUPT,register", "INTERRUPT,threads",
      "INTERRUPT,attach",
      "INTERRUPT,leave", "INTERRUPT,leaveOther", "TASK,close", "TASK,unregister", "TASK,leave"})
  void everyWait(HandlerContext context, String wait,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    List<Long> sites = List.of(target.address("work_push"), target.address("work_mov"));
    Aftermath before = Aftermath.expectedOf(target.pid(), sites);
    var entered = new CountDownLatch(1);
    var handled = new AtomicLong();
    var errors = new ConcurrentLinkedQueue<Throwable>();
    ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((probe, thrown) -> errors.add(thrown)));
    ProbedProcess other = wait.startsWith("leave") ? ProbedProcess.attach(target.pid()) : null;
    var first = new AtomicInteger();
    Probe probe = process.register(ProbeRequest.at(sites.getFirst(), hit -> {
      handled.incrementAndGet();
      if (first.getAndIncrement() == 0) {
        entered.countDown();
        block();
      }
    }).inContext(context));
    target.send("go");
    assertThat(entered.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    inAnotherThread(() -> {
      switch (wait) {
        case "close", "leave" -> process.close();
        case "unregister" -> probe.unregister();
        case "register" -> process.register(ProbeRequest.at(sites.get(1), hit -> {}));
        case "threads" -> assertThat(process.threadIds()).hasSizeGreaterThanOrEqualTo(2);
        case "attach" -> ProbedProcess.attach(target.pid()).close();
        case "leaveOther" -> Objects.requireNonNull(other).close();
        default -> throw new AssertionError(wait);
      }
    }).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    if (Set.of("register", "threads", "attach", "leaveOther").contains(wait)) {
      long then = probe.hits();
      Await.until(() -> probe.hits() > then + 100, () -> "the probe works on: " + probe.hits());
    }
    process.close();
    if (other != null) {
      other.close();
    }
    assertThat(probe.hits()).isEqualTo(handled.get());
    assertThat(errors).hasSize(1).first().isInstanceOf(InterruptedException.class);
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  /** All that runs on the tracer thread is of the same kind. */
  @ParameterizedTest
  @ValueSource(strings = {"condition", "errorListener", "executor", "end", "handlerThatSwallows"})
  void everyCode(String kind, @RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    long site = target.address("work_rip_load");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    var entered = new CountDownLatch(1);
    Runnable blocks = () -> {
      entered.countDown();
      blockUnchecked();
    };
    ProbingOptions options = ProbingOptions.defaults().withErrorListener((probe, thrown) -> {
      if (kind.equals("errorListener")) {
        blocks.run();
      }
    });
    if (kind.equals("executor")) {
      options = options.withTaskExecutor(task -> {
        blocks.run();
        Thread.ofVirtual().start(task);
      });
    }
    ProbedProcess process = ProbedProcess.attach(target.pid(), options);
    ProbedProcess waiting = ProbedProcess.attach(target.pid());
    var flags = new AtomicInteger();
    ProbeRequest request = ProbeRequest.at(site, hit -> {
      flags.addAndGet(Thread.currentThread().isInterrupted() ? 1 : 0);
      switch (kind) {
        case "errorListener" -> throw new IllegalStateException("for the listener");
        case "handlerThatSwallows" -> {
          blocks.run();
          Thread.interrupted();
          block();
        }
        default -> {
          // Something else blocks.
        }
      }
    });
    switch (kind) {
      case "condition" -> request = request.onlyIf(registers -> {
        flags.addAndGet(Thread.currentThread().isInterrupted() ? 1 : 0);
        blocks.run();
        return true;
      });
      case "executor" -> request = request.inContext(HandlerContext.TASK);
      default -> {
        // It is a handler in interrupt context.
      }
    }
    if (kind.equals("end")) {
      process.end().thenRun(blocks);
    } else {
      process.register(request);
    }
    target.send("go");
    if (kind.equals("end")) {
      target.signal("KILL");
    }
    assertThat(entered.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    inAnotherThread(process::close).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    inAnotherThread(waiting::close).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    assertThat(flags).as("handlers that were called with the flag of another").hasValue(0);
    if (!kind.equals("end")) {
      before.assertNoTrace();
      target.send("stop");
      target.awaitOk();
    }
  }

  @Test
  void aProcessListener(@RunsFixture(value = FORKER, args = "fork") TargetProcess target) throws Exception {
    var entered = new CountDownLatch(1);
    var calls = new AtomicInteger();
    ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withProcessListener(new ProcessListener() {
          @Override
          public void created(ProbedProcess parent, int child) {
            if (calls.getAndIncrement() == 0) {
              entered.countDown();
              blockUnchecked();
            }
          }
        }));
    target.send("hold");
    assertThat(entered.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    inAnotherThread(process::close).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    target.send("release");
    target.awaitOk();
  }

  /**
   * Closed from a listener the session ends at once, and whoever waits for that waits for the listener too.
   */
  @Test
  void aListenerThatHasClosedTheSession(@RunsFixture(value = FORKER, args = "fork") TargetProcess target)
      throws Exception {
    var entered = new CountDownLatch(1);
    ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withProcessListener(new ProcessListener() {
          @Override
          public void created(ProbedProcess parent, int child) {
            parent.close();
            entered.countDown();
            blockUnchecked();
          }
        }));
    target.send("hold");
    assertThat(entered.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    inAnotherThread(process::close).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    target.send("release");
    target.awaitOk();
  }

  /**
   * The flag is the handler's: the next job of the thread does not have it, and a handler that sets it itself
   * keeps it there.
   */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void theNextJobOfTheThreadIsNotInterrupted(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    long site = target.address("work_push");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    try (var executor = Executors.newSingleThreadExecutor()) {
      var entered = new CountDownLatch(1);
      var calls = new AtomicInteger();
      var flags = new AtomicInteger();
      Set<Thread> threads = ConcurrentHashMap.newKeySet();
      try (ProbedProcess process = ProbedProcess.attach(target.pid(),
          ProbingOptions.defaults().withTaskExecutor(executor))) {
        Probe blocking = process.register(ProbeRequest.at(site, hit -> {
          threads.add(Thread.currentThread());
          if (calls.getAndIncrement() == 0) {
            entered.countDown();
            blockUnchecked();
          }
        }).inContext(context));
        Probe next = process.register(ProbeRequest.at(site, hit -> {
          threads.add(Thread.currentThread());
          flags.addAndGet(Thread.currentThread().isInterrupted() ? 1 : 0);
        }).inContext(context));
        target.send("go");
        assertThat(entered.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        inAnotherThread(blocking::unregister).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
        Await.until(() -> next.hits() > 100, () -> "hits " + next.hits());
        if (context == HandlerContext.TASK) {
          assertThat(executor.submit(() -> Thread.currentThread().isInterrupted())
              .get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isFalse();
        }
      }
      assertThat(threads).hasSize(1);
      assertThat(flags).hasValue(0);
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  /** Nothing of the library's is interruptible: neither in a thread of the user's nor in a handler. */
  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void anInterruptedThreadUsesTheLibrary(HandlerContext context,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    long site = target.address("work_push");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    target.send("go");
    var errors = new ConcurrentLinkedQueue<Throwable>();
    inAnotherThread(() -> {
      Thread.currentThread().interrupt();
      ProbedProcess process = ProbedProcess.attach(target.pid(),
          ProbingOptions.defaults().withErrorListener((probe, thrown) -> errors.add(thrown)));
      var used = new CompletableFuture<Boolean>();
      var calls = new AtomicInteger();
      process.register(ProbeRequest.at("forever", "work_rip_load", hit -> {
        if (calls.getAndIncrement() > 0) {
          // The session may be closed meanwhile.
          return;
        }
        Thread.currentThread().interrupt();
        Probe inner = process.register(ProbeRequest.at("forever", "work_mov", h -> {}));
        inner.unregister();
        assertThat(process.describe(site)).contains("work");
        assertThat(process.mappings()).isNotEmpty();
        assertThat(hit.vectorState()).isNotNull();
        used.complete(Thread.currentThread().isInterrupted());
      }).inContext(context));
      assertThat(process.functions("forever")).isNotEmpty();
      used.join();
      process.close();
      assertThat(Thread.interrupted()).isTrue();
      assertThat(used).isCompletedWithValue(true);
    }).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    assertThat(errors).isEmpty();
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }
}
