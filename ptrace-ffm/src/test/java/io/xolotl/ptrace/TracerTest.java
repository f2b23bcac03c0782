package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The tracer thread: its queue, its wake-up and its end. */
class TracerTest {

  private final Tracer tracer = Tracer.start("tracer of a test");

  @AfterEach
  void closeTracer() {
    tracer.close();
  }

  @Test
  void workRunsOnTheTracerThread() {
    assertThat(tracer.isTracerThread()).isFalse();
    assertThat(tracer.call(tracer::isTracerThread)).isTrue();
    assertThat(tracer.call(() -> tracer.call(tracer::isTracerThread))).isTrue();
    assertThat(tracer.call(() -> Thread.currentThread().isVirtual())).isFalse();
  }

  @Test
  void requestsFromOtherThreadsAreRefused() {
    assertThatThrownBy(() -> TracedProcess.attach(tracer, 1, _ -> new Recorder()))
        .isInstanceOf(IllegalStateException.class).hasMessageContaining("Tracer.call");
  }

  @Test
  void whatATaskThrowsIsThrownToItsCaller() {
    assertThatThrownBy(() -> tracer.call(() -> {
      throw new IllegalArgumentException("mine");
    })).isInstanceOf(IllegalArgumentException.class).hasMessage("mine");
    assertThatThrownBy(() -> tracer.call(() -> {
      throw new AssertionError("mine");
    })).isInstanceOf(AssertionError.class).hasMessage("mine");
    assertThatThrownBy(() -> tracer.call(() -> {
      throw new IOException("mine");
    })).isInstanceOf(IllegalStateException.class).hasRootCauseInstanceOf(IOException.class);
    assertThat(tracer.call(() -> 7)).isEqualTo(7);
  }

  @Test
  void workThatThrowsDoesNotEndTheTracer() {
    tracer.execute(() -> {
      throw new IllegalStateException("expected by a test");
    });
    assertThat(tracer.call(() -> 7)).isEqualTo(7);
  }

  /** Work that wakes the tracer up must find it closed already: nothing else wakes it up again. */
  @Test
  void closingEndsTheThreadWheneverItLooks() {
    for (int i = 0; i < 20_000; i++) {
      Tracer closed = Tracer.start("tracer that is closed");
      int n = i;
      assertThat(closed.call(() -> n)).isEqualTo(n);
      closed.close();
      assertThat(closed.isRunning()).isFalse();
    }
  }

  @Test
  void tasksRunInTheOrderInWhichAThreadQueuesThem() {
    var seen = new ArrayList<Integer>();
    for (int i = 0; i < 1000; i++) {
      int n = i;
      tracer.execute(() -> seen.add(n));
    }
    assertThat(tracer.call(() -> List.copyOf(seen))).hasSize(1000).isSorted();
  }

  @Test
  void blockedWaitIsWokenEveryTime(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    // The tracee runs and never stops: only a wake-up gets the tracer out of waitpid.
    tracer.call(() -> TracedProcess.attach(tracer, target.pid(), _ -> new Recorder()));
    for (int i = 0; i < 10_000; i++) {
      int n = i;
      assertThat(tracer.call(() -> n)).isEqualTo(n);
    }
  }

  @Test
  void callsFromManyThreadsWhileEventsRain(
      @RunsFixture(value = FixtureProgram.SPAWNER, args = "4") TargetProcess target) throws Exception {
    var recorder = new Recorder();
    tracer.call(() -> TracedProcess.attach(tracer, target.pid(), _ -> recorder));
    target.send("go");
    var executed = new AtomicInteger();
    try (var callers = Executors.newVirtualThreadPerTaskExecutor()) {
      var results = new ArrayList<Future<Boolean>>();
      for (int i = 0; i < 16; i++) {
        results.add(callers.submit(() -> {
          for (int n = 0; n < 200; n++) {
            int expected = n;
            tracer.execute(executed::incrementAndGet);
            if (tracer.call(() -> expected) != expected) {
              return false;
            }
          }
          return true;
        }));
      }
      for (Future<Boolean> result : results) {
        assertThat(result.get()).isTrue();
      }
    }
    assertThat(tracer.call(executed::get)).isEqualTo(16 * 200);
    assertThat(recorder.stops.get()).isPositive();
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void interruptOfTheCallerIsKeptAndItsResultToo() {
    Thread.currentThread().interrupt();
    assertThat(tracer.call(() -> 7)).isEqualTo(7);
    assertThat(Thread.interrupted()).isTrue();
  }

  @Test
  void interruptFlagThatAHandlerLeavesDoesNotKeepTheTracerAwake() {
    tracer.call(() -> {
      Thread.currentThread().interrupt();
      return 0;
    });
    assertIdle();
  }

  @Test
  void idleTracerUsesNoCpu(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    assertIdle();
    tracer.call(() -> TracedProcess.attach(tracer, target.pid(), _ -> new Recorder()));
    assertIdle();
  }

  /**
   * The tracer thread comes to rest: a hundred milliseconds pass in which it sleeps and is not even woken
   * once. The last wake-up signal may come a little after the work that it was for.
   */
  private void assertIdle() {
    int tid = tracer.call(tracer::tid);
    Await.until(() -> {
      long before = switches(tid);
      if (ProcFs.state(tid) != 'S') {
        return false;
      }
      long end = System.nanoTime() + 100_000_000;
      while (System.nanoTime() < end) {
        Thread.onSpinWait();
      }
      return ProcFs.state(tid) == 'S' && switches(tid) == before;
    }, () -> "the tracer thread is at rest");
  }

  private static long switches(int tid) {
    return Long.parseLong(ProcFs.status(tid, "voluntary_ctxt_switches"))
        + Long.parseLong(ProcFs.status(tid, "nonvoluntary_ctxt_switches"));
  }

  @Test
  void workQueuedBeforeCloseIsDone() {
    var done = new AtomicInteger();
    for (int i = 0; i < 1000; i++) {
      tracer.execute(done::incrementAndGet);
    }
    tracer.close();
    assertThat(done).hasValue(1000);
  }

  @Test
  void closedTracerRefusesWork() {
    tracer.close();
    tracer.close();
    assertThatThrownBy(() -> tracer.call(() -> 7)).isInstanceOfSatisfying(PtraceException.class,
        e -> assertThat(e.reason()).isEqualTo(Reason.CLOSED));
    assertThatThrownBy(() -> tracer.execute(() -> {})).isInstanceOfSatisfying(PtraceException.class,
        e -> assertThat(e.reason()).isEqualTo(Reason.CLOSED));
  }

  @Test
  void closeOnTheTracerThreadEndsIt() {
    tracer.call(() -> {
      tracer.close();
      return 0;
    });
    tracer.close();
    assertThat(tracer.isRunning()).isFalse();
  }

  @Test
  void everyCloserWaitsForTheEnd() throws Exception {
    var release = new CountDownLatch(1);
    tracer.execute(() -> await(release));
    try (var closers = Executors.newFixedThreadPool(4)) {
      var closed = new ArrayList<Future<Boolean>>();
      for (int i = 0; i < 4; i++) {
        closed.add(closers.submit(() -> {
          tracer.close();
          return tracer.isRunning();
        }));
      }
      assertThat(closed).noneMatch(Future::isDone);
      release.countDown();
      for (Future<Boolean> stillRunning : closed) {
        assertThat(stillRunning.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isFalse();
      }
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void callsThatRaceWithCloseEitherRunOrAreRefused() throws Exception {
    try (var callers = Executors.newFixedThreadPool(4)) {
      for (int round = 0; round < 200; round++) {
        Tracer mine = Tracer.start("tracer of round " + round);
        var started = new CountDownLatch(4);
        var ends = new ArrayList<Future<Reason>>();
        for (int i = 0; i < 4; i++) {
          ends.add(callers.submit(() -> {
            started.countDown();
            try {
              while (true) {
                // A request to the kernel: what runs must find a tracer that is whole.
                mine.call(() -> mine.scratch().status.byteSize());
              }
            } catch (PtraceException e) {
              return e.reason();
            }
          }));
        }
        started.await();
        mine.close();
        for (Future<Reason> end : ends) {
          assertThat(end.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isEqualTo(Reason.CLOSED);
        }
      }
    }
  }

  @Test
  void exitStatusesOfTheApplicationsChildrenAreLeftToIt(
      @RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) throws Exception {
    tracer.call(() -> TracedProcess.attach(tracer, target.pid(), _ -> new Recorder()));
    var children = new ArrayList<CompletableFuture<Process>>();
    for (int i = 0; i < 50; i++) {
      Process child = new ProcessBuilder("/bin/sh", "-c", "exit " + (i + 1)).start();
      children.add(child.onExit());
      tracer.call(() -> 0);
    }
    for (int i = 0; i < children.size(); i++) {
      assertThat(children.get(i).get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS).exitValue())
          .isEqualTo(i + 1);
    }
  }

  @Test
  void requestOnAThreadThatIsGoneNamesIt(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    TracedProcess process = tracer
        .call(() -> TracedProcess.attach(tracer, target.pid(), _ -> new Recorder()));
    TracedThread thread = tracer.call(() -> process.threads().getFirst());
    tracer.call(() -> {
      process.detach();
      return 0;
    });
    assertThatThrownBy(() -> tracer.call(() -> {
      thread.interrupt();
      return 0;
    })).isInstanceOfSatisfying(PtraceException.class, e -> {
      assertThat(e.reason()).isEqualTo(Reason.THREAD_GONE);
      assertThat(e.errno()).isEqualTo(Libc.ESRCH);
    }).hasMessageContaining("PTRACE_INTERRUPT").hasMessageContaining("thread " + target.pid());
  }
}
