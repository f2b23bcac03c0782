package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FORKER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.VectorState;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Processes that a probed process creates run free; a program that it executes is not probed. */
class ChildrenTest {

  private static List<Probe> probeWork(ProbedProcess process, TargetProcess target) {
    return process.register(List.of(ProbeRequest.at(target.address("work_push"), hit -> {}),
        ProbeRequest.at(target.address("work_rip_load"), hit -> {}),
        ProbeRequest.at(target.address("work_ret"), hit -> {}).inContext(HandlerContext.TASK)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"fork", "vfork", "posix_spawn", "clone_vm"})
  void childrenOfEveryKind(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(FixtureProgram.FORKER, kind)) {
      Aftermath before = Aftermath.expectedOf(target.pid(),
          List.of(target.address("work_push"), target.address(
              "work_rip_load"), target.address("work_ret")));
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        probeWork(process, target);
        for (int i = 0; i < 50; i++) {
          target.send("go");
          target.awaitOk();
        }
      }
      before.assertNoTrace();
      target.send("go");
      target.awaitOk();
    }
  }

  @Test
  void aForkedChildHasNothingOfOurs() throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "fork")) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe probe = probeWork(process, target).getFirst();
        long parentHits = probe.hits();
        target.send("hold");
        int child = Integer.parseInt(target.awaitLine("child ").substring("child ".length()).strip());
        assertThat(ProcFs.tracerPid(child)).isZero();
        assertThat(ProcFs.memory(child, target.address("work_push"), 1)).isEqualTo(new byte[]{0x53});
        assertThat(ProcFs.mappings(child).stream().filter(m -> m.contains("r-xp 00000000 00:00 0 ")))
            .noneMatch(m -> m
                .strip().endsWith(" 0"));
        target.send("release");
        target.awaitOk();
        assertThat(probe.hits()).isGreaterThanOrEqualTo(parentHits);
      }
    }
  }

  @Test
  void executingAnotherProgramUnregisters() throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "exec")) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        List<Probe> probes = probeWork(process, target);
        target.send("go");
        target.awaitOk();
        target.awaitLine("ready ");
        assertThat(probes).noneMatch(Probe::isActive);
        probes.forEach(Probe::unregister);
        Probe again = process.register(ProbeRequest.at("forker", "work", hit -> {}));
        target.send("go");
        target.awaitOk();
        assertThat(again.hits()).isPositive();
      }
    }
  }

  /**
   * The first thread of the old program, whose handler still runs, and the only one of the new have the same
   * id. What the handler wants of the one must not befall the other.
   */
  @Test
  void anotherThreadExecutesWhileAHandlerRuns() throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "thread_exec");
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (int i = 0; i < 10; i++) {
        var handled = new CountDownLatch(1);
        var old = new CountDownLatch(1);
        var handler = new CompletableFuture<Void>();
        process.register(ProbeRequest.at("forker", "work", hit -> {
          VectorState vectors = hit.vectorState();
          handled.countDown();
          old.await();
          hit.registers().rip(0xbad);
          vectors.xmmDouble(0, 1);
          handler.complete(null);
        }).inContext(HandlerContext.TASK));
        target.send("go");
        assertThat(handled.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        target.send("exec");
        target.awaitLine("ready ");
        var again = new CountDownLatch(1);
        Probe inNew = process.register(ProbeRequest.at("forker", "work", hit -> again.await())
            .inContext(HandlerContext.TASK));
        if (i % 2 == 0) {
          target.send("go");
          Await.until(() -> inNew.hits() == 1, () -> "hits " + inNew.hits());
        }
        old.countDown();
        handler.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
        // Behind what the handler's return has queued for the tracer.
        assertThat(process.threadIds()).contains(target.pid());
        again.countDown();
        if (i % 2 != 0) {
          target.send("go");
        }
        target.awaitOk();
        inNew.unregister();
        target.send("exec");
        target.awaitLine("ready ");
      }
    }
  }

  /** Memory that a process shares with a child is the child's alone when the process has ended. */
  @Test
  void aChildInTheSameMemoryOutlivesItsParent() throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "clone_vm")) {
      var child = new CompletableFuture<Integer>();
      var release = new CountDownLatch(1);
      long work = target.address("work");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        process.register(List.of(ProbeRequest.at(work, hit -> {
          if (hit.threadId() != target.pid()) {
            child.complete(hit.threadId());
            release.await();
          }
        }).inContext(HandlerContext.TASK), ProbeRequest.at("forker", "work_rip_load", hit -> {})));
        target.send("go");
        int pid = child.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
        target.signal("KILL");
        assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
            .isEqualTo(new ProcessEnd.Killed(9));
        assertThat(ProcFs.memory(pid, work, 1)).isEqualTo(new byte[]{0x53});
        release.countDown();
        ProcFs.awaitGone(pid);
      }
    }
  }

  /**
   * Nobody probes the memory that the process has left, and nobody may take it for that of the new program.
   */
  @ParameterizedTest
  @EnumSource(names = {"BOOSTED", "TRAPPED", "SINGLE_STEPPED"})
  void aChildStaysInTheMemoryThatAProgramLeaves(Technique technique) throws Exception {
    for (int i = 0; i < 20; i++) {
      aChildStays(technique);
    }
  }

  private static void aChildStays(Technique technique) throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "vm_exec")) {
      target.send("go");
      int child = Integer.parseInt(target.awaitLine("child ").substring("child ".length()));
      List<Long> sites = List.of(target.address("work_mov"), target.address("work_rip_load"),
          target.address("work_xor"));
      Aftermath before = Aftermath.expectedOf(child, sites);
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        List<Probe> probes = process
            .register(sites.stream().map(a -> ProbeRequest.at(a, hit -> {}).with(technique)).toList());
        Await.until(() -> probes.stream().allMatch(probe -> probe.hits() > 100), () -> "hits");
        target.send("exec");
        target.awaitLine("ready ");
        before.assertNoTrace();
        Probe anew = process.register(ProbeRequest.at("forker", "work_rip_load", hit -> {}));
        assertThat(anew.isActive()).isTrue();
        assertThat(probes).noneMatch(Probe::isActive);
        before.assertNoTrace();
        target.send("release");
        target.awaitOk();
      }
    }
  }

  @Test
  void theEndOfTheProcessIsReported() throws Exception {
    try (TargetProcess target = TargetProcess.start(FixtureProgram.FOREVER, "4")) {
      target.send("go");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe probe = process.register(ProbeRequest.at("forever", "work_rip_load", hit -> {}));
        Await.until(() -> probe.hits() > 10, () -> "hits");
        target.signal("KILL");
        assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
            .isEqualTo(new ProcessEnd.Killed(9));
        assertThat(probe.isActive()).isFalse();
        probe.unregister();
        Assertions
            .assertThatThrownBy(() -> process.register(ProbeRequest.at("forever", "work", hit -> {})))
            .isInstanceOf(ProbeException.class);
      }
    }
  }

  /** It was created untraced and runs in the same memory; its creator cannot be stopped until it is gone. */
  @Test
  void aChildOfVforkThatIsThereWhenAttaching(@org.junit.jupiter.api.io.TempDir Path directory)
      throws Exception {
    Path source = directory.resolve("waits.c");
    Files.writeString(source,
        """
            #define _GNU_SOURCE
            #include <stdio.h>
            #include <sys/wait.h>
            #include <unistd.h>
            __attribute__((noinline, noclone)) long answer(long x) { __asm__ volatile("" ::: "rbx"); return x + 2; }
            int main(void) {
              setvbuf(stdout, 0, _IOLBF, 0);
              for (;;) {
                char c;
                int status = 0;
                pid_t pid = vfork();
                if (pid == 0) {
                  write(1, "child\\n", 6);
                  if (read(0, &c, 1) != 1) _exit(0);
                  _exit((int)answer(40));
                }
                waitpid(pid, &status, 0);
                if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
                printf("status %x\\n", status);
            if (read(0, &c, 1) != 1) return 0;
              }
            }
            """);
    Path program = directory.resolve("waits");
    assertThat(new ProcessBuilder("gcc", "-O1", "-w", "-o", program.toString(), source.toString()).inheritIO()
        .start()
        .waitFor()).isZero();
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      for (int round = 0; round < 10; round++) {
        target.awaitLine("child");
        try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
          Probe probe = process
              .register(ProbeRequest.at("waits", "answer", hit -> {}).with(Technique.SINGLE_STEPPED));
          // One byte: the line feed alone.
          target.send("");
          target.awaitLine("status 2a00");
          assertThat(probe.hits()).isEqualTo(1);
        }
        target.send("");
      }
      Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
    }
  }
}
