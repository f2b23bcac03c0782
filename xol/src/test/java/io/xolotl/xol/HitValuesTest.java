package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a hit says of a call, and how a function is made to fail, whatever the program is linked with. */
class HitValuesTest {

  private static final int THREADS = 4;
  private static final int CALLS_OF_EACH = 200;

  /** Each call of dup() has the errno in its argument that the thread must find behind it. */
  private static final String SOURCE = """
      #include <errno.h>
      #include <pthread.h>
      #include <stdio.h>
      #include <unistd.h>
      #define FN __attribute__((noinline, noclone))
      enum { THREADS = 4, CALLS = 200 };
      FN double mix(int a, float b, const char *s, double c) { __asm__ volatile(""); return a + b + c + (s != 0); }
      FN long result(long x) { __asm__ volatile(""); return -x; }
      static void *run(void *number) {
        long bad = 0;
        for (int i = 0; i < CALLS; i++) {
          int wanted = 1 + (int)(long)number * CALLS + i;
          errno = 0;
          bad += dup(100000 + wanted) != -1 || errno != wanted;
        }
        return (void *)bad;
      }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        puts("ready");
        while (fgets(line, sizeof line, stdin)) {
          pthread_t threads[THREADS];
          long bad = 0;
          for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, run, (void *)i);
          for (int i = 0; i < THREADS; i++) {
            void *of_thread;
            pthread_join(threads[i], &of_thread);
            bad += (long)of_thread;
          }
          printf("wrong %ld\\n", bad);
          printf("mix %g %g\\n", mix(7, 1.5f, "d\\303\\251j\\303\\240 vu", 2.25), mix(8, -0.5f, (char *)16, 1e300));
          printf("result %ld\\n", result(5));
        }
      }
      """;

  private static TargetProcess started(String compiler, Path directory) throws Exception {
    Path source = Files.writeString(directory.resolve("program.c"), SOURCE);
    Path program = directory.resolve("program");
    var command = new ArrayList<>(Arrays.asList(compiler.split(" ")));
    command.addAll(List.of("-O1", "-w", "-pthread", "-o", program.toString(), source.toString()));
    int status;
    try {
      status = new ProcessBuilder(command).redirectErrorStream(true)
          .redirectOutput(directory.resolve("output").toFile()).start().waitFor();
    } catch (IOException e) {
      // There is no such compiler.
      status = -1;
    }
    if (compiler.startsWith("musl") || compiler.contains("-m32")) {
      assumeTrue(status == 0, () -> "this machine cannot build programs by " + compiler);
    }
    assertThat(status).isZero();
    var target = TargetProcess.start(List.of(program.toString()));
    target.awaitLine("ready");
    return target;
  }

  private static ProbeLocation inLibrary(String compiler, String function) {
    return new ProbeLocation.Symbol(compiler.contains("-static") ? "program" : "libc", function, 0);
  }

  /**
   * errno is of the thread that has called, in the library that the function is in: in shared ones and linked
   * into the program, of glibc and musl, in 64-bit and 32-bit code.
   */
  @ParameterizedTest
  @CsvSource({"gcc, INTERRUPT", "gcc, TASK", "gcc -static, INTERRUPT", "gcc -static-pie, TASK",
      "gcc -m32, INTERRUPT", "gcc -m32 -static, TASK", "musl-gcc, TASK", "musl-gcc -static, INTERRUPT"})
  void failsFunctionsOfTheLibrary(String compiler, HandlerContext context, @TempDir Path directory)
      throws Exception {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (TargetProcess target = started(compiler, directory);
        ProbedProcess process = ProbedProcess.attach(target.pid(),
            ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      Probe dup = process.register(ProbeRequest.at(inLibrary(compiler, "dup"),
          hit -> hit.failFunction(-1, (int) hit.argument(0) - 100_000)).inContext(context));
      target.send("go");
      String line = target.awaitLine("wrong ");
      assertThat(errors).isEmpty();
      assertThat(line).isEqualTo("wrong 0");
      assertThat(dup.hits()).isEqualTo((long) THREADS * CALLS_OF_EACH);
      dup.unregister();
      target.send("go");
      // But for the one that wants EBADF.
      assertThat(target.awaitLine("wrong ")).isEqualTo("wrong " + (THREADS * CALLS_OF_EACH - 1));
    }
  }

  /** A breakpoint in the function that tells where errno is changes nothing. */
  @Test
  void failsFunctionsAlsoWhileTheLibrarysOwnWayIsProbed(@TempDir Path directory) throws Exception {
    try (TargetProcess target = started("gcc", directory);
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe location = process.register(ProbeRequest.at("libc.so.6", "__errno_location", _ -> {}));
      process.register(ProbeRequest.at("libc.so.6", "dup",
          hit -> hit.failFunction(-1, (int) hit.argument(0) - 100_000)));
      target.send("go");
      assertThat(target.awaitLine("wrong ")).isEqualTo("wrong 0");
      assertThat(location.hits()).isGreaterThanOrEqualTo(THREADS);
    }
  }

  /** Whoever fails a function second only changes how it fails. */
  @Test
  void twoUsersMayFailTheSameCall(@TempDir Path directory) throws Exception {
    try (TargetProcess target = started("gcc", directory);
        ProbedProcess one = ProbedProcess.attach(target.pid());
        ProbedProcess two = ProbedProcess.attach(target.pid())) {
      var callers = new ConcurrentLinkedQueue<Long>();
      one.register(ProbeRequest.at("libc.so.6", "dup", hit -> {
        callers.add(hit.caller());
        hit.failFunction(-2, 3);
      }));
      two.register(ProbeRequest.at("libc.so.6", "dup", hit -> {
        callers.add(hit.caller());
        hit.failFunction(-1, (int) hit.argument(0) - 100_000);
      }));
      target.send("go");
      assertThat(target.awaitLine("wrong ")).isEqualTo("wrong 0");
      assertThat(callers).hasSize(2 * THREADS * CALLS_OF_EACH);
      assertThat(callers.stream().distinct()).hasSize(1);
    }
  }

  /** A function of the program itself fails with the errno of the library that it uses. */
  @Test
  void failsFunctionsOfTheProgram(@TempDir Path directory) throws Exception {
    try (TargetProcess target = started("gcc", directory);
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      process.register(ProbeRequest.at("program", "result", hit -> hit.failFunction(77, 12)));
      target.send("go");
      assertThat(target.awaitLine("result ")).isEqualTo("result 77");
    }
  }

  @Test
  void aFunctionIsExecutedWhereNothingShowsItsErrno(@TempDir Path directory) throws Exception {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    Path program = directory.resolve("program");
    started("gcc -static -no-pie", directory).close();
    long result = symbol(program, "result");
    assertThat(new ProcessBuilder("strip", program.toString()).inheritIO().start().waitFor()).isZero();
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready");
      try (ProbedProcess process = ProbedProcess.attach(target.pid(),
          ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
        process.register(ProbeRequest.at(result, hit -> hit.failFunction(77, 12)).trustingBoundary());
        target.send("go");
        assertThat(target.awaitLine("result ")).isEqualTo("result -5");
        assertThat(errors).singleElement().isInstanceOfSatisfying(ProbeException.class,
            e -> assertThat(e.reason()).isEqualTo(ProbeException.Reason.ERRNO_NOT_FOUND));
      }
    }
  }

  private static long symbol(Path program, String name) throws Exception {
    Process nm = new ProcessBuilder("nm", program.toString()).start();
    String lines = new String(nm.getInputStream().readAllBytes());
    return lines.lines().filter(line -> line.endsWith(" T " + name))
        .mapToLong(line -> Long.parseUnsignedLong(line.substring(0, 16), 16)).findFirst().orElseThrow();
  }

  @ParameterizedTest
  @CsvSource({"gcc, 0, 1, 1", "gcc -m32, 1, 3, 2"})
  void saysWhatAFunctionIsCalledWith(String compiler, int floatPlace, int doublePlace, int stringPlace,
      @TempDir Path directory) throws Exception {
    var seen = new ConcurrentLinkedQueue<String>();
    var callers = new ConcurrentLinkedQueue<Long>();
    var times = new ConcurrentLinkedQueue<Long>();
    try (TargetProcess target = started(compiler, directory);
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      process.register(ProbeRequest.at("program", "mix", hit -> {
        seen.add(hit.argument(0) + " " + hit.floatArgument(floatPlace) + " "
            + hit.doubleArgument(doublePlace) + " " + hit.string(stringPlace, 64).orElse("none") + " "
            + hit.string(stringPlace, 3).orElse("none") + hit.string(stringPlace, 0).isPresent());
        callers.add(hit.caller());
        times.add(hit.seenAt());
      }));
      long before = System.nanoTime();
      target.send("go");
      assertThat(target.awaitLine("mix ")).isEqualTo("mix 11.75 1e+300");
      assertThat(seen).hasSize(2).contains("7 1.5 2.25 déjà vu dé" + true);
      assertThat(seen).anyMatch(line -> line.startsWith("8 -0.5 1.0E300 none none"));
      assertThat(callers).doesNotHaveDuplicates()
          .allSatisfy(caller -> assertThat(process.describe(caller)).startsWith("program:main+0x"));
      assertThat(times).allSatisfy(time -> assertThat(time - before).isNotNegative());
    }
  }

  @ParameterizedTest
  @CsvSource({"gcc, INTERRUPT, -5", "gcc, TASK, -5", "gcc -m32, INTERRUPT, 4294967291"})
  void saysAndChangesWhatAFunctionReturns(String compiler, HandlerContext context, long result,
      @TempDir Path directory) throws Exception {
    var seen = new ConcurrentLinkedQueue<Long>();
    try (TargetProcess target = started(compiler, directory);
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      process.register(ReturnProbeRequest.of(new ProbeLocation.Symbol("program", "result", 0),
          ProbeHit::caller, (hit, caller) -> {
            seen.add(hit.returnValue());
            assertThat(hit.caller()).isEqualTo(caller);
            hit.returnValue(-42);
          }).inContext(context));
      target.send("go");
      assertThat(target.awaitLine("result ")).isEqualTo("result -42");
      assertThat(seen).containsExactly(result);
    }
  }

  /** What somebody keeps of a hit says nothing behind its handler, where it would be of another hit. */
  @Test
  void aHitIsOverBehindItsHandler(@RunsFixture(value = CALLS, args = {"1", "1"}) TargetProcess target) {
    var kept = new ConcurrentLinkedQueue<ProbeHit>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      process.register(ProbeRequest.at("calls", "work", kept::add));
      target.send("go");
      target.awaitOk();
    }
    ProbeHit hit = kept.element();
    for (ThrowingCallable use : List.<ThrowingCallable>of(hit::seenAt, hit::caller, hit::registers,
        hit::returnValue, () -> hit.string(0, 1), () -> hit.failFunction(0, 1))) {
      assertThatThrownBy(use).isInstanceOf(NullPointerException.class)
          .hasMessage("a hit is valid only until its handler returns");
    }
  }

  @Test
  void refusesWhatCannotBeMeant(@RunsFixture(value = CALLS, args = {"1", "1"}) TargetProcess target) {
    var errors = new ConcurrentLinkedQueue<Throwable>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid(),
        ProbingOptions.defaults().withErrorListener((_, thrown) -> errors.add(thrown)))) {
      process.register(ProbeRequest.at("calls", "work", hit -> {
        assertThatThrownBy(() -> hit.failFunction(0, 0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> hit.failFunction(0, 4096)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> hit.string(0, -1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> hit.argument(-1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> hit.floatArgument(8)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> hit.doubleArgument(-1)).isInstanceOf(IndexOutOfBoundsException.class);
      }));
      target.send("go");
      target.awaitOk();
      assertThat(errors).isEmpty();
    }
  }
}
