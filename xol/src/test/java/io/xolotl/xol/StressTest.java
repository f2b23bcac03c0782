package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.IdleCpus;
import io.xolotl.ptrace.TracerAffinity;
import io.xolotl.ptrace.UserRegister;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/**
 * Random mixtures of what can happen at once: threads, signals, job control, children, probes that come and
 * go, sessions that open and close. The programs check themselves.
 *
 * <p>{@code mvn verify} runs a quarter of a minute with a fixed seed; {@code mvn verify -Pstress} runs ten
 * with a random one, {@code -Dseed=} repeats one and {@code -Dseconds=} says how long.
 */
@Isolated
class StressTest {

  private static final List<String> LABELS = List.of("work_push", "work_mov", "work_rip_load", "work_lea",
      "work_add",
      "work_nop", "work_test", "work_jcc", "work_add_mem", "work_call", "work_pop", "work_ret", "work_helper",
      "work_xor",
      "work_helper_ret");
  private static final int WORKERS = 3;

  private final AtomicLong hits = new AtomicLong();
  private final AtomicLong sessions = new AtomicLong();

  @Test
  void everythingAtOnce() throws Exception {
    long seed = Long.getLong("seed", Boolean.getBoolean("randomSeed") ? System.nanoTime() : 20_101_123L);
    long end = System.nanoTime() + Duration.ofSeconds(Long.getLong("seconds", 15L)).toNanos();
    System.out.println("stress: seed " + seed + " (repeat with -Dseed=" + seed + ")");
    long descriptors = openDescriptors();
    try (var workers = Executors.newFixedThreadPool(WORKERS)) {
      List<Future<Integer>> results = new ArrayList<>();
      for (int i = 0; i < WORKERS; i++) {
        var random = new Random(seed + i);
        Callable<Integer> work = () -> {
          int rounds = 0;
          do {
            round(random);
            rounds++;
          } while (System.nanoTime() < end);
          return rounds;
        };
        results.add(workers.submit(work));
      }
      for (Future<Integer> result : results) {
        assertThat(result.get()).isPositive();
      }
    }
    System.out.println("stress: " + sessions + " sessions, " + hits + " hits");
    assertThat(hits.get()).isPositive();
    Await.until(
        () -> Thread.getAllStackTraces().keySet().stream()
            .noneMatch(t -> t.getName().startsWith("xolotl-tracer")),
        () -> "tracer threads are left");
    Await.until(() -> openDescriptors() <= descriptors + 5,
        () -> openDescriptors() + " descriptors are open, and "
            + descriptors + " were before");
  }

  private static long openDescriptors() {
    try (var list = Files.list(Path.of("/proc/self/fd"))) {
      return list.count();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void round(Random random) throws Exception {
    switch (random.nextInt(5)) {
      case 4 -> counted(random);
      case 0 -> endless(random, FixtureProgram.FOREVER, "4", "stop");
      case 1 -> endless(random, FixtureProgram.SPAWNER, "2", "stop");
      case 2 -> {
        try (TargetProcess target = TargetProcess.start(FixtureProgram.SIGNALS, "80", "1")) {
          target.send("go");
          disturb(random, target, false);
          target.awaitOk();
        }
      }
      default -> {
        String kind = List.of("fork", "vfork", "posix_spawn", "clone_vm").get(random.nextInt(4));
        try (TargetProcess target = TargetProcess.start(FixtureProgram.FORKER, kind)) {
          for (int i = 0; i < 20; i++) {
            target.send("go");
          }
          disturb(random, target, false);
          for (int i = 0; i < 20; i++) {
            target.awaitOk();
          }
        }
      }
    }
  }

  /** No hit of a probe that stays is lost, whatever other users of the session do meanwhile. */
  private void counted(Random random) throws Exception {
    int threads = 1 + random.nextInt(4);
    int calls = 5_000;
    try (TargetProcess target = TargetProcess.start(FixtureProgram.CALLS, "" + threads, "" + calls)) {
      Aftermath before = Aftermath.expectedOf(target.pid(), LABELS.stream().map(target::address).toList());
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe stays = process.register(
            ProbeRequest.at(target.address(LABELS.get(random.nextInt(4))), hit -> {})
                .inContext(context(random)));
        target.send("go");
        disturb(random, target, false);
        target.awaitOk();
        assertThat(stays.hits()).as("hits of %s", stays).isEqualTo((long) threads * calls);
        hits.addAndGet(stays.hits());
      }
      before.assertNoTrace();
    }
  }

  private void endless(Random random, FixtureProgram program, String threads, String stop) throws Exception {
    try (TargetProcess target = TargetProcess.start(program, threads)) {
      target.send("go");
      disturb(random, target, true);
      target.send(stop);
      target.awaitOk();
    }
  }

  /** A few sessions, or more users of one, each with random probes; the process is as before after each. */
  private void disturb(Random random, TargetProcess target, boolean jobControl) throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), LABELS.stream().map(target::address).toList());
    for (int session = 0; session < 4; session++) {
      sessions.incrementAndGet();
      boolean shared = ProcFs.tracerPid(target.pid()) != 0;
      ProbingOptions options = ProbingOptions.defaults()
          .withForkPolicy(ForkPolicy.values()[random.nextInt(ForkPolicy.values().length)])
          .withTracerAffinity(TracerAffinity.values()[random.nextInt(TracerAffinity.values().length)])
          .withIdleCpus(IdleCpus.values()[random.nextInt(IdleCpus.values().length)]);
      try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
        List<Probe> probes = new ArrayList<>();
        List<ReturnProbe> returns = new ArrayList<>();
        for (int step = 0; step < 40; step++) {
          switch (random.nextInt(8)) {
            case 0, 1, 2 -> register(random, process, target, probes);
            case 3, 4 -> {
              if (!probes.isEmpty()) {
                Probe probe = probes.remove(random.nextInt(probes.size()));
                probe.unregister();
                hits.addAndGet(probe.hits());
              }
            }
            case 5 -> returns
                .add(process.register(ReturnProbeRequest.of(new ProbeLocation.Address(target.address("work")),
                    hit -> hit.registers().rsp(),
                    (hit, rsp) -> assertThat(hit.registers().rsp()).isEqualTo(rsp + 8)).inContext(
                        context(random))));
            case 6 -> {
              if (!returns.isEmpty()) {
                returns.remove(random.nextInt(returns.size())).unregister();
              }
            }
            default -> {
              if (jobControl && random.nextInt(3) == 0) {
                target.signal("STOP");
                register(random, process, target, probes);
                target.signal("CONT");
              }
            }
          }
        }
        probes.forEach(probe -> hits.addAndGet(probe.hits()));
      }
      if (!shared) {
        before.assertNoTrace();
      }
    }
  }

  private static HandlerContext context(Random random) {
    return HandlerContext.values()[random.nextInt(2)];
  }

  private static void register(Random random, ProbedProcess process, TargetProcess target,
      List<Probe> probes) {
    ProbeRequest request = ProbeRequest.at(target.address(LABELS.get(random.nextInt(LABELS.size()))), hit -> {
      if (hit.number() % 64 == 0) {
        hit.registers().get(UserRegister.RAX);
      }
    }).inContext(context(random));
    try {
      probes.add(process
          .register(random.nextBoolean()
              ? request
              : request.with(Technique.values()[random.nextInt(Technique.values().length)])));
    } catch (ProbeException e) {
      assertThat(e.reason()).as(e.getMessage()).isEqualTo(ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE);
    }
  }
}
