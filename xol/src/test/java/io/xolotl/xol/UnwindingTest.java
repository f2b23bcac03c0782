package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What unwinds the stack, in the program or from outside, sees the same frames as unprobed. */
class UnwindingTest {

  private static final String SOURCE = """
      #define _GNU_SOURCE
      #include <execinfo.h>
      #include <signal.h>
      #include <stdio.h>
      #include <string.h>
      #include <sys/time.h>
      #include <unistd.h>
      #define FN __attribute__((noinline, noclone))
      static volatile long ticks, strange;
      static void *frames[64];
      static int count;
      extern char __executable_start, etext;
      static void show(void) {
        printf("frames %d", count);
        for (int i = 0; i < count; i++) printf(" %p", frames[i]);
        printf("\\n");
      }
      FN long pause_in(long x) {
        char c;
        count = backtrace(frames, 64);
        write(1, "paused\\n", 7);
        return read(0, &c, 1) == 1 ? x : -1;
      }
      FN long three(long x) { long y = pause_in(x + 3); __asm__ volatile("" ::: "rbx"); return y; }
      FN long two(long x) { long y = three(x + 2); __asm__ volatile("" ::: "r12"); return y; }
      FN long one(long x) { long y = two(x + 1); __asm__ volatile("" ::: "r13"); return y; }
      FN long leaf(long x) { __asm__ volatile("" ::: "rbx"); return x ^ 1; }
      FN long spin(long n) { long sum = 0; for (long i = 0; i < n; i++) sum += leaf(i); return sum; }
      /* It interrupts spin, leaf or what called spin: the innermost frames are its own, the next is where it came in. */
      FN static void on_alarm(int signal, siginfo_t *info, void *context) {
        void *seen[64];
        int n = backtrace(seen, 64), inside = 0;
        (void)signal; (void)info; (void)context;
        for (int i = 0; i < n; i++) inside += (char *)seen[i] >= &__executable_start && (char *)seen[i] < &etext;
        /* on_alarm, leaf or spin, main; all others are the C library's, of which there are three: the signal's
           trampoline and what calls main. */
        if (n - inside > 3 || inside < 3) strange++;
        ticks++;
      }
      int main(void) {
        char line[16];
        setvbuf(stdout, 0, _IOLBF, 0);
        setvbuf(stdin, 0, _IONBF, 0);
        backtrace(frames, 64);
        sigaction(SIGALRM, &(struct sigaction){.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART}, 0);
        puts("ready");
        while (fgets(line, sizeof line, stdin)) {
          if (line[0] == 'p') {
            printf("result %ld\\n", one(1));
            show();
          } else if (line[0] == 's') {
            strange = ticks = 0;
            setitimer(ITIMER_REAL, &(struct itimerval){{0, 3000}, {0, 3000}}, 0);
            while (ticks < 100) if (spin(100) != 4950) strange++;
            setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, 0);
            printf("strange %ld\\n", strange);
          }
        }
        return 0;
      }
      """;

  private static final int STACK_BYTES = 1024;

  @TempDir
  private static Path directory;

  private static Path program = Path.of("");

  @BeforeAll
  static void compile() throws Exception {
    Path source = directory.resolve("unwound.c");
    Files.writeString(source, SOURCE);
    program = directory.resolve("unwound");
    assertThat(
        new ProcessBuilder("gcc", "-O1", "-g", "-w", "-no-pie", "-fno-pie", "-fcf-protection=none", "-o",
            program.toString(), source.toString()).inheritIO().start().waitFor())
        .isZero();
  }

  /** The stack as a debugger finds it, from the innermost function on, and what the program finds itself. */
  private static List<String> paused(TargetProcess target) throws Exception {
    target.send("p");
    target.awaitLine("paused");
    ProcFs.awaitState(target.pid(), "S");
    // proc_pid_syscall(5): number, six arguments, stack pointer, instruction pointer.
    String[] call = Files.readString(Path.of("/proc/" + target.pid() + "/syscall")).strip().split(" ");
    long stackPointer = Long.decode(call[7]);
    byte[] stack = ProcFs.memory(target.pid(), stackPointer, STACK_BYTES);
    target.send("");
    return List.of(call[7], call[8], HexFormat.of().formatHex(stack), target.awaitLine("result "),
        target.awaitLine("frames "));
  }

  /**
   * gdb cannot attach to what is traced; it reads what the kernel has saved of the process instead, in the
   * middle of probed calls.
   */
  @Test
  void gdbSeesTheSameFrames() throws Exception {
    String pattern = Files.readString(Path.of("/proc/sys/kernel/core_pattern")).strip();
    assumeTrue(pattern.equals("core"), "cores go elsewhere: " + pattern);
    assumeTrue(Files.exists(Path.of("/usr/bin/gdb")), "no gdb");
    List<String> unprobed = gdbFrames(Files.createDirectory(directory.resolve("unprobed")), false);
    assertThat(String.join("\n", unprobed)).containsSubsequence("pause_in (x=", "three (x=", "two (x=",
        "one (x=", "main ()");
    assertThat(gdbFrames(Files.createDirectory(directory.resolve("probed")), true)).isEqualTo(unprobed);
  }

  private static List<String> gdbFrames(Path here, boolean probed) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of("/bin/sh", "-c",
        "cd " + here + " && ulimit -c unlimited && exec " + program))) {
      target.awaitLine("ready");
      ProbedProcess process = probed ? ProbedProcess.attach(target.pid()) : null;
      if (process != null) {
        for (String name : List.of("one", "two", "three", "pause_in")) {
          process.register(ReturnProbeRequest.of(new ProbeLocation.Symbol("unwound", name, 0), hit -> 1,
              (hit, one) -> {}));
        }
      }
      target.send("p");
      target.awaitLine("paused");
      ProcFs.awaitState(target.pid(), "S");
      target.signal("ABRT");
      assertThat(target.exitStatus()).isEqualTo(new ExitStatus.Killed(6));
      if (process != null) {
        assertThat(process.end().join()).isEqualTo(new ProcessEnd.Killed(6));
      }
    }
    Path core;
    try (var files = Files.list(here)) {
      core = files.filter(file -> file.getFileName().toString().startsWith("core")).findFirst().orElseThrow();
    }
    Process gdb = new ProcessBuilder("/usr/bin/gdb", "-nx", "-batch", "-ex", "bt", program.toString(),
        core.toString()).redirectErrorStream(true).start();
    try (var output = gdb.inputReader()) {
      // Where libraries are loaded differs.
      return output.lines().filter(line -> line.startsWith("#"))
          .map(line -> line.replaceAll("0x[0-9a-f]+", "0x"))
          .toList();
    }
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void framesAreTheSame(HandlerContext context) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready");
      // What the first calls resolve and leave in dead stack slots is there from then on.
      target.send("s");
      target.awaitLine("strange ");
      paused(target);
      List<String> unprobed = paused(target);
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        var probes = new ArrayList<ReturnProbe>();
        for (String name : List.of("one", "two", "three", "pause_in", "spin", "leaf")) {
          probes
              .add(process.register(ReturnProbeRequest.<Long>of(new ProbeLocation.Symbol("unwound", name, 0),
                  hit -> hit.registers().rsp(), (hit, entry) -> {
                    if (hit.registers().rsp() != entry + 8) {
                      throw new AssertionError("returned to another frame");
                    }
                  }).inContext(context)));
        }
        assertThat(paused(target)).isEqualTo(unprobed);
        assertThat(paused(target)).isEqualTo(unprobed);
        assertThat(probes.subList(0, 4)).allMatch(probe -> probe.calls() == 2 && probe.returns() == 2);
        target.send("s");
        assertThat(target.awaitLine("strange ")).isEqualTo("strange 0");
        assertThat(probes.subList(4, 6)).allMatch(probe -> probe.calls() > 0);
      }
      assertThat(paused(target)).isEqualTo(unprobed);
    }
  }

  /** A program's handler that interrupts displaced instructions, in and out of slots. */
  @ParameterizedTest
  @EnumSource(value = Technique.class, names = {"BOOSTED", "TRAPPED", "SINGLE_STEPPED"})
  void aHandlerOfTheProgramSeesNoSlot(Technique technique) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready");
      target.send("s");
      assertThat(target.awaitLine("strange ")).as("unprobed").isEqualTo("strange 0");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        var probes = new ArrayList<Probe>();
        ModuleFunction leaf = process.functions("unwound").stream().filter(f -> f.names().contains("leaf"))
            .findFirst()
            .orElseThrow();
        for (long address = leaf.address(); address < leaf.address() + leaf.size(); address++) {
          try {
            ProbeRequest request = ProbeRequest.at(address, hit -> {});
            probes.add(process.register(address == leaf.address() ? request.with(technique) : request));
          } catch (ProbeException e) {
            assertThat(e.reason()).isEqualTo(ProbeException.Reason.NOT_AN_INSTRUCTION_BOUNDARY);
          }
        }
        assertThat(probes).hasSizeGreaterThan(2);
        target.send("s");
        assertThat(target.awaitLine("strange ")).isEqualTo("strange 0");
        assertThat(probes).allMatch(probe -> probe.hits() > 0);
      }
    }
  }
}
