package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.PtraceException.Reason;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who runs in the memory of a process, and what is refused because of them. */
class AddressSpaceTest {

  private static int make(TargetProcess target, String kind) {
    target.send("make " + kind);
    return Integer.parseInt(target.awaitLine("kin ").split(" ")[1]);
  }

  private static List<TracedProcess> attachBorrowers(Traced traced) {
    return traced.tracer.call(() -> {
      traced.process.completeAttach(thread -> {});
      var found = new ArrayList<TracedProcess>();
      traced.process.attachBorrowers(found::add, thread -> {});
      return found;
    });
  }

  @ParameterizedTest
  @ValueSource(strings = {"child", "sibling", "orphan", "chain", "leaderless", "vfork_sibling", "untraced"})
  void everyoneIsFoundFromEither(String kind) {
    try (var target = TargetProcess.start(FixtureProgram.KIN);
        var stranger = TargetProcess.start(FixtureProgram.KIN)) {
      int kin = make(target, kind);
      make(stranger, kind);
      for (int pid : new int[]{target.pid(), kin}) {
        int other = pid == kin ? target.pid() : kin;
        try (var traced = Traced.attach(pid, new Recorder())) {
          List<TracedProcess> found = attachBorrowers(traced);
          assertThat(found).extracting(TracedProcess::pid).hasSize(kind.equals("chain") ? 2 : 1)
              .contains(other);
          assertThat(found).allSatisfy(each -> assertThat(TracedProcess.shareMemory(each.memory().owner(),
              traced.process.memory().owner())).isTrue());
          traced.tracer.call(() -> {
            found.forEach(TracedProcess::detach);
            return 0;
          });
        }
      }
      assertThat(TracedProcess.shareMemory(target.pid(), stranger.pid())).isFalse();
      target.send("go 10");
      target.awaitOk();
    }
  }

  @Test
  void whoeverIsTracedBySomebodyElseIsNamed() {
    try (var target = TargetProcess.start(FixtureProgram.KIN)) {
      int kin = make(target, "sibling");
      try (var other = Traced.attach(kin, new Recorder());
          var traced = Traced.attach(target.pid(), new Recorder())) {
        assertThat(other.process.pid()).isEqualTo(kin);
        assertThatThrownBy(() -> attachBorrowers(traced)).isInstanceOfSatisfying(PtraceException.class,
            e -> assertThat(e.reason()).isEqualTo(Reason.ADDRESS_SPACE_SHARED))
            .hasMessageContainingAll("process " + kin + " (kin) shares the memory of process " + target.pid(),
                "already traced by");
      }
      target.send("go 10");
      target.awaitOk();
    }
  }

  /** Where kcmp(2) is missing, or forbidden as in many containers, what every user may read decides. */
  @Test
  void whereMemoryCannotBeComparedDoubtIsNamed() {
    try (var target = TargetProcess.start(FixtureProgram.KIN);
        var stranger = TargetProcess.start(FixtureProgram.KIN, "another");
        var traced = Traced.attach(target.pid(), new Recorder())) {
      Libc.faults = call -> call.equals("system call 312") ? Libc.EPERM : 0;
      try {
        assertThat(attachBorrowers(traced)).isEmpty();
        int kin = make(target, "orphan");
        // Announced or not: nobody is to be found again.
        assertThatThrownBy(() -> {
          try (var second = TargetProcess.start(FixtureProgram.KIN)) {
            int sibling = make(second, "sibling");
            try (var alone = Traced.attach(second.pid(), new Recorder())) {
              assertThat(sibling).isPositive();
              attachBorrowers(alone);
            }
          }
        }).isInstanceOfSatisfying(PtraceException.class,
            e -> assertThat(e.reason()).isEqualTo(Reason.ADDRESS_SPACE_SHARED))
            .hasMessageContaining("may share the memory of")
            .message().doesNotContain("process " + stranger.pid(), "process " + kin);
      } finally {
        Libc.faults = null;
      }
    }
  }

  static final class AttachAsNobody {

    private AttachAsNobody() {}

    public static void main(String[] arguments) {
      try (Tracer tracer = Tracer.start("t")) {
        int found = tracer.call(() -> {
          var process = TracedProcess.attach(tracer, Integer.parseInt(arguments[0]), _ -> new Recorder());
          var all = new ArrayList<TracedProcess>();
          process.attachBorrowers(all::add, thread -> {});
          return all.size();
        });
        System.out.println("attached with " + found);
      } catch (PtraceException e) {
        System.out.println(e.reason() + " " + e.errno() + " " + e.getMessage());
      }
    }
  }

  private static void assumeRoot() {
    assumeTrue("0".equals(ProcFs.status((int) ProcessHandle.current().pid(), "Uid").split("\\s")[0]),
        "only root can run a JVM as another user");
  }

  @Test
  void whoMayNotBeComparedIsJudgedByWhatEverybodyMayRead(@TempDir Path directory) throws Exception {
    assumeRoot();
    try (var target = TargetProcess.start(FixtureProgram.KIN);
        var stranger = TargetProcess.start(FixtureProgram.KIN, "another")) {
      int kin = make(target, "other_user");
      make(stranger, "child");
      // It has told that it is another user's when it has been told to call and has done so.
      target.send("go 10");
      target.awaitOk();
      List<String> lines = ChildJvm.runAsNobody(directory, AttachAsNobody.class, Integer.toString(kin));
      assertThat(lines).singleElement().asString()
          .startsWith(
              "ADDRESS_SPACE_SHARED 1 process " + target.pid() + " (kin) may share the memory of process "
                  + kin)
          .contains("CAP_SYS_PTRACE").doesNotContain("process " + stranger.pid());
      target.send("go 10");
      target.awaitOk();
      assertThat(ProcFs.tracerPid(kin)).isZero();
    }
  }

  /** The same program, of another user, with memory of its own. */
  @Test
  void strangersAreNotNamed(@TempDir Path directory) throws Exception {
    assumeRoot();
    var strangers = new ArrayList<TargetProcess>();
    try (var target = TargetProcess
        .start(List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            "sleep", "1000"))) {
      for (int i = 0; i < 5; i++) {
        strangers.add(TargetProcess.start(List.of("sleep", "100" + i + "1")));
      }
      Await.until(() -> ProcFs.status(target.pid(), "Name").equals("sleep"),
          () -> "sleep");
      assertThat(strangers.stream().map(TargetProcess::pid).collect(Collectors.toSet())).hasSize(5);
      assertThat(ChildJvm.runAsNobody(directory, AttachAsNobody.class, Integer.toString(target.pid())))
          .containsExactly("attached with 0");
    } finally {
      strangers.forEach(TargetProcess::close);
    }
  }
}
