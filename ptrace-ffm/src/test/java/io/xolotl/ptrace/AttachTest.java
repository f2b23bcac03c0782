package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Attaching to and detaching from processes in all states. */
class AttachTest {

  private static final int SYS_GETPID = 39;

  private static boolean isTraced(int tid) {
    ProcessStatus status = ProcessStatus.of(tid);
    return status != null && !status.isDead() && status.tracer() != 0;
  }

  @Test
  void allOfAThousandThreadsAreSeizedAndLetGo(
      @RunsFixture(value = FixtureProgram.THREADS, args = "1000") TargetProcess target) {
    int pid = target.pid();
    try (var traced = Traced.attach(pid, new Recorder())) {
      int tracer = traced.tracer.tid();
      assertThat(traced.tracer.call(() -> traced.process.threads().stream().map(TracedThread::tid).toList()))
          .containsExactlyInAnyOrderElementsOf(ProcFs.threads(pid)).hasSize(1001);
      assertThat(ProcFs.threads(pid)).allMatch(tid -> ProcFs.tracerPid(tid) == tracer);
      target.send("round");
      target.awaitOk();
      traced.detach();
      assertThat(ProcFs.threads(pid)).hasSize(1001).allMatch(tid -> ProcFs.tracerPid(tid) == 0);
      target.send("round");
      target.awaitOk();
    }
  }

  @Test
  void threadsThatAreCreatedMeanwhileAreSeizedToo(
      @RunsFixture(value = FixtureProgram.SPAWNER, args = "8") TargetProcess target) {
    target.send("go");
    for (int round = 0; round < 50; round++) {
      var recorder = new Recorder();
      try (var traced = Traced.attach(target.pid(), recorder)) {
        traced.tracer.call(() -> {
          // Nobody is resumed while this runs, but those that were not seized would show.
          assertThat(ProcFs.threads(target.pid())).allMatch(tid -> {
            ProcessStatus status = ProcessStatus.of(tid);
            return status == null || status.isDead() || status.tracer() == traced.tracer.tid();
          });
          return 0;
        });
        traced.detach();
        // Threads live for microseconds, so by the time of the look those of the list are mostly gone.
        assertThat(ProcFs.threads(target.pid())).noneMatch(AttachTest::isTraced);
      }
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void workWithoutEndHoldsNoStopUp(
      @RunsFixture(value = FixtureProgram.SPAWNER, args = "4") TargetProcess target) {
    var recorder = new Recorder();
    try (var traced = Traced.attach(target.pid(), recorder)) {
      var endless = new AtomicBoolean(true);
      traced.tracer.execute(new Runnable() {
        @Override
        public void run() {
          if (endless.get()) {
            traced.tracer.execute(this);
          }
        }
      });
      target.send("go");
      Await.until(() -> recorder.started.get() > 1_000, () -> recorder.started + " threads");
      endless.set(false);
      target.send("stop");
      target.awaitOk();
      traced.detach();
    }
  }

  @Test
  void groupStoppedProcessStaysStoppedUntilItIsContinued(
      @RunsFixture(value = FixtureProgram.FOREVER, args = "3") TargetProcess target) {
    int pid = target.pid();
    target.send("go");
    target.signal("STOP");
    ProcFs.threads(pid).forEach(tid -> ProcFs.awaitState(tid, "T"));
    try (var traced = Traced.attach(pid, new Recorder())) {
      // Some work on the tracer thread lets it take the first stops.
      ProcFs.threads(pid).forEach(tid -> ProcFs.awaitState(tid, "t"));
      target.send("count");
      traced.tracer.call(() -> 0);
      assertThat(ProcFs.threads(pid)).allMatch(tid -> "tT".indexOf(ProcFs.state(tid)) >= 0);
      target.signal("CONT");
      target.awaitLine("count ");
      target.signal("STOP");
      ProcFs.threads(pid).forEach(tid -> ProcFs.awaitState(tid, "tT"));
      traced.detach();
      ProcFs.threads(pid).forEach(tid -> ProcFs.awaitState(tid, "T"));
      assertThat(ProcFs.threads(pid)).noneMatch(AttachTest::isTraced);
    }
    target.signal("CONT");
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void systemCallInAStoppedProcessLeavesItStopped(
      @RunsFixture(value = FixtureProgram.FOREVER, args = "2") TargetProcess target) {
    int pid = target.pid();
    target.send("go");
    target.signal("STOP");
    ProcFs.threads(pid).forEach(tid -> ProcFs.awaitState(tid, "T"));
    var recorder = new Recorder();
    try (var traced = Traced.attach(pid, recorder)) {
      for (int tid : ProcFs.threads(pid)) {
        TracedThread thread = traced.thread(tid);
        assertThat((long) traced.stopped(thread, t -> t.systemCall(SYS_GETPID))).isEqualTo(pid);
        assertThat(recorder.statuses).last().isEqualTo(new WaitStatus.GroupStop(Signals.SIGSTOP));
      }
      target.send("count");
      traced.tracer.call(() -> 0);
      assertThat(ProcFs.threads(pid)).allMatch(tid -> "tT".indexOf(ProcFs.state(tid)) >= 0);
      target.signal("CONT");
      target.awaitLine("count ");
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void processRunsToItsEndUnderTheTracer(@RunsFixture(FixtureProgram.CALLS) TargetProcess target) {
    var recorder = new Recorder();
    try (var traced = Traced.attach(target.pid(), recorder)) {
      target.send("exit");
      assertThat(target.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
      assertThat(recorder.awaitEnd(traced.process.pid())).isEqualTo(new WaitStatus.Exited(0));
      assertThat(traced.tracer.call(traced.process::threads)).isEmpty();
    }
  }

  @Test
  void killedProcessIsReportedAsKilled(
      @RunsFixture(value = FixtureProgram.FOREVER, args = "4") TargetProcess target) {
    var recorder = new Recorder();
    target.send("go");
    try (var traced = Traced.attach(target.pid(), recorder)) {
      target.signal("KILL");
      assertThat(target.exitStatus()).isEqualTo(new ExitStatus.Killed(9));
      assertThat(recorder.awaitEnd(traced.process.pid())).isEqualTo(new WaitStatus.Killed(9, false));
      assertThat(recorder.endedThreads).hasValue(5);
    }
  }

  @Test
  void processIsKilledWhileItsThreadsAreHeld(
      @RunsFixture(value = FixtureProgram.FOREVER, args = "4") TargetProcess target) {
    var recorder = new Recorder();
    try (var traced = Traced.attach(target.pid(), recorder)) {
      traced.tracer.call(() -> {
        traced.process.threads().forEach(TracedThread::interruptAndWait);
        target.signal("KILL");
        return 0;
      });
      assertThat(target.exitStatus()).isEqualTo(new ExitStatus.Killed(9));
      assertThat(recorder.awaitEnd(traced.process.pid())).isInstanceOf(WaitStatus.Ended.class);
    }
  }

  @Test
  void tracerThatIsClosedWithoutDetachingLeavesTheProcessRunning(
      @RunsFixture(value = FixtureProgram.THREADS, args = "4") TargetProcess target) {
    Tracer tracer = Tracer.start("tracer of a test");
    tracer.call(() -> {
      TracedProcess process = TracedProcess.attach(tracer, target.pid(), _ -> new Recorder());
      process.threads().forEach(TracedThread::interruptAndWait);
      return 0;
    });
    tracer.close();
    target.send("round");
    target.awaitOk();
  }

  @Test
  void pendingSignalIsDeliveredBehindTheDetach(
      @RunsFixture(value = FixtureProgram.SIGNALS, args = {"2000", "0.3"}) TargetProcess target) {
    for (int round = 0; round < 20; round++) {
      target.send("go");
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        assertThat(traced.tracer.call(traced.process::threads)).hasSize(1);
      }
      if (round == 19) {
        target.awaitOk();
      }
    }
  }

  @Test
  void processWhoseMainThreadHasEndedIsStillTraced(@TempDir Path directory) {
    Path program = CProgram.build(directory, "leaderless");
    try (var target = TargetProcess.start(List.of(program.toString()))) {
      int pid = target.pid();
      long address = Long.parseUnsignedLong(target.awaitLine("ready ").split(" ")[2], 16);
      ProcFs.awaitState(pid, "Z");
      var recorder = new Recorder();
      try (var traced = Traced.attach(pid, recorder)) {
        TracedThread alive = traced.tracer.call(() -> traced.process.threads().getFirst());
        assertThat(alive.tid()).isNotEqualTo(pid);
        assertThat(traced.process.memory().readLong(address)).isEqualTo(4711);
        assertThat(traced.process.mappings()).isNotEmpty();
        assertThat((long) traced.stopped(alive, t -> t.systemCall(SYS_GETPID))).isEqualTo(pid);
        traced.process.memory().writeLong(address, 4712);
        target.send("");
        target.awaitLine("value 4712");
        target.closeInput();
        target.exitStatus();
        assertThat(recorder.awaitEnd(pid)).isInstanceOf(WaitStatus.Ended.class);
      }
    }
  }

  @Test
  void mainThreadMayEndWhileItIsTraced(@TempDir Path directory) {
    Path program = CProgram.build(directory, "leaderless");
    try (var target = TargetProcess.start(List.of(program.toString(), "wait"))) {
      int pid = target.pid();
      long address = Long.parseUnsignedLong(target.awaitLine("ready ").split(" ")[2], 16);
      var recorder = new Recorder();
      try (var traced = Traced.attach(pid, recorder)) {
        TracedThread main = traced.mainThread();
        target.send("");
        ProcFs.awaitState(pid, "Z");
        assertThat(recorder.ends).isEmpty();
        assertThat(traced.process.memory().readLong(address)).isEqualTo(4711);
        assertThat(traced.process.mappings()).isNotEmpty();
        Assertions.assertThatThrownBy(() -> traced.tracer.call(main::interruptAndWait))
            .isInstanceOfSatisfying(PtraceException.class,
                e -> assertThat(e.reason()).isEqualTo(PtraceException.Reason.THREAD_GONE));
        traced.detach();
        assertThat(ProcFs.threads(pid)).noneMatch(AttachTest::isTraced);
        target.send("");
        target.awaitLine("value 4711");
        target.closeInput();
      }
      target.exitStatus();
    }
  }

  /**
   * It sleeps uninterruptibly until its child is gone (wait_for_vfork_done in kernel/fork.c): nobody waits
   * for its stop.
   */
  @Test
  void creatorOfAVforkChildIsNotWaitedFor(@TempDir Path directory) {
    Path program = CProgram.build(directory, "vforker");
    try (var target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("child");
      ProcFs.awaitState(target.pid(), "D");
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        TracedThread creator = traced.mainThread();
        Assertions
            .assertThatThrownBy(() -> traced.tracer.call(creator::interruptAndWait))
            .isInstanceOfSatisfying(PtraceException.class,
                e -> assertThat(e.reason()).isEqualTo(PtraceException.Reason.NOT_STOPPING))
            // And not that it has not stopped for seconds.
            .hasMessageContaining("until its child of vfork executes a program");
        target.send("");
        target.awaitLine("status 7");
      }
    }
  }
}
