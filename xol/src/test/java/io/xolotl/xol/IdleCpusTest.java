package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.IdleCpus;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/**
 * The request to keep CPUs awake lasts as long as hits are frequent: as long as this process has the file
 * open.
 */
@Isolated
class IdleCpusTest {

  private static final Path FILE = Path.of("/dev/cpu_dma_latency");
  private static final int MANY = 20_000;
  private static final int ROUNDS = 5;
  private static final int CPUS = Runtime.getRuntime().availableProcessors();
  /** The program or the tracer, and this thread. */
  private static final int OURS = 2;
  /** In a row. */
  private static final int MANY_LOOKS = 200;

  @BeforeEach
  void mayBeHeld() {
    assumeTrue(Files.isWritable(FILE), "this user may not keep CPUs awake");
  }

  @Test
  void areAwakeWhileHitsAreFrequent(@RunsFixture(value = FOREVER, args = "1") TargetProcess target) {
    try (ProbedProcess process = attach(target, IdleCpus.AWAKE)) {
      Probe probe = register(process, target);
      for (int round = 0; round < ROUNDS; round++) {
        assertThat(isHeld()).isFalse();
        target.send("go");
        awaitHeld();
        target.send("stop");
        target.awaitOk();
        Await.until(() -> !isHeld(), () -> "not held while it does not");
      }
      assertThat(probe.hits()).isPositive();
    }
  }

  @Test
  void sleepAgainWhenTheSessionEndsInTheMiddle(
      @RunsFixture(value = FOREVER, args = "1") TargetProcess target) {
    target.send("go");
    for (int round = 0; round < ROUNDS; round++) {
      try (ProbedProcess process = attach(target, IdleCpus.AWAKE)) {
        register(process, target);
        awaitHeld();
      }
      assertThat(isHeld()).isFalse();
    }
    target.send("stop");
    target.awaitOk();
  }

  @Test
  void sleepIfAskedTo(@RunsFixture(value = FOREVER, args = "1") TargetProcess target) {
    try (ProbedProcess process = attach(target, IdleCpus.SLEEP)) {
      Probe probe = register(process, target);
      target.send("go");
      Await.until(() -> probe.hits() > MANY, () -> "hits");
      assertThat(isHeld()).isFalse();
      target.send("stop");
      target.awaitOk();
    }
  }

  private static ProbedProcess attach(TargetProcess target, IdleCpus idleCpus) {
    return ProbedProcess.attach(target.pid(), ProbingOptions.defaults().withIdleCpus(idleCpus));
  }

  private static Probe register(ProbedProcess process, TargetProcess target) {
    return process.register(ProbeRequest.at(target.address("work_mov"), _ -> {
      // It counts by itself.
    }));
  }

  /**
   * Waits until the program hits the probe often enough. Where others want all CPUs none of them sleeps, and
   * the tracer lets them have its own: nothing is held then, and there is nothing to test.
   */
  private static void awaitHeld() {
    var crowdedLooks = new AtomicInteger();
    Await.until(() -> {
      crowdedLooks.set(runnableThreads() > CPUS + OURS ? crowdedLooks.get() + 1 : 0);
      assumeTrue(crowdedLooks.get() < MANY_LOOKS, "others want all CPUs, so that none of them sleeps");
      return isHeld();
    }, () -> "held while the program hits the probe");
  }

  /** All that have a CPU or wait for one, this one included. */
  private static int runnableThreads() {
    try (Stream<String> lines = Files.lines(Path.of("/proc/stat"))) {
      return lines.filter(line -> line.startsWith("procs_running "))
          .mapToInt(line -> Integer.parseInt(line.substring(line.indexOf(' ') + 1))).findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isHeld() {
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      return descriptors.anyMatch(IdleCpusTest::isHeldBy);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isHeldBy(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).equals(FILE);
    } catch (IOException closedMeanwhile) {
      return false;
    }
  }
}
