package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.SYSBLOCK;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.Await;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.ProcFs;
import io.xolotl.fixtures.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Each single call that attaching, launching, registering, unregistering and closing make of the C library fails once, or
 * finds the process killed. The operation says so or succeeds all the same, and nothing is left behind, there and here.
 */
@Timeout(300)
class FaultsTest {

  private static final List<String> SITES = List.of("work_push", "work_rip_load", "work_jcc", "work_call",
      "work_ret");

  /** The step in which a call fails. */
  enum Step {
    ATTACH, REGISTER, HIT, UNREGISTER, CLOSE
  }

  /** One life of a session. What fails is thrown when the rest has been done. */
  private static final class Life {

    private final TargetProcess target;
    private final Step faulty;
    private final Injection injection;
    private @Nullable String failed;
    final List<ProbeException> refusals = new ArrayList<>();

    /** Runs an operation; returns the name of the call that was its victim, or null if none was. */
    interface Injection {
      @Nullable
      String into(Runnable operation);
    }

    private Life(TargetProcess target, Step faulty, Injection injection) {
      this.target = target;
      this.faulty = faulty;
      this.injection = injection;
    }

    static Life live(TargetProcess target, Step faulty, Injection injection, Runnable hits) {
      var life = new Life(target, faulty, injection);
      life.run(hits);
      return life;
    }

    private void run(Runnable hits) {
      var opened = new ArrayList<ProbedProcess>();
      step(Step.ATTACH, () -> opened.add(ProbedProcess.attach(target.pid())));
      for (ProbedProcess process : opened) {
        var probes = new ArrayList<Probe>();
        step(Step.REGISTER, () -> probes.addAll(process.register(requests(target))));
        step(Step.HIT, hits);
        step(Step.UNREGISTER, () -> probes.forEach(probe -> attempt(probe::unregister)));
        step(Step.REGISTER, () -> process.register(requests(target)));
        step(Step.CLOSE, process::close);
        attempt(process::close);
      }
    }

    private void step(Step step, Runnable operation) {
      if (step != faulty || failed != null) {
        attempt(operation);
        return;
      }
      failed = injection.into(() -> attempt(operation));
    }

    private void attempt(Runnable operation) {
      try {
        operation.run();
      } catch (ProbeException e) {
        assertThat(e).hasMessageMatching("[^\\n]{10,}");
        refusals.add(e);
      }
    }
  }

  private static List<ProbeRequest> requests(TargetProcess target) {
    var requests = new ArrayList<ProbeRequest>();
    for (String site : SITES) {
      requests.add(ProbeRequest.at(target.address(site), hit -> {}));
    }
    requests.add(ProbeRequest.at(target.address("work_add"), hit -> {}).with(Technique.SINGLE_STEPPED));
    requests.add(ProbeRequest.at(target.address("work_mov"), hit -> {}).with(Technique.TRAPPED));
    requests.add(ProbeRequest.at(target.address("work_xor"), hit -> {}).in(HandlerContext.TASK));
    return requests;
  }

  /** What must be the same afterwards. */
  private static String account(int pid) {
    var account = new StringBuilder();
    ProcFs.mappings(pid).stream().filter(line -> line.contains("x")).map(line -> line.split(" +")[0] + line
        .split(" +")[1]).filter(line -> line.contains("xp"))
        .forEach(line -> account.append(line).append('\n'));
    for (int tid : ProcFs.threads(pid)) {
      account.append(tid);
      for (String field : List.of("TracerPid", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")) {
        account.append(' ').append(field).append(' ').append(ProcFs.status(tid, field));
      }
      account.append('\n');
    }
    return account.toString();
  }

  private static String text(TargetProcess target) {
    return java.util.HexFormat.of().formatHex(ProcFs.memory(target.pid(), target.address("work"), 96));
  }

  @AfterEach
  void nothingIsLeftInThisJvm() throws IOException {
    assertThat(Thread.getAllStackTraces().keySet()).extracting(Thread::getName)
        .noneMatch(name -> name.startsWith("xolotl-tracer"));
    var open = new TreeSet<String>();
    try (var descriptors = Files.list(Path.of("/proc/self/fd"))) {
      for (Path descriptor : descriptors.toList()) {
        if (Files.isSymbolicLink(descriptor)) {
          open.add(Files.readSymbolicLink(descriptor).toString());
        }
      }
    }
    assertThat(open).noneMatch(file -> file.matches("/proc/\\d+/mem"));
  }

  @ParameterizedTest
  @EnumSource(Step.class)
  void anyCallFails(Step step) {
    try (TargetProcess target = TargetProcess.start(CALLS, "3", "20")) {
      // Its threads have got through their start, in which they block signals.
      target.send("go");
      target.awaitOk();
      String before = account(target.pid());
      String text = text(target);
      var failed = new TreeSet<String>();
      int refused = 0;
      for (int n = 1;; n++) {
        int number = n;
        Life life = Life.live(target, step, operation -> Faults.during(number, operation),
            () -> hit(target, step));
        String context = step + ", call " + n + ": " + life.failed + ", " + life.refusals;
        if (System.getProperty("dbg") != null) System.out.println(context + " alive " + target.isAlive());
        target.send("go");
        target.awaitOk();
        if (step == Step.HIT) {
          // The round that was under way; its threads may have waited for the end of the session.
          target.awaitOk();
        }
        assertThat(account(target.pid())).as(context).isEqualTo(before);
        assertThat(text(target)).as(context).isEqualTo(text);
        if (life.failed == null) {
          break;
        }
        failed.add(life.failed);
        refused += life.refusals.isEmpty() ? 0 : 1;
        if (step == Step.HIT && n == 400) {
          break;
        }
      }
      assertThat(failed).isNotEmpty();
      System.out.println(step + " " + failed + " refused " + refused);
    }
  }

  /** A thread that a call failed for may wait for the end of the session. */
  private static void hit(TargetProcess target, Step step) {
    int rounds = verdicts(target);
    target.send("go");
    if (step == Step.HIT) {
      Await.until(() -> Faults.haveStruck() || verdicts(target) > rounds, () -> "the end of a round");
    } else {
      target.awaitOk();
    }
  }

  private static int verdicts(TargetProcess target) {
    return (int) target.output().stream().filter(line -> line.matches("ok|BAD")).count();
  }
}
