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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Threads and processes that a traced process creates, and programs that it executes. */
class CreationTest {

  @Test
  void everyOfManyThousandThreadsIsSeen(
      @RunsFixture(value = FixtureProgram.SPAWNER, args = "8") TargetProcess target) {
    var recorder = new Recorder();
    try (var traced = Traced.attach(target.pid(), recorder)) {
      target.send("go");
      Await.until(() -> recorder.started.get() > 10_000, () -> "10,000 threads");
      target.send("stop");
      long created = Long.parseLong(target.awaitLine("created ").split(" ")[1]);
      target.awaitOk();
      traced.tracer.call(() -> 0);
      assertThat(recorder.started).hasValue(created);
      // The last are joined a little before they are gone.
      Await.until(() -> recorder.endedThreads.get() == created, () -> created + " ends");
      assertThat(traced.tracer.call(() -> traced.process.threads().stream().map(TracedThread::tid).toList()))
          .containsExactlyInAnyOrderElementsOf(ProcFs.threads(target.pid())).hasSize(9);
    }
  }

  @ParameterizedTest
  @CsvSource({"fork, false", "vfork, true", "posix_spawn, true", "clone_vm, true"})
  void childrenAreReported(String mode, boolean sharesMemory) {
    try (var target = TargetProcess.start(FixtureProgram.FORKER, mode)) {
      var recorder = new Recorder();
      try (var traced = Traced.attach(target.pid(), recorder)) {
        for (int round = 0; round < 20; round++) {
          target.send("go");
          int child = Integer.parseInt(target.awaitLine("child ").split(" ")[1]);
          target.awaitOk();
          Await.until(() -> recorder.ends.containsKey(child), () -> "the end of child " + child);
          assertThat(recorder.children).hasSize(round + 1).last().satisfies(reported -> {
            assertThat(reported.process().pid()).isEqualTo(child);
            assertThat(reported.parent()).isSameAs(traced.process);
            assertThat(reported.sharesMemory()).isEqualTo(sharesMemory);
          });
          assertThat(recorder.executed).hasSize(mode.equals("posix_spawn") ? round + 1 : 0);
          assertThat(recorder.ends.get(child)).isInstanceOf(WaitStatus.Exited.class);
        }
        assertThat(recorder.started).hasValue(0);
      }
    }
  }

  @Test
  void childIsStoppedBeforeItsFirstInstructionAndCanBeLetGo() {
    try (var target = TargetProcess.start(FixtureProgram.FORKER, "fork")) {
      var recorder = new Recorder() {
        @Override
        public void processCreated(TracedProcess parent, TracedProcess child, TracedThread thread,
            boolean sharesMemory) {
          children.add(new Child(parent, child, sharesMemory));
          var registers = new Registers();
          thread.readRegisters(registers);
          // fork returns 0 in the child.
          assertThat(registers.rax()).isZero();
          assertThat(child.memory().readText(registers.rip(), 1)).hasSize(1);
          assertThat(thread.systemCall(39)).isEqualTo(child.pid());
          thread.detach(0);
        }
      };
      try (var traced = Traced.attach(target.pid(), recorder)) {
        assertThat(traced.process.pid()).isEqualTo(target.pid());
        target.send("hold");
        int child = Integer.parseInt(target.awaitLine("child ").split(" ")[1]);
        assertThat(ProcFs.tracerPid(child)).isZero();
        assertThat(recorder.children).singleElement()
            .satisfies(c -> assertThat(c.process().pid()).isEqualTo(child));
        target.send("release");
        target.awaitOk();
      }
    }
  }

  @Test
  void childOfAForkWhoseParentIsKilledBeforeItsEventIsNotLost() {
    try (var target = TargetProcess.start(FixtureProgram.FORKER, "fork")) {
      int pid = target.pid();
      var recorder = new Recorder();
      var release = new CountDownLatch(1);
      try (var traced = Traced.attach(pid, recorder)) {
        // While the tracer is busy nothing is taken from the kernel.
        traced.tracer.execute(() -> await(release));
        target.send("go");
        ProcFs.awaitState(pid, "t");
        Await.until(() -> !childrenOf(pid).isEmpty(), () -> "a child");
        int child = childrenOf(pid).getFirst();
        ProcFs.awaitState(child, "t");
        target.signal("KILL");
        ProcFs.awaitState(pid, "Zt");
        release.countDown();
        Await.until(() -> recorder.ends.containsKey(pid), () -> "the end of the parent");
        Await.until(() -> recorder.ends.containsKey(child), () -> "the end of the child");
        assertThat(recorder.children).singleElement()
            .satisfies(c -> assertThat(c.process().pid()).isEqualTo(child));
      }
    }
  }

  private static List<Integer> childrenOf(int pid) {
    try {
      var children = new ArrayList<Integer>();
      for (String id : Files.readString(Path.of("/proc/" + pid + "/task/" + pid + "/children")).trim()
          .split(" ")) {
        if (!id.isEmpty()) {
          children.add(Integer.valueOf(id));
        }
      }
      return children;
    } catch (IOException e) {
      return List.of();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      if (!latch.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        throw new IllegalStateException("not released");
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void childThatIsKilledBeforeItsCreatorsEventDoesNotKeepTheCreator() {
    try (var target = TargetProcess.start(FixtureProgram.FORKER, "fork")) {
      int pid = target.pid();
      var recorder = new Recorder();
      var release = new CountDownLatch(1);
      try (var traced = Traced.attach(pid, recorder)) {
        traced.tracer.execute(() -> await(release));
        target.send("go");
        ProcFs.awaitState(pid, "t");
        Await.until(() -> !childrenOf(pid).isEmpty(), () -> "a child");
        int child = childrenOf(pid).getFirst();
        ProcFs.awaitState(child, "t");
        assertThat(ProcessHandle.of(child).orElseThrow().destroyForcibly()).isTrue();
        ProcFs.awaitState(child, "Zt");
        release.countDown();
        target.awaitLine("child " + child);
        // Killed as it was, it has not returned what it should.
        target.awaitLine("BAD");
        assertThat(target.isAlive()).isTrue();
      }
    }
  }

  @Test
  void programThatIsExecutedReplacesAllThreads() {
    try (var target = TargetProcess.start(FixtureProgram.FORKER, "exec")) {
      var recorder = new Recorder();
      try (var traced = Traced.attach(target.pid(), recorder)) {
        for (int round = 1; round <= 20; round++) {
          TracedThread before = traced.mainThread();
          target.send("go");
          target.awaitOk();
          target.awaitLine("ready " + target.pid());
          assertThat(recorder.executed).hasSize(round);
          TracedThread after = traced.mainThread();
          assertThat(after).isNotSameAs(before).isSameAs(List.copyOf(recorder.executed).getLast());
          assertThatThrownBy(() -> traced.tracer.call(() -> before.interruptAndWait()))
              .isInstanceOfSatisfying(PtraceException.class,
                  e -> assertThat(e.reason()).isEqualTo(Reason.THREAD_GONE));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"main", "other"})
  void execFromAnyThreadWhileOthersRun(String who, @TempDir Path directory) {
    Path program = CProgram.build(directory, "execer");
    for (int round = 0; round < 10; round++) {
      try (var target = TargetProcess.start(List.of(program.toString(), who))) {
        int pid = target.pid();
        target.awaitLine("ready ");
        var recorder = new Recorder();
        try (var traced = Traced.attach(pid, recorder)) {
          target.send("");
          target.awaitLine("executed");
          assertThat(recorder.executed).singleElement().satisfies(t -> assertThat(t.tid()).isEqualTo(pid));
          assertThat(traced.tracer.call(traced.process::threads))
              .containsExactly(recorder.executed.element());
          target.closeInput();
          target.exitStatus();
          assertThat(recorder.awaitEnd(pid)).isEqualTo(new WaitStatus.Exited(0));
        }
      }
    }
  }

  @Test
  void execWhileAStopOfTheMainThreadIsHandledIsNoticed(@TempDir Path directory) {
    Path program = CProgram.build(directory, "execer");
    try (var target = TargetProcess.start(List.of(program.toString(), "pair"))) {
      target.awaitLine("ready ");
      var recorder = new Recorder();
      try (var traced = Traced.attach(target.pid(), recorder)) {
        TracedThread main = traced.mainThread();
        traced.tracer.call(() -> {
          main.interruptAndWait();
          int known = stopCode(main);
          // The other thread reads the line and executes, which ends this one in its stop.
          target.send("");
          Await.until(() -> stopCode(main) != known, () -> "the end of the stop");
          // Meant for the stop that is known here: it must not reach the thread that has this id now.
          assertThatThrownBy(() -> main.cont(0)).isInstanceOfSatisfying(PtraceException.class,
              e -> assertThat(e.reason()).isEqualTo(Reason.THREAD_GONE));
          return 0;
        });
        target.awaitLine("executed");
        assertThat(recorder.executed).hasSize(1);
        assertThat(traced.tracer.call(traced.process::threads)).containsExactly(recorder.executed.element());
      }
    }
  }

  /**
   * {@code si_code} of the ptrace-stop that a thread is in: event << 8 | SIGTRAP; 0 if it is in none just
   * then.
   */
  private static int stopCode(TracedThread thread) {
    try {
      var info = new SignalInfo();
      thread.readSignalInfo(info);
      return info.code();
    } catch (PtraceException e) {
      assertThat(e.reason()).isEqualTo(Reason.THREAD_GONE);
      return 0;
    }
  }

  @Test
  void threadsAreCreatedByAllThreadsOfALaunchedProgram() {
    var recorder = new Recorder();
    Path null_ = Path.of("/dev/null");
    LaunchRequest request = LaunchRequest.of(List.of(FixtureProgram.CALLS.path().toString(), "50", "10"))
        .withStreams(
            new LaunchRequest.Stream.File(null_, false), new LaunchRequest.Stream.File(null_, false),
            new LaunchRequest.Stream.Inherited());
    try (var traced = Traced.launch(request, recorder)) {
      int pid = traced.process.pid();
      traced.tracer.call(() -> {
        traced.process.threads().getFirst().cont(0);
        return 0;
      });
      assertThat(recorder.awaitEnd(pid)).isEqualTo(new WaitStatus.Exited(0));
      // It exits at once, and so may end a thread before that has stopped for the first time.
      assertThat(recorder.endedThreads).hasValue(51);
    }
  }

  @Test
  void stopsAreHandedOutInOrderWhenAHandlerDispatches(
      @RunsFixture(value = FixtureProgram.SPAWNER, args = "6") TargetProcess target) {
    var recorder = new Recorder() {
      private int depth;

      @Override
      public void stopped(TracedThread thread, WaitStatus.Stopped status) {
        if (depth < 3) {
          depth++;
          for (TracedThread other : thread.process().threads()) {
            if (other != thread) {
              try {
                other.interruptAndWait();
                other.handleStop();
              } catch (PtraceException e) {
                assertThat(e.reason()).isEqualTo(Reason.THREAD_GONE);
              }
              break;
            }
          }
          thread.process().tracer().dispatchDeferred();
          depth--;
        }
        super.stopped(thread, status);
      }
    };
    try (var traced = Traced.attach(target.pid(), recorder)) {
      assertThat(traced.process.pid()).isEqualTo(target.pid());
      target.send("go");
      Await.until(() -> recorder.started.get() > 1000, () -> "1,000 threads");
      target.send("stop");
      long created = Long.parseLong(target.awaitLine("created ").split(" ")[1]);
      target.awaitOk();
      Await.until(() -> recorder.endedThreads.get() == created, () -> created + " ends");
    }
  }
}
