package io.xolotl.ptrace;

import static io.xolotl.fixtures.FixtureProgram.I386;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** 32-bit programs, and threads in code of the kind that their program is not. */
class I386Test {

  private static final int SYS_GETPID = 20;
  private static final int SYS_GETTID = 224;
  private static final int SYS_MMAP2 = 192;
  private static final int SYS_GETPID_X86_64 = 39;

  /**
   * Makes some calls in a stopped thread of a 32-bit program and checks that nothing else of it has changed.
   */
  private static void call(TracedThread thread) {
    var before = new Registers();
    thread.readRegisters(before);
    int pid = thread.process().pid();
    assertThat(thread.process().abi()).isEqualTo(Abi.I386);
    assertThat(thread.systemCall(SYS_GETPID)).isEqualTo(pid);
    assertThat(thread.systemCall(SYS_GETTID)).isEqualTo(thread.tid());
    assertThat(thread.systemCall(SYS_MMAP2, 0, 0, 3, 0x22, -1, 0)).isEqualTo(-22);
    long mapped = thread.systemCall(SYS_MMAP2, 0, 8192, 3, 0x22, -1, 0);
    assertThat(mapped).isBetween(1L, 0xffff_ffffL);
    thread.process().memory().writeLong(mapped + 4096, 42);
    thread.process().unmap(thread, mapped, 8192);
    assertThat(thread.process().memory().tryRead(mapped, new byte[1], 0, 1)).isZero();
    var after = new Registers();
    thread.readRegisters(after);
    assertThat(after).isEqualTo(before);
  }

  @Test
  void callsInThreadsThatRun(@RunsFixture(value = I386, args = {"forever", "2"}) TargetProcess target) {
    target.send("go");
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      for (int round = 0; round < 100; round++) {
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

  /** Whatever interrupts them, they restart, also through the restart_syscall of their ABI. */
  @Test
  void callsInThreadsThatAreBlocked(@RunsFixture(value = I386, args = "sysblock") TargetProcess target) {
    Map<Integer, String> blocked = new HashMap<>();
    for (int i = 0; i < 5; i++) {
      String[] line = target.awaitLine("thread ").split(" ");
      blocked.put(Integer.valueOf(line[1]), line[2]);
    }
    // Nobody makes epoll_wait again here, which returns EINTR for every stop.
    blocked.values().remove("epoll");
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
    }
    target.send("release");
    target.awaitLine(line -> line.equals("ok") || line.equals("BAD"), Await.PATIENCE);
    assertThat(target.output()).filteredOn(line -> line.contains(" returns ") && !line.startsWith("epoll"))
        .hasSize(4).allMatch(line -> line.endsWith(" eintr 0 early 0"));
  }

  @Test
  void memoryIsMappedBelowFourGibibytes(@RunsFixture(value = I386, args = "calls") TargetProcess target) {
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      traced.stopped(thread -> {
        for (long near : new long[]{0x10000, target.address("work"), 0x7fff_f000L, 0xffff_0000L}) {
          long mapped = thread.process().mapNear(thread, near, 1L << 32, 0x10000, 5);
          assertThat(mapped).isBetween(1L, 0xffff_0000L);
          thread.process().unmap(thread, mapped, 0x10000);
        }
      });
    }
  }

  @ParameterizedTest
  @CsvSource({"fork, false", "vfork, true", "clone_vm, true"})
  void childrenAreReported(String mode, boolean sharesMemory) {
    try (var target = TargetProcess.start(I386, mode)) {
      var recorder = new Recorder();
      try (var traced = Traced.attach(target.pid(), recorder)) {
        assertThat(traced.process.pid()).isEqualTo(target.pid());
        for (int round = 0; round < 20; round++) {
          target.send("go");
          int child = Integer.parseInt(target.awaitLine("child ").split(" ")[1]);
          target.awaitOk();
          Await.until(() -> recorder.ends.containsKey(child), () -> "the end of child " + child);
          assertThat(recorder.children).hasSize(round + 1).last().satisfies(reported -> {
            assertThat(reported.process().pid()).isEqualTo(child);
            assertThat(reported.sharesMemory()).isEqualTo(sharesMemory);
          });
        }
        assertThat(recorder.started).hasValue(0);
      }
    }
  }

  /** A call is made as the program of the process makes it, wherever the thread is. */
  @ParameterizedTest
  @CsvSource({"I386, mixed 1000", "MIXED, 1000"})
  void callsInCodeOfTheOtherKind(FixtureProgram program, String arguments) {
    try (var target = TargetProcess.start(program, arguments.split(" "))) {
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        traced.stopped(thread -> {
          // Only now, so that the steps lead through what it does then.
          target.send("go");
          Abi own = thread.process().abi();
          assertThat(own).isEqualTo(program == I386 ? Abi.I386 : Abi.X86_64);
          int inOther = 0;
          var registers = new Registers();
          for (int steps = 0; inOther < 20; steps++) {
            assertThat(steps).as("steps until there is other code").isLessThan(100_000);
            thread.readRegisters(registers);
            if (Abi.of(registers) != own) {
              inOther++;
              int number = own == Abi.I386 ? SYS_GETPID : SYS_GETPID_X86_64;
              assertThat(thread.systemCall(number)).isEqualTo(target.pid());
              var after = new Registers();
              thread.readRegisters(after);
              assertThat(after).isEqualTo(registers);
            }
            thread.step(0);
            assertThat(thread.awaitStop()).isEqualTo(new WaitStatus.Signal(Signals.SIGTRAP));
          }
          // The last step's trap is ours.
          thread.markStopped(new WaitStatus.Interrupted());
        });
      }
      target.awaitOk();
    }
  }
}
