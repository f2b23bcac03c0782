package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What cannot be attached to, with the reason for programs and the sentence for people. */
class AttachabilityTest {

  private final Tracer tracer = Tracer.start("tracer of a test");

  @AfterEach
  void closeTracer() {
    tracer.close();
  }

  private void assertRefused(int pid, Reason reason, String... parts) {
    assertThatThrownBy(() -> tracer.call(() -> TracedProcess.attach(tracer, pid, _ -> new Recorder())))
        .isInstanceOfSatisfying(PtraceException.class, e -> assertThat(e.reason()).isEqualTo(reason))
        .hasMessageContainingAll(parts);
  }

  @Test
  void noSuchProcess() throws Exception {
    Process ended = new ProcessBuilder("true").start();
    ended.waitFor();
    assertRefused((int) ended.pid(), Reason.NO_SUCH_PROCESS, "there is no process " + ended.pid());
    for (int pid : new int[]{0, -1, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
      assertRefused(pid, Reason.NO_SUCH_PROCESS, "there is no process " + pid);
    }
  }

  @Test
  void threadInsteadOfProcess(
      @RunsFixture(value = FixtureProgram.THREADS, args = "2") TargetProcess target) {
    int tid = ProcFs.threads(target.pid()).getLast();
    assertRefused(tid, Reason.NO_SUCH_PROCESS, tid + " is a thread of process " + target.pid(), "(threads)");
  }

  @Test
  void thisJvm() {
    int pid = (int) ProcessHandle.current().pid();
    assertRefused(pid, Reason.OWN_PROCESS, "process " + pid + " is this JVM itself");
  }

  @Test
  void kernelThread() {
    int pid = IntStream.rangeClosed(1, 200).filter(id -> {
      ProcessStatus status = ProcessStatus.of(id);
      return status != null && status.kernelThread() && status.tgid() == id;
    }).findFirst().orElse(0);
    assumeTrue(pid != 0, "no kernel thread is visible here, as in a container");
    assertRefused(pid, Reason.KERNEL_THREAD, "process " + pid, "kernel thread");
  }

  @Test
  void zombie(@RunsFixture(FixtureProgram.ZOMBIE) TargetProcess target) {
    int pid = Integer.parseInt(target.awaitLine("zombie ").split(" ")[1]);
    assertRefused(pid, Reason.ZOMBIE, "process " + pid + " (zombie) has ended", "process " + target.pid());
  }

  @Test
  void childThatTheJdkWaitsFor() throws Exception {
    Process child = new ProcessBuilder("cat").start();
    try {
      assertRefused((int) child.pid(), Reason.CHILD_OF_THIS_JVM, "process " + child.pid(), "launch",
          "attach from another JVM");
    } finally {
      child.getOutputStream().close();
    }
    assertThat(child.waitFor()).isZero();
  }

  @Test
  void alreadyTracedByThisJvm(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    try (var first = Traced.attach(target.pid(), new Recorder())) {
      assertRefused(target.pid(), Reason.ALREADY_TRACED,
          "process " + target.pid() + " is already traced by process "
              + ProcessHandle.current().pid());
      assertThat(ProcFs.tracerPid(target.pid())).isEqualTo(first.tracer.tid());
    }
    tracer.call(() -> TracedProcess.attach(tracer, target.pid(), _ -> new Recorder()));
    assertThat(ProcFs.tracerPid(target.pid())).isEqualTo(tracer.tid());
  }

  /** As {@code strace -p TID} does without {@code -f}. */
  @Test
  void oneThreadTracedBySomebodyElse(
      @RunsFixture(value = FixtureProgram.THREADS, args = "20") TargetProcess target) {
    List<Integer> threads = ProcFs.threads(target.pid());
    int held = threads.get(11);
    try (Tracer other = Tracer.start("other tracer")) {
      assertThat(other.call(() -> Libc.ptrace(other.scratch().state, Ptrace.SEIZE, held, 0, 0))).isZero();
      assertRefused(target.pid(), Reason.ALREADY_TRACED, held + " is already traced by process");
      // It lets go of those that it had got at.
      tracer.close();
      assertThat(threads).allMatch(tid -> ProcFs.tracerPid(tid) == (tid == held ? other.tid() : 0));
      target.send("round");
      target.awaitOk();
    }
  }

  @Test
  void processThatWasLaunchedByAnotherTracerThatIsStillOpen() {
    Tracer parent = Tracer.start("parent");
    TracedProcess launched = parent
        .call(() -> TracedProcess.launch(parent, LaunchRequest.of(List.of("sleep", "1000")),
            _ -> new Recorder()));
    int pid = launched.pid();
    parent.call(() -> {
      launched.detach();
      return 0;
    });
    assertRefused(pid, Reason.CHILD_OF_THIS_JVM, "process " + pid, "another tracer of this JVM", "close");
    parent.close();
    var recorder = new Recorder();
    TracedProcess again = tracer.call(() -> TracedProcess.attach(tracer, pid, _ -> recorder));
    tracer.call(() -> {
      again.threads().getFirst().send(Signals.SIGKILL);
      return 0;
    });
    ProcFs.awaitGone(pid);
    assertThat(recorder.awaitEnd(pid)).isEqualTo(new WaitStatus.Killed(9, false));
  }

  static final class AttachAsNobody {

    private AttachAsNobody() {}

    public static void main(String[] arguments) {
      try (Tracer tracer = Tracer.start("t")) {
        tracer.call(() -> TracedProcess.attach(tracer, Integer.parseInt(arguments[0]), _ -> new Recorder()));
        System.out.println("attached");
      } catch (PtraceException e) {
        System.out.println(e.reason() + " " + e.errno() + " " + e.getMessage());
      }
    }
  }

  @Test
  void processOfAnotherUser(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target,
      @TempDir Path directory) throws IOException {
    assumeTrue("0".equals(ProcFs.status((int) ProcessHandle.current().pid(), "Uid").split("\\s")[0]),
        "only root can run a JVM as another user");
    List<String> lines = ChildJvm.runAsNobody(directory, AttachAsNobody.class,
        Integer.toString(target.pid()));
    assertThat(lines).singleElement().asString()
        .startsWith("NOT_PERMITTED 1 process " + target.pid() + " (sleeper)")
        .contains("belongs to user 0 (root)", "runs as user 65534", "sudo");
    assertThat(ProcFs.tracerPid(target.pid())).isZero();
  }
}
