package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.FORKER;
import static io.xolotl.fixtures.FixtureProgram.SPAWNER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sessions come and go while the process creates others: between any two events of either. */
class StormTest {

  private static final int SESSIONS = 150;

  /**
   * A child that its parent created before the session is not traced; in vfork the parent cannot be stopped,
   * and so nothing be probed, before that child is gone.
   */
  @ParameterizedTest
  @ValueSource(strings = {"fork", "vfork", "posix_spawn"})
  void sessionsComeAndGoWhileChildrenAreCreated(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, kind)) {
      Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("work_push"),
          target.address("work_rip_load"), target.address("work_ret")));
      var stop = new AtomicBoolean();
      var created = new AtomicInteger();
      var children = CompletableFuture.runAsync(() -> {
        for (; !stop.get(); created.incrementAndGet()) {
          target.send("go");
          target.awaitOk();
        }
      }, task -> Thread.ofPlatform().daemon().start(task));
      for (int i = 0; (i < SESSIONS || created.get() < SESSIONS / 4) && !children.isDone(); i++) {
        try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
          process.register(List.of(ProbeRequest.at(target.address("work_rip_load"), hit -> {}),
              ProbeRequest.at(target.address("work_push"), hit -> {}),
              ProbeRequest.at(target.address("work_ret"), hit -> {})));
        }
      }
      stop.set(true);
      children.join();
      before.assertNoTrace();
    }
  }

  /**
   * kernel_clone() asks at its beginning whether its caller is traced: a thread whose creator is attached to
   * in between is not, and dies of the first breakpoint that it executes if nobody looks for it.
   */
  @Test
  void sessionsComeAndGoWhileThreadsAreCreated() throws Exception {
    try (TargetProcess target = TargetProcess.start(SPAWNER, "3")) {
      List<Long> sites = List.of(target.address("thread_entry"), target.address("work_rip_load"),
          target.address("thread_ret"));
      Aftermath before = Aftermath.expectedOf(target.pid(), sites);
      target.send("go");
      for (int i = 0; i < 2 * SESSIONS; i++) {
        try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
          List<Probe> probes = process
              .register(sites.stream().map(a -> ProbeRequest.at(a, hit -> {})).toList());
          if (i % 10 == 0) {
            Await.until(() -> probes.getFirst().hits() > 0, () -> "hits");
          }
        }
      }
      before.assertNoTrace();
      target.send("stop");
      target.awaitOk();
    }
  }

  /**
   * SIGCONT takes effect when it is sent, on what is stopped and on stop signals that wait. One that a thread
   * has taken already, and that the tracer delivers, the kernel gives up if a SIGCONT came since it was taken
   * (JOBCTL_STOP_DEQUEUED in kernel/signal.c), but only at that very stop.
   */
  @Test
  void sessionsComeAndGoWhileTheProcessIsStoppedAndContinued() throws Exception {
    try (TargetProcess target = TargetProcess.start(FOREVER, "2")) {
      List<Long> sites = List.of(target.address("work_rip_load"), target.address("work_push"));
      Aftermath before = Aftermath.expectedOf(target.pid(), sites);
      target.send("go");
      for (int i = 0; i < SESSIONS; i++) {
        Process jobControl = new ProcessBuilder("/bin/sh", "-c",
            "for n in 0 50 200 400 800 1600 3200; do kill -s STOP $0; while [ $n -gt 0 ]; do n=$((n - 1)); done;"
                + " kill -s CONT $0; done",
            "" + target.pid()).inheritIO()
            .start();
        do {
          try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
            process.register(sites.stream().map(a -> ProbeRequest.at(a, hit -> {})).toList());
          }
        } while (jobControl.isAlive());
        assertThat(jobControl.waitFor()).isZero();
        Await.until(() -> ProcFs.threads(target.pid()).stream().noneMatch(tid -> ProcFs.state(tid) == 'T'),
            () -> "nobody is stopped: " + ProcFs.describeThreads(target.pid()));
      }
      target.send("stop");
      target.awaitOk();
      before.assertNoTrace();
    }
  }
}
