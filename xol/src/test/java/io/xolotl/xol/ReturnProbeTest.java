package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Each call's entry and return, whatever way it takes. */
class ReturnProbeTest {

  private static final String SOURCE = """
      #include <execinfo.h>
      #include <pthread.h>
      #include <setjmp.h>
      #include <stdio.h>
      #include <string.h>
      #include <unistd.h>
      #define FN __attribute__((noinline, noclone))
      static jmp_buf env;
      FN long twice(long x) { __asm__ volatile(""); return 2 * x; }
      FN long deep(long n) { __asm__ volatile(""); return n == 0 ? 0 : 1 + deep(n - 1); }
      FN long leaf(long x) { __asm__ volatile(""); return x + 1; }
      long tail(long x);
      __asm__(".globl tail\\n.type tail,@function\\ntail: add $10, %rdi\\njmp leaf\\n.size tail,.-tail");
      FN long jumps(long x) { __asm__ volatile(""); if (x) longjmp(env, 1); return x; }
      FN long frames(void) { void *a[64]; __asm__ volatile(""); return backtrace(a, 64); }
      FN long leaves(long x) { if (x) pthread_exit((void *)x); return x; }
      static void *thread(void *x) { leaves((long)x); return 0; }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        while (puts("ready"), fgets(line, sizeof line, stdin)) {
          long sum = 0;
          for (long i = 0; i < 100; i++) sum += twice(i);
          printf("twice %ld\\n", sum);
          printf("deep %ld\\n", deep(10000));
          printf("tail %ld\\n", tail(5));
          volatile long jumped = 0;
          for (volatile long i = 0; i < 10; i++) { if (setjmp(env)) jumped++; else jumps(i % 2); }
          printf("jumped %ld\\n", jumped);
          printf("frames %ld\\n", frames());
          pthread_t t; void *r = 0;
          for (long i = 1; i <= 10; i++) { pthread_create(&t, 0, thread, (void *)i); pthread_join(t, &r); }
          printf("left %ld\\n", (long)r);
        }
        return 0;
      }
      """;

  @TempDir
  private static Path directory;

  private static Path program = Path.of("");

  @BeforeAll
  static void compile() throws Exception {
    Path source = directory.resolve("returns.c");
    Files.writeString(source, SOURCE);
    program = directory.resolve("returns");
    Process gcc = new ProcessBuilder("gcc", "-O1", "-g", "-fno-omit-frame-pointer", "-rdynamic", "-pthread",
        "-o", program
            .toString(),
        source.toString()).inheritIO().start();
    assertThat(gcc.waitFor()).isZero();
  }

  @AfterAll
  static void forget() {
    program = Path.of("");
  }

  private static String answers(TargetProcess target) {
    target.send("go");
    StringBuilder all = new StringBuilder();
    for (String prefix : List.of("twice", "deep", "tail", "jumped", "frames", "left")) {
      all.append(target.awaitLine(prefix)).append('\n');
    }
    return all.toString();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void observesEveryReturnAndDisturbsNothing(HandlerContext context) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      String unprobed = answers(target);
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Map<String, AtomicLong> wrong = new ConcurrentHashMap<>();
        Map<String, ReturnProbe> probes = new ConcurrentHashMap<>();
        for (String name : List.of("twice", "deep", "leaf", "tail", "jumps", "frames", "leaves")) {
          wrong.put(name, new AtomicLong());
          probes.put(name,
              process.register(ReturnProbeRequest.<Long>of(new ProbeLocation.Symbol("returns", name, 0),
                  hit -> hit.registers().argument(0), (hit, argument) -> {
                    long expected = switch (name) {
                      case "twice" -> 2 * argument;
                      case "leaf" -> argument + 1;
                      case "tail" -> argument + 11;
                      case "deep", "jumps", "leaves" -> argument;
                      default -> hit.registers().rax();
                    };
                    if (hit.registers().rax() != expected) {
                      wrong.get(name).incrementAndGet();
                    }
                  }).inContext(context)));
        }
        assertThat(answers(target)).isEqualTo(unprobed);
        Map<String, Long> calls = Map.of("twice", 100L, "deep", 10_001L, "leaf", 1L, "tail", 1L, "jumps", 10L,
            "frames", 1L,
            "leaves", 10L);
        Map<String, Long> returns = Map.of("twice", 100L, "deep", 10_001L, "leaf", 1L, "tail", 1L, "jumps",
            5L, "frames", 1L,
            "leaves", 0L);
        probes.forEach((name, probe) -> {
          assertThat(probe.calls()).as("calls of %s", name).isEqualTo(calls.get(name));
          assertThat(probe.returns()).as("returns of %s", name).isEqualTo(returns.get(name));
          assertThat(probe.missed()).as("missed returns of %s", name).isZero();
          assertThat(wrong.get(name)).as("wrong values of %s", name).hasValue(0);
        });
        probes.values().forEach(ReturnProbe::unregister);
        assertThat(probes.values()).noneMatch(ReturnProbe::isActive);
        assertThat(answers(target)).isEqualTo(unprobed);
      }
      Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
      assertThat(answers(target)).isEqualTo(unprobed);
    }
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void changesResultsAndSharesReturnSitesWithOtherProbes(HandlerContext context) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        var site = new AtomicLong();
        ReturnProbe first = process
            .register(ReturnProbeRequest.of(ProbeLocation.parse("returns:twice"), hit -> hit
                .threadId(), (hit, thread) -> {
                  site.set(hit.registers().rip());
                  assertThat(hit.threadId()).isEqualTo(thread);
                }).inContext(context));
        answers(target);
        // The same return address, probed for itself, and by a second return probe.
        Probe plain = process.register(ProbeRequest.at(site.get(), hit -> {}).trustingBoundary());
        ReturnProbe second = process
            .register(ReturnProbeRequest.of(ProbeLocation.parse("returns:twice"), hit -> 0, (hit,
                nothing) -> hit.registers().rax(hit.registers().rax() + 1)).inContext(context));
        target.send("go");
        target.awaitLine("twice " + (9_900 + 100));
        target.awaitLine("left");
        assertThat(plain.hits()).isEqualTo(100);
        assertThat(second.returns()).isEqualTo(100);
        assertThat(first.returns()).isEqualTo(200);
      }
    }
  }

  /** Unwinding goes by the return addresses on the stack, which are the program's own. */
  @org.junit.jupiter.api.Test
  void exceptionsPassThroughProbedFrames() throws Exception {
    Assumptions
        .assumeTrue(new ProcessBuilder("sh", "-c", "command -v g++ > /dev/null").start()
            .waitFor() == 0, "there is no C++ compiler");
    Path source = directory.resolve("throws.cc");
    Files.writeString(source, """
        #include <cstdio>
        #include <stdexcept>
        #define FN extern "C" __attribute__((noinline, noclone))
        struct Guard { long &n; ~Guard() { n++; } };
        static long unwound;
        FN long thrower(long x) { if (x % 2) throw std::runtime_error("odd"); return x; }
        FN long middle(long x) { Guard g{unwound}; return thrower(x) + 1; }
        FN long catcher(long x) { try { return middle(x); } catch (const std::exception &e) { return -1; } }
        int main() {
          char line[64];
          std::setvbuf(stdout, 0, _IOLBF, 0);
          while (std::puts("ready"), std::fgets(line, sizeof line, stdin)) {
            long sum = 0;
            unwound = 0;
            for (long i = 0; i < 100; i++) sum += catcher(i);
            std::printf("sum %ld unwound %ld\\n", sum, unwound);
          }
        }
        """);
    Path throwing = directory.resolve("throws");
    Process gxx = new ProcessBuilder("g++", "-O1", "-o", throwing.toString(), source.toString()).inheritIO()
        .start();
    assertThat(gxx.waitFor()).isZero();
    try (TargetProcess target = TargetProcess.start(List.of(throwing.toString()))) {
      target.awaitLine("ready");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Map<String, ReturnProbe> probes = new ConcurrentHashMap<>();
        for (String name : List.of("thrower", "middle", "catcher")) {
          probes.put(name,
              process.register(ReturnProbeRequest.of(new ProbeLocation.Symbol("throws", name, 0), hit -> 0, (
                  hit, nothing) -> {})));
        }
        target.send("go");
        target.awaitLine("sum " + (2_450 + 50 - 50) + " unwound 100");
        assertThat(probes.get("thrower").calls()).isEqualTo(100);
        assertThat(probes.get("thrower").returns()).isEqualTo(50);
        assertThat(probes.get("middle").returns()).isEqualTo(50);
        assertThat(probes.get("catcher").returns()).isEqualTo(100);
      }
      target.send("go");
      target.awaitLine("sum 2450 unwound 100");
    }
  }
}
