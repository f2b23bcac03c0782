package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A probe behind a lock prefix comes and goes while threads execute the instruction with and without it. A
 * CPU raises #UD for int3 behind that prefix (Intel SDM, volume 2, LOCK), so the prefix has a breakpoint of
 * its own before the other is written, and until it is gone.
 */
class LockPrefixTest {

  private static final String SOURCE = """
      #include <pthread.h>
      #include <stdio.h>
      static volatile int stop;
      void both(long i, volatile long *counter);
      __asm__(".text\\n.globl both\\n.type both,@function\\nboth: test $1, %dil\\njne both_behind\\nlock\\n"
              "both_behind: incq (%rsi)\\nret\\n.size both,.-both");
      static void *run(void *unused) {
        volatile long counter = 0;
        long n = 0;
        while (!stop) both(n++, &counter);
        return (void *)(counter - n);
      }
      int main(void) {
        pthread_t threads[2];
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, run, 0);
        puts("ready");
        fgets(line, sizeof line, stdin);
        stop = 1;
        long wrong = 0;
        for (int i = 0; i < 2; i++) {
          void *result;
          pthread_join(threads[i], &result);
          wrong += result != 0;
        }
        printf("wrong %ld\\n", wrong);
      }
      """;

  @TempDir
  private Path directory;

  @Test
  void nobodyExecutesABreakpointBehindIt() throws Exception {
    Path source = directory.resolve("locked.c");
    Files.writeString(source, SOURCE);
    Path program = directory.resolve("locked");
    assertThat(new ProcessBuilder("gcc", "-O1", "-pthread", "-o", program.toString(), source.toString())
        .inheritIO().start().waitFor()).isZero();
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        long entry = process.functions("locked").stream().filter(f -> f.names().contains("both_behind"))
            .findFirst().orElseThrow().address();
        for (int round = 0; round < 300; round++) {
          Probe probe = process.register(ProbeRequest.at(entry, hit -> {}));
          while (probe.hits() < 10) {
            Thread.onSpinWait();
          }
          probe.unregister();
        }
        // The last goes with the session.
        process.register(ProbeRequest.at(entry, hit -> {}));
      }
      target.send("stop");
      assertThat(target.awaitLine("wrong")).isEqualTo("wrong 0");
    }
  }
}
