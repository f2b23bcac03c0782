package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A session closes while a child of vfork runs on. Its creator cannot be stopped, and must not be held up,
 * nor come back into a slot that is gone.
 */
class VforkTest {

  private static final String SOURCE = """
      #define _GNU_SOURCE
      #include <pthread.h>
      #include <stdio.h>
      #include <sys/wait.h>
      #include <unistd.h>
      #define FN __attribute__((noinline, noclone, used))
      FN long answer(long x) { __asm__ volatile("" ::: "rbx"); return x + 2; }
      static void *calling(void *unused) { for (long i = 0;; i++) if (answer(i) != i + 2) _exit(9); return unused; }
      /* vfork as the C library has it: the child's return must not spoil its parent's. */
      long create(void) __attribute__((returns_twice));
      __asm__(".globl create, creates\\n.type create,@function\\n.type creates,@function\\n"
          "create: pop %rdx\\nmov $58, %eax\\n"
          "creates: syscall\\n.size creates,.-creates\\npush %rdx\\nret\\n.size create,.-create");
      int main(int argc, char **argv) {
        (void)argv;
        setvbuf(stdout, 0, _IOLBF, 0);
        for (int i = 1; i < argc; i++) { pthread_t t; pthread_create(&t, 0, calling, 0); }
        for (;;) {
          char c;
          int status = 0;
          long pid = create();
          if (pid == 0) {
            write(1, "child\\n", 6);
            for (long i = 0;; i++) {
              if (answer(i) != i + 2) _exit(3);
              if (read(0, &c, 1) != 1) _exit(0);
              if (c == '.') _exit((int)answer(40));
              write(1, "still\\n", 6);
            }
          }
          waitpid((pid_t)pid, &status, 0);
          printf("status %x\\n", status);
          do { if (read(0, &c, 1) != 1) return 0; } while (c != 'g');
        }
      }
      """;

  @TempDir
  private static Path directory;

  private static Path program = Path.of("");

  @BeforeAll
  static void compile() throws Exception {
    Path source = directory.resolve("creator.c");
    Files.writeString(source, SOURCE);
    program = directory.resolve("creator");
    assertThat(new ProcessBuilder("gcc", "-O1", "-w", "-pthread", "-o", program.toString(), source.toString())
        .inheritIO().start().waitFor()).isZero();
  }

  /**
   * @param displaced whether the system call was itself displaced: then its slot stays
   * @param threads how many others the process has, that can be stopped
   */
  @ParameterizedTest
  @CsvSource({"false,0", "false,2", "true,0", "true,2"})
  void closesAtOnceAndTheProcessIsUntraced(boolean displaced, int threads) throws Exception {
    var command = new ArrayList<>(List.of(program.toString()));
    for (int i = 0; i < threads; i++) {
      command.add("thread");
    }
    try (TargetProcess target = TargetProcess.start(command)) {
      target.awaitLine("child");
      target.send(".");
      target.awaitLine("status 2a00");
      Aftermath before = null;
      for (int round = 0; round < 5; round++) {
        ProbedProcess process = ProbedProcess.attach(target.pid());
        Probe probe = process.register(ProbeRequest.at("creator", "answer", hit -> {}));
        if (before == null) {
          probe.unregister();
          before = Aftermath.expectedOf(target.pid(), List.of(probe.address()));
          probe = process.register(ProbeRequest.at("creator", "answer", hit -> {}));
        }
        process.register(ProbeRequest.at("creator", "answer", hit -> {}).inContext(HandlerContext.TASK));
        if (displaced) {
          process.register(ProbeRequest.at("creator", "creates", hit -> {}));
        }
        target.send("g");
        target.awaitLine("child");
        // It has read the line feed.
        target.awaitLine("still");
        assertThat(probe.hits()).isPositive();
        process.close();
        for (int tid : ProcFs.threads(target.pid())) {
          assertThat(ProcFs.tracerPid(tid)).as("tracer of %d", tid).isZero();
        }
        target.send("");
        target.awaitLine("still");
        target.send(".");
        target.awaitLine("status 2a00");
        if (!displaced) {
          before.assertNoTrace();
        }
      }
      target.closeInput();
    }
  }
}
