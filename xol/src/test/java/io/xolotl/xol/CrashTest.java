package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A JVM that is killed leaves the process that it probes unharmed. */
@Execution(ExecutionMode.CONCURRENT)
class CrashTest {

  /** How often each program loses its tracer. */
  private static final int KILLS = Integer.getInteger("kills", 1);
  /** Of the calls up to the first hits, one in so many is the last that a tracer makes. */
  private static final int STEP = Integer.getInteger("kill.step", 40);
  private static final int CALLS = 260;

  /** The exit status of a JVM that SIGKILL has ended. */
  private static final int KILLED = 137;

  private static final List<String> WAYS = List.of("hits", "interrupt", "toggle", "task", "sessions");

  /** Programs that check their own results, and count their signals. */
  enum Victim {
    /** Busy threads. */
    FOREVER(FixtureProgram.FOREVER, List.of("4"), List.of("forever:work.*")) {
      @Override
      void work(TargetProcess target, AtomicBoolean over) {
        goOnUntil(target, over, "calls ");
      }
    },
    /** A timer, 10,000 times a second, and queued signals. */
    SIGNALS(FixtureProgram.SIGNALS, List.of("10000", "0.05"), List.of("signals:work.*/6")),
    /** A handler of its own for SIGTRAP, int3, an alternate stack. */
    TRAPPER(FixtureProgram.TRAPPER, List.of("200"), List.of("trapper:work.*", "trapper:on_stack")),
    /** Signals in front of a system call. */
    SYSCALLS(FixtureProgram.SYSCALLS, List.of("200"), List.of("syscalls:.*syscall.*", "syscalls:work.*")),
    /** Threads that come and go. */
    SPAWNER(FixtureProgram.SPAWNER, List.of("3"), List.of("spawner:work.*")) {
      @Override
      void work(TargetProcess target, AtomicBoolean over) {
        goOnUntil(target, over, "created ");
      }
    },
    /** Children that are forked. */
    FORK(FixtureProgram.FORKER, List.of("fork"), List.of("forker:work.*")),
    VFORK(FixtureProgram.FORKER, List.of("vfork"), List.of("forker:work.*")),
    SPAWN(FixtureProgram.FORKER, List.of("posix_spawn"), List.of("forker:work.*"));

    private final FixtureProgram program;
    private final List<String> arguments;
    private final List<String> probed;

    Victim(FixtureProgram program, List<String> arguments, List<String> probed) {
      this.program = program;
      this.arguments = arguments;
      this.probed = probed;
    }

    TargetProcess start() {
      return TargetProcess.start(program, arguments.toArray(String[]::new));
    }

    private static void goOnUntil(TargetProcess target, AtomicBoolean over, String line) {
      target.send("go");
      Await.until(over::get, () -> "the kill");
      for (int round = 0; round < 2; round++) {
        target.send("stop");
        target.awaitLine(line, Await.PATIENCE);
        target.awaitOk();
        target.send("go");
      }
    }

    /** The program works until something is over, and some time on, and is right. */
    void work(TargetProcess target, AtomicBoolean over) {
      while (!over.get()) {
        target.send("go");
        target.awaitOk();
      }
      target.send("go");
      target.awaitOk();
    }
  }

  @ParameterizedTest
  @EnumSource
  void atAnyMoment(Victim victim) throws Exception {
    for (int i = 0; i < KILLS; i++) {
      String way = WAYS.get((victim.ordinal() + i) % WAYS.size());
      kill(victim, way + ", kill " + i, target -> {
        try (ChildJvm jvm = start(way, 0, victim, target)) {
          jvm.await("probing");
          // A random moment, and not one at which anything is expected.
          LockSupport.parkNanos(RandomGenerator.getDefault().nextLong(50_000_000));
          jvm.signal("KILL");
          assertThat(jvm.status()).isEqualTo(KILLED);
        }
      });
    }
  }

  /** Calls by which the tracer reaches the process, from the attach to the first hits. */
  @Test
  void atEachCall() throws Exception {
    int first = 1 + RandomGenerator.getDefault().nextInt(STEP);
    for (int number = first; number < CALLS; number += STEP) {
      int call = number;
      kill(Victim.FOREVER, "call " + number, target -> {
        try (ChildJvm jvm = start("hits", call, Victim.FOREVER, target)) {
          assertThat(jvm.rest()).contains("killed in ");
          assertThat(jvm.status()).isEqualTo(KILLED);
        }
      });
    }
  }

  @Test
  void whatMayDieIsSaid(@RunsFixture(FixtureProgram.FOREVER) TargetProcess plain,
      @RunsFixture(value = FixtureProgram.I386, args = {"forever", "1"}) TargetProcess other,
      @RunsFixture(FixtureProgram.SANDBOX) TargetProcess strict) {
    strict.send("strict");
    strict.awaitLine("done");
    assertThat(risk(plain, "forever")).isEmpty();
    assertThat(risk(other, "i386")).contains("it executes a 32-bit program");
    assertThat(risk(strict, "sandbox")).hasValueSatisfying(why -> assertThat(why).contains("strict mode"));
  }

  private static Optional<String> risk(TargetProcess target, String module) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertThat(process.crashRisk()).isEmpty();
      process.register(ProbeRequest.at(module, "work_nop", hit -> {}));
      return process.crashRisk();
    }
  }

  private interface Killing {
    void of(TargetProcess target) throws Exception;
  }

  private static void kill(Victim victim, String what, Killing killing) throws Exception {
    var over = new AtomicBoolean();
    try (TargetProcess target = victim.start()) {
      var work = CompletableFuture.runAsync(() -> victim.work(target, over), Thread::startVirtualThread);
      try {
        killing.of(target);
      } finally {
        over.set(true);
      }
      work.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new AssertionError(victim + " after " + what, e);
    }
  }

  private static ChildJvm start(String way, int number, Victim victim, TargetProcess target)
      throws Exception {
    List<String> arguments = new ArrayList<>(
        List.of(way, Integer.toString(number), Integer.toString(target.pid())));
    arguments.addAll(victim.probed);
    return ChildJvm.start(CrashingJvm.class, arguments.toArray(String[]::new));
  }
}
