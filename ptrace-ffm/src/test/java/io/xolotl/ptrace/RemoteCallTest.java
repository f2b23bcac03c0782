package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.PtraceException.Reason;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** System calls made in a program, which must not notice. */
class RemoteCallTest {

  private static final int SYS_MMAP = 9;
  private static final int SYS_GETPID = 39;
  private static final int SYS_GETTID = 186;
  private static final int READ_WRITE = 3;
  private static final int PRIVATE_ANONYMOUS = 0x22;

  /** Makes some calls in a stopped thread and checks that nothing else of it has changed. */
  private static void call(TracedThread thread) {
    var before = new Registers();
    thread.readRegisters(before);
    long mask = thread.signalMask();
    WaitStatus.Stopped stop = thread.stop();
    int pid = thread.process().pid();
    assertThat(thread.systemCall(SYS_GETPID)).isEqualTo(pid);
    assertThat(thread.systemCall(SYS_GETTID)).isEqualTo(thread.tid());
    long mapped = thread.systemCall(SYS_MMAP, 0, 8192, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
    thread.process().memory().writeLong(mapped + 4096, 42);
    thread.process().unmap(thread, mapped, 8192);
    assertThat(thread.process().memory().tryRead(mapped, new byte[1], 0, 1)).isZero();
    var after = new Registers();
    thread.readRegisters(after);
    assertThat(after).isEqualTo(before);
    assertThat(thread.signalMask()).isEqualTo(mask);
    assertThat(thread.stop()).isEqualTo(stop);
  }

  @Test
  void threadThatRuns(@RunsFixture(value = FixtureProgram.FOREVER, args = "2") TargetProcess target) {
    target.send("go");
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      for (int round = 0; round < 200; round++) {
        for (int tid : ProcFs.threads(target.pid())) {
          traced.stopped(traced.thread(tid), thread -> {
            call(thread);
            return 0;
          });
        }
      }
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void threadsBlockedInSystemCalls(@RunsFixture(FixtureProgram.SYSBLOCK) TargetProcess target) {
    Map<Integer, String> blocked = new HashMap<>();
    for (int i = 0; i < 5; i++) {
      String[] line = target.awaitLine("thread ").split(" ");
      blocked.put(Integer.valueOf(line[1]), line[2]);
    }
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      for (int round = 0; round < 30; round++) {
        blocked.forEach((tid, name) -> {
          if (!name.equals("nanosleep")) {
            ProcFs.awaitState(tid, "S");
          }
          traced.stopped(traced.thread(tid), thread -> {
            call(thread);
            return 0;
          });
        });
      }
      target.send("release");
      target.awaitOk();
    }
  }

  @Test
  void threadThatTakesItsOwnSystemCalls(@TempDir Path directory) {
    try (var target = TargetProcess.start(List.of(CProgram.build(directory, "dispatch").toString()))) {
      String ready = target.awaitLine(line -> line.startsWith("ready ") || line.equals("unsupported"),
          Await.PATIENCE);
      assumeTrue(ready.startsWith("ready "), "a kernel without Syscall User Dispatch");
      long go = Long.decode(ready.split(" ")[2]);
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        for (int round = 0; round < 50; round++) {
          traced.stopped(RemoteCallTest::call);
        }
        traced.process.memory().write(go, new byte[]{1});
        target.awaitLine("dispatched");
      }
    }
  }

  @Test
  void refusedCallsReturnTheErrno(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      traced.stopped(thread -> {
        assertThat(thread.systemCall(SYS_MMAP, 0, 0, 0, PRIVATE_ANONYMOUS, -1, 0)).isEqualTo(-22);
        assertThatThrownBy(() -> thread.process().unmap(thread, 1, 4096)).isInstanceOfSatisfying(
            PtraceException.class, e -> {
              assertThat(e.reason()).isEqualTo(Reason.REMOTE_CALL_FAILED);
              assertThat(e.errno()).isEqualTo(22);
            }).hasMessageContaining("munmap of 0x1 in process " + target.pid() + " failed with EINVAL");
      });
      TracedThread running = traced.mainThread();
      assertThatThrownBy(() -> traced.tracer.call(() -> running.systemCall(SYS_GETPID)))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void memoryIsMappedNearAnAddress(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    long main = target.address("main");
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      traced.stopped(thread -> {
        TracedProcess process = thread.process();
        for (int i = 0; i < 20; i++) {
          long base = process.mapNear(thread, main, 1L << 31, 1 << 16, 5);
          assertThat(Math.abs(base - main)).isLessThan(1L << 31);
          assertThat(process.mappings()).anySatisfy(m -> {
            assertThat(m.contains(base)).isTrue();
            assertThat(m.contains(base + 0xffff)).isTrue();
            assertThat(m.permissions()).isEqualTo("r-xp");
          });
        }
        assertThat(process.mapNear(thread, main, 4096, 1 << 16, 5)).isZero();
      });
    }
  }

  /** Makes calls wherever a signal is delivered. */
  private static final class CallingAtSignals extends Recorder {
    final AtomicInteger calls = new AtomicInteger();
    final AtomicInteger failures = new AtomicInteger();

    @Override
    public void stopped(TracedThread thread, WaitStatus.Stopped status) {
      if (status instanceof WaitStatus.Signal(int signal)) {
        var before = new SignalInfo();
        thread.readSignalInfo(before);
        try {
          call(thread);
        } catch (AssertionError e) {
          failures.incrementAndGet();
          throw e;
        }
        var after = new SignalInfo();
        thread.readSignalInfo(after);
        if (!after.equals(before) || signal != after.signal()) {
          failures.incrementAndGet();
        }
        calls.incrementAndGet();
      }
      super.stopped(thread, status);
    }
  }

  @Test
  void signalThatAThreadStoppedForIsStillDelivered(
      @RunsFixture(value = FixtureProgram.SIGNALS, args = {"500", "1"}) TargetProcess target) {
    var handler = new CallingAtSignals();
    try (var traced = Traced.attach(target.pid(), handler)) {
      target.send("go");
      target.awaitOk();
      assertThat(traced.tracer.call(traced.process::threads)).hasSize(1);
      assertThat(handler.calls.get()).isGreaterThan(50);
      assertThat(handler.failures).hasValue(0);
    }
  }

  @Test
  void signalsThatRainDuringTheCall(
      @RunsFixture(value = FixtureProgram.SIGNALS, args = {"2000", "1"}) TargetProcess target) {
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      target.send("go");
      for (int round = 0; round < 300; round++) {
        traced.stopped(RemoteCallTest::call);
      }
      target.awaitOk();
    }
  }

  /**
   * Makes a call at every other signal: one that only a temporary mask lets through is reported again after a
   * call.
   */
  private static final class CallingAtEveryOtherSignal extends Recorder {
    private final CallingAtSignals calling = new CallingAtSignals();
    private boolean other;

    @Override
    public void stopped(TracedThread thread, WaitStatus.Stopped status) {
      other ^= status instanceof WaitStatus.Signal;
      (other ? calling : new Recorder()).stopped(thread, status);
    }
  }

  @Test
  void temporarySignalMasks(@TempDir Path directory) {
    Path program = CProgram.build(directory, "masks");
    for (String mode : List.of("sigsuspend", "ppoll", "pselect")) {
      try (var target = TargetProcess.start(List.of(program.toString(), mode))) {
        target.awaitLine("ready ");
        var handler = new CallingAtEveryOtherSignal();
        try (var traced = Traced.attach(target.pid(), handler)) {
          for (int round = 1; round <= 20; round++) {
            ProcFs.awaitState(target.pid(), "S");
            traced.stopped(RemoteCallTest::call);
            // Blocked by the program's own mask, let through by the temporary one.
            target.signal("USR1");
            target.awaitLine("handled " + round + " EINTR blocked");
          }
          assertThat(handler.calling.failures).hasValue(0);
          assertThat(handler.calling.calls).hasValue(20);
        }
        target.signal("TERM");
        assertThat(target.exitStatus()).isEqualTo(new ExitStatus.Killed(15));
      }
    }
  }

  @Test
  void restartableSequenceIsAborted(@TempDir Path directory) {
    Path program = CProgram.build(directory, "restartable");
    try (var target = TargetProcess.start(List.of(program.toString()))) {
      String[] ready = target.awaitLine("ready ").split(" ");
      assumeTrue(!ready[2].equals("0"), "the C library has not registered restartable sequences");
      long aborts = Long.parseUnsignedLong(ready[2], 16);
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        for (int round = 0; round < 100; round++) {
          long before = traced.process.memory().readLong(aborts);
          traced.stopped(thread -> {
            assertThat(thread.systemCall(SYS_GETPID)).isEqualTo(target.pid());
          });
          // The sequence is endless: a thread whose abort is lost never counts again.
          Await.until(() -> traced.process.memory().readLong(aborts) > before,
              () -> "the sequence is aborted");
        }
      }
    }
  }

  /** Threads count on several CPUs while calls are made in those that are in the middle of counting. */
  @Test
  void restartableSequencesKeepWhatTheyGuarantee(
      @RunsFixture(value = FixtureProgram.PERCPU, args = {"4", "file"}) TargetProcess target) {
    assumeTrue(target.awaitLine("area ").equals("area yes"),
        "this kernel or C library has no restartable sequences");
    target.send("go");
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      List<TracedThread> threads = new ArrayList<>(traced.tracer.call(traced.process::threads));
      threads.remove(traced.mainThread());
      for (int inside = 0; inside < 30;) {
        for (TracedThread thread : threads) {
          inside += traced.stopped(thread, stopped -> {
            var registers = new Registers();
            stopped.readRegisters(registers);
            RestartableSequence sequence = stopped.restartableSequence();
            boolean in = sequence != null && sequence.contains(registers.rip());
            assertThat(stopped.systemCall(SYS_GETPID)).isEqualTo(target.pid());
            stopped.readRegisters(registers);
            assertThat(in && registers.rip() != sequence.abortHandler()).isFalse();
            return in ? 1 : 0;
          });
        }
      }
    }
    target.send("stop");
    target.awaitLine("calls ");
    target.awaitOk();
  }

  @Test
  void stopSignalThatArrivesDuringTheCallIsNotLost(
      @RunsFixture(value = FixtureProgram.FOREVER, args = "2") TargetProcess target) {
    int pid = target.pid();
    target.send("go");
    try (var traced = Traced.attach(pid, new Recorder())) {
      for (int round = 0; round < 20; round++) {
        TracedThread main = traced.mainThread();
        traced.stopped(main, thread -> {
          // Pending when the call begins: it interrupts the call before its first instruction.
          thread.send(Signals.SIGSTOP);
          assertThat(thread.systemCall(SYS_GETPID)).isEqualTo(pid);
          return 0;
        });
        ProcFs.threads(pid).forEach(tid -> ProcFs.awaitState(tid, "t"));
        Await.until(() -> traced.tracer.call(() -> main.stop() == null),
            () -> "it listens");
        target.signal("CONT");
        target.send("count");
        target.awaitLine("count ");
      }
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void groupStopThatBeginsDuringTheCallIsJoined(
      @RunsFixture(value = FixtureProgram.FOREVER, args = "2") TargetProcess target) {
    int pid = target.pid();
    target.send("go");
    try (var traced = Traced.attach(pid, new Recorder())) {
      TracedThread main = traced.mainThread();
      TracedThread other = traced.thread(ProcFs.threads(pid).getLast());
      traced.stopped(main, thread -> {
        thread.send(0);
        other.send(Signals.SIGSTOP);
        // The other's signal begins the group-stop of the whole process while this one is held.
        assertThat(other.awaitStop()).isEqualTo(new WaitStatus.Signal(Signals.SIGSTOP));
        other.cont(Signals.SIGSTOP);
        assertThat(other.awaitStop()).isEqualTo(new WaitStatus.GroupStop(Signals.SIGSTOP));
        call(thread);
        other.handleStop();
        return 0;
      });
      ProcFs.threads(pid).forEach(tid -> ProcFs.awaitState(tid, "t"));
      target.send("count");
      traced.tracer.call(() -> 0);
      assertThat(ProcFs.threads(pid)).allMatch(tid -> ProcFs.state(tid) == 't');
      target.signal("CONT");
      target.awaitLine("count ");
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void threadThatIsKilledDuringTheCallIsGone(
      @RunsFixture(value = FixtureProgram.FOREVER, args = "2") TargetProcess target) {
    var recorder = new Recorder();
    try (var traced = Traced.attach(target.pid(), recorder)) {
      TracedThread main = traced.mainThread();
      assertThatThrownBy(() -> traced.tracer.call(() -> {
        main.interruptAndWait();
        target.signal("KILL");
        return main.systemCall(SYS_GETPID);
      })).isInstanceOfSatisfying(PtraceException.class,
          e -> assertThat(e.reason()).isEqualTo(Reason.THREAD_GONE));
      target.exitStatus();
      assertThat(recorder.awaitEnd(traced.process.pid())).isEqualTo(new WaitStatus.Killed(9, false));
    }
  }
}
