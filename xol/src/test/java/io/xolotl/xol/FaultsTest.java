package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.SYSBLOCK;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Each single call that attaching, launching, registering, unregistering and closing make of the C library
 * fails once, or finds the process killed. The operation says so or succeeds all the same, and nothing is
 * left behind, there and here.
 */
@Isolated
class FaultsTest {

  private static final List<String> SITES = List.of("work_push", "work_rip_load", "work_jcc", "work_call",
      "work_ret");

  private static final Set<ProbeException.Reason> REASONS_OF_AN_END = Set.of(
      ProbeException.Reason.NO_SUCH_PROCESS,
      ProbeException.Reason.PROCESS_GONE, ProbeException.Reason.ZOMBIE, ProbeException.Reason.CLOSED);

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
      List<ProbeRequest> requests = requests(target);
      var opened = new ArrayList<ProbedProcess>();
      step(Step.ATTACH, () -> opened.add(ProbedProcess.attach(target.pid())));
      for (ProbedProcess process : opened) {
        var probes = new ArrayList<Probe>();
        step(Step.REGISTER, () -> probes.addAll(process.register(requests)));
        step(Step.HIT, hits);
        step(Step.UNREGISTER, () -> probes.forEach(probe -> attempt(probe::unregister)));
        step(Step.REGISTER, () -> process.register(requests));
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
    requests.add(ProbeRequest.at(target.address("work_xor"), hit -> {}).inContext(HandlerContext.TASK));
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
    return HexFormat.of().formatHex(ProcFs.memory(target.pid(), target.address("work"), 96));
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
      if (step == Step.ATTACH || step == Step.REGISTER) {
        assertThat(refused).isPositive();
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Step.class)
  void theProcessIsKilledAtAnyCall(Step step) {
    for (int n = 1; n <= 200; n++) {
      int number = n;
      try (TargetProcess target = TargetProcess.start(CALLS, "3", "20")) {
        Life life = Life.live(target, step, operation -> Faults.before(number,
            () -> ProcessHandle.of(target.pid()).ifPresent(ProcessHandle::destroyForcibly), operation),
            () -> hitWhileAlive(target));
        if (life.failed == null) {
          break;
        }
        assertThat(target.exitStatus()).as("%s, call %d: %s", step, n, life.failed)
            .isEqualTo(new ExitStatus.Killed(9));
        assertThat(life.refusals).extracting(ProbeException::reason)
            .allMatch(reason -> REASONS_OF_AN_END.contains(reason), "an end of the process");
      }
    }
  }

  @Test
  void anyCallFailsWhileThreadsHit() {
    var random = new Random(3);
    try (TargetProcess target = TargetProcess.start(FOREVER, "8")) {
      target.send("go");
      awaitProgress(target);
      String before = account(target.pid());
      String text = text(target);
      for (int i = 0; i < 150; i++) {
        Step step = Step.values()[random.nextInt(Step.values().length)];
        int number = 1 + random.nextInt(step == Step.HIT ? 300 : 120);
        Life life = Life.live(target, step, operation -> Faults.during(number, operation),
            () -> Await.until(() -> step != Step.HIT || Faults.haveStruck(), () -> "call " + number));
        String context = step + ", call " + number + ": " + life.failed + ", " + life.refusals;
        awaitProgress(target);
        assertThat(account(target.pid())).as(context).isEqualTo(before);
        assertThat(text(target)).as(context).isEqualTo(text);
      }
      target.send("stop");
      target.awaitOk();
    }
  }

  /**
   * Every thread works: each has its own counter, but the sum rises with those of others, so the verdict
   * comes last.
   */
  private static void awaitProgress(TargetProcess target) {
    target.send("count");
    long then = Long.parseLong(target.awaitLine("count ").substring("count ".length()));
    Await.until(() -> {
      target.send("count");
      return Long.parseLong(target.awaitLine("count ").substring("count ".length())) > then + 100;
    }, () -> "calls");
  }

  @ParameterizedTest
  @EnumSource(value = Step.class, names = {"ATTACH", "REGISTER", "CLOSE"})
  void callsThatAreInterruptedGoOnWhateverFails(Step step) {
    try (TargetProcess target = TargetProcess.start(SYSBLOCK)) {
      awaitBlocked(target);
      for (int n = 1;; n++) {
        int number = n;
        Life life = Life.live(target, step, operation -> Faults.during(number, operation), () -> {});
        if (life.failed == null) {
          break;
        }
      }
      target.send("release");
      target.awaitOk();
      assertThat(target.output()).filteredOn(line -> line.contains(" returns "))
          .isNotEmpty().allMatch(line -> line.contains(" eintr 0 early 0"));
    }
  }

  private static void awaitBlocked(TargetProcess target) {
    for (int tid : ProcFs.threads(target.pid())) {
      ProcFs.awaitState(tid, "S");
    }
  }

  @ParameterizedTest
  @EnumSource(ProbedProcess.LaunchStop.class)
  void anyCallFailsInALaunch(ProbedProcess.LaunchStop stop) throws Exception {
    var none = new LaunchRequest.Stream.File(Path.of("/dev/null"), true);
    LaunchRequest request = LaunchRequest.of(List.of("/bin/echo", "x")).withStreams(none, none, none);
    int refused = 0;
    for (int n = 1;; n++) {
      var launched = new ArrayList<ProbedProcess>();
      String failed = Faults.during(n, () -> {
        try {
          launched.add(ProbedProcess.launch(request, ProbingOptions.defaults(), stop));
        } catch (ProbeException e) {
          assertThat(e).hasMessageMatching("[^\n]{10,}");
        }
      });
      refused += launched.isEmpty() ? 1 : 0;
      for (ProbedProcess process : launched) {
        process.start();
        assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
            .isEqualTo(new ProcessEnd.Exited(0));
        process.close();
      }
      String context = "call " + n + ": " + failed;
      Await.until(() -> children().isEmpty(), () -> context + ": children " + children());
      if (failed == null) {
        break;
      }
    }
    assertThat(refused).isPositive();
  }

  private static List<String> children() {
    var children = new ArrayList<String>();
    for (int tid : ProcFs.threads((int) ProcessHandle.current().pid())) {
      try {
        for (String child : Files.readString(Path.of("/proc/self/task/" + tid + "/children")).split(" ")) {
          if (!child.isBlank()) {
            children.add(child);
          }
        }
      } catch (IOException ended) {
        // Its children are another thread's, which is looked at next time.
        children.add("of " + tid);
      }
    }
    return children;
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

  private static void hitWhileAlive(TargetProcess target) {
    if (target.isAlive()) {
      // Its death may be on its way.
      try {
        target.send("go");
      } catch (UncheckedIOException e) {
        assertThat(target.exitStatus()).isEqualTo(new ExitStatus.Killed(9));
      }
      Await.until(() -> verdicts(target) > 0 || !target.isAlive(), () -> "the end of a round");
    }
  }

  private static int verdicts(TargetProcess target) {
    return (int) target.output().stream().filter(line -> line.matches("ok|BAD")).count();
  }
}
