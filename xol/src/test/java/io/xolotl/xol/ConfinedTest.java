package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Programs that the kernel lets map or unmap nothing, by seccomp or by a limit: what needs no slot works all
 * the same.
 */
class ConfinedTest {

  private static final String SOURCE = """
      #define _GNU_SOURCE
      #include <linux/audit.h>
      #include <linux/filter.h>
      #include <linux/seccomp.h>
      #include <errno.h>
      #include <stddef.h>
      #include <stdio.h>
      #include <string.h>
      #include <sys/prctl.h>
      #include <sys/resource.h>
      #include <sys/syscall.h>
      __attribute__((noinline, noclone)) long answer(long x) { __asm__ volatile("" ::: "rbx"); return x + 2; }
      static void refuse(int call, int how) {
        struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), BPF_STMT(BPF_RET | BPF_K, how),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        struct sock_fprog program = {4, filter};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) perror("seccomp");
      }
      int main(int argc, char **argv) {
        char line[16];
        setvbuf(stdout, 0, _IONBF, 0);
        setvbuf(stdin, 0, _IONBF, 0);
        puts("ready");
        while (fgets(line, sizeof line, stdin)) {
          if (!strcmp(line, "mmap\\n")) refuse(SYS_mmap, SECCOMP_RET_ERRNO | EPERM);
          if (!strcmp(line, "trap\\n")) refuse(SYS_mmap, SECCOMP_RET_TRAP);
          if (!strcmp(line, "munmap\\n")) refuse(SYS_munmap, SECCOMP_RET_ERRNO | EPERM);
          if (!strcmp(line, "limit\\n")) setrlimit(RLIMIT_AS, &(struct rlimit){1 << 20, 1 << 20});
          printf("answer %ld\\n", answer(40));
        }
        return 0;
      }
      """;

  @TempDir
  private static Path directory;

  private static Path program = Path.of("");

  @BeforeAll
  static void compile() throws Exception {
    Path source = directory.resolve("confined.c");
    Files.writeString(source, SOURCE);
    program = directory.resolve("confined");
    assertThat(new ProcessBuilder("gcc", "-O1", "-w", "-fcf-protection=none", "-o", program.toString(),
        source.toString()).inheritIO().start().waitFor()).isZero();
  }

  private static void answers(TargetProcess target, String command) {
    target.send(command);
    target.awaitLine("answer 42");
  }

  @ParameterizedTest
  @ValueSource(strings = {"mmap", "trap", "limit"})
  void whatNeedsASlotIsRefused(String confinement) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      answers(target, confinement);
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        for (int i = 0; i < 5; i++) {
          assertThatThrownBy(() -> process.register(
              ProbeRequest.at("confined", "answer", hit -> {}).with(Technique.SINGLE_STEPPED)))
              .isInstanceOfSatisfying(ProbeException.class, e -> {
                assertThat(e.reason()).isEqualTo(confinement.equals("limit")
                    ? ProbeException.Reason.SYSTEM_ERROR
                    : ProbeException.Reason.SECCOMP);
                assertThat(e).hasMessageMatching("[^\\n]{10,}");
              });
          answers(target, "go");
        }
      }
      Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
      answers(target, "go");
    }
  }

  /** The slots stay, since they cannot be unmapped; nothing else does, and that is no failure. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void slotsThatCannotBeUnmappedStay(int sessions) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready");
      for (int i = 0; i < sessions; i++) {
        ProbedProcess process = ProbedProcess.attach(target.pid());
        Probe probe = process.register(
            ProbeRequest.at("confined", "answer", hit -> {}).with(Technique.SINGLE_STEPPED));
        answers(target, "munmap");
        assertThat(probe.hits()).isEqualTo(1);
        process.close();
        assertThat(ProcFs.tracerPid(target.pid())).isZero();
        answers(target, "go");
      }
    }
  }
}
