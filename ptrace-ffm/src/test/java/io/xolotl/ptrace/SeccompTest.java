package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** No system call is made in a thread that it could kill. */
class SeccompTest {

  private static final int SYS_GETPID = 39;
  private static final int PROT_READ = 1;
  private static final int PROT_WRITE = 2;
  private static final int PAGE = 4096;

  private static boolean readsFilters;

  @TempDir
  private static Path directory;

  @BeforeAll
  static void askWhetherFiltersCanBeRead() {
    try (var target = TargetProcess.start(FixtureProgram.SANDBOX)) {
      done(target, "filter allow 39");
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        traced.stopped(thread -> readsFilters = !SeccompFilter.of(thread.requests()).isEmpty());
      }
    }
  }

  private static void done(TargetProcess target, String command) {
    target.send(command);
    target.awaitLine("done");
  }

  private static void assertLivesOn(TargetProcess target) {
    done(target, "work");
    target.send("exit");
    assertThat(target.exitStatus()).isEqualTo(ExitStatus.SUCCESS);
  }

  private static void assertRefused(TracedThread thread, int number, long... arguments) {
    var before = new Registers();
    thread.readRegisters(before);
    WaitStatus.Stopped stop = thread.stop();
    assertThatThrownBy(() -> thread.systemCall(number, arguments)).isInstanceOfSatisfying(
        PtraceException.class,
        e -> {
          assertThat(e.reason()).isEqualTo(Reason.SECCOMP);
          assertThat(e).hasMessageContaining("no system call is made in " + thread);
        });
    var after = new Registers();
    thread.readRegisters(after);
    assertThat(after).isEqualTo(before);
    assertThat(thread.stop()).isEqualTo(stop);
  }

  private static void assertMakes(TracedThread thread) {
    assertThat(thread.systemCall(SYS_GETPID)).isEqualTo(thread.process().pid());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void strictMode(boolean before, @RunsFixture(FixtureProgram.SANDBOX) TargetProcess target) {
    if (before) {
      done(target, "strict");
    }
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      if (!before) {
        traced.stopped(SeccompTest::assertMakes);
        done(target, "strict");
      }
      traced.stopped(thread -> assertRefused(thread, SYS_GETPID));
      // Not even what it may do itself.
      traced.stopped(thread -> assertRefused(thread, 1, 1, 0, 0));
    }
    assertLivesOn(target);
  }

  @ParameterizedTest
  @ValueSource(strings = {"strict", "filter kill 39"})
  void oneThreadOnly(String sandbox,
      @RunsFixture(value = FixtureProgram.SANDBOX, args = "worker") TargetProcess target) {
    done(target, "worker " + sandbox);
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      traced.stopped(SeccompTest::assertMakes);
      int worker = ProcFs.threads(target.pid()).getLast();
      traced.stopped(traced.thread(worker), thread -> {
        assertRefused(thread, SYS_GETPID);
        return 0;
      });
    }
    done(target, "worker work");
    assertLivesOn(target);
  }

  @ParameterizedTest
  @ValueSource(strings = {"kill", "trap", "errno"})
  void filtersAreAskedForExactlyThisCall(String how,
      @RunsFixture(FixtureProgram.SANDBOX) TargetProcess target) {
    assumeTrue(readsFilters,
        "filters cannot be read here: that takes CAP_SYS_ADMIN and no filter of our own");
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      long mapped = mapped(traced, PROT_READ);
      done(target, "filter " + how + " 9 " + PROT_WRITE);
      done(target, "filter " + how + " 39");
      mapped(traced, PROT_READ);
      traced.stopped(thread -> {
        assertRefused(thread, 9, 0, PAGE, PROT_WRITE, 0x22, -1, 0);
        assertRefused(thread, SYS_GETPID);
        thread.process().unmap(thread, mapped, PAGE);
      });
      done(target, "filter " + how + " 11");
      traced.stopped(thread -> assertRefused(thread, 11, mapped, PAGE));
    }
    assertLivesOn(target);
  }

  /**
   * By the numbers of the process's own kind of calls: 91 is munmap(2) of 32-bit code, and fchmod(2) of
   * other.
   */
  @Test
  void filterOf32BitCode() {
    assumeTrue(FixtureProgram.I386.isAvailable(), "32-bit programs cannot be built and run here");
    assumeTrue(readsFilters,
        "filters cannot be read here: that takes CAP_SYS_ADMIN and no filter of our own");
    try (var target = TargetProcess.start(List.of(FixtureProgram.SANDBOX.path().toString(), "execute",
        "filter kill 91", FixtureProgram.I386.path().toString(), "calls", "1", "100"))) {
      target.awaitLine("ready ");
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        traced.stopped(thread -> {
          assertThat(thread.systemCall(20)).isEqualTo(target.pid());
          assertRefused(thread, 91, 0, PAGE);
        });
      }
      target.send("go");
      target.awaitOk();
    }
  }

  private static long mapped(Traced traced, int protection) {
    return traced.stopped(traced.mainThread(),
        thread -> thread.process().mapNear(thread, 1L << 32, 1L << 31, PAGE,
            protection));
  }

  /**
   * A filter that another thread adds to all: at any moment up to the call, and to a thread that is stopped.
   * The program is told to just before a call is made, and the moments differ. (Were the other thread not
   * held still, one of the first programs would be killed.)
   */
  @Test
  void filterForAllThreadsThatComesJustNow() {
    for (int round = 0; round < 80; round++) {
      try (var target = TargetProcess.start(FixtureProgram.SANDBOX, "worker")) {
        target.send("worker storm kill 39");
        target.awaitLine("storms");
        long go = target.address("storm_go");
        int spins = round * 20;
        try (var traced = Traced.attach(target.pid(), new Recorder())) {
          traced.stopped(thread -> {
            traced.process.memory().write(go, new byte[]{1});
            for (int i = 0; i < spins; i++) {
              Thread.onSpinWait();
            }
            try {
              assertMakes(thread);
            } catch (PtraceException e) {
              assertThat(e.reason()).isEqualTo(Reason.SECCOMP);
            }
          });
          target.awaitLine("done");
        }
        assertLivesOn(target);
      }
    }
  }

  /**
   * As in a container, where everything is under a filter that lets nobody read any, and as an unprivileged
   * user: filters of the tracer's own are trusted, others not.
   */
  @ParameterizedTest
  @CsvSource({"true, false, '', made refused", "true, true, '', made refused",
      "true, false, filter allow 11, refused refused", "false, true, '', made refused",
      "false, true, filter allow 11, refused refused", "false, true, strict, refused"})
  void filtersThatCannotBeRead(boolean container, boolean unprivileged, String command, String outcome) {
    var wrapper = new ArrayList<String>();
    if (unprivileged) {
      assumeTrue(Files.isExecutable(Path.of("/usr/bin/setpriv")), "setpriv is not installed");
      assumeTrue("root".equals(System.getProperty("user.name")), "only root may become somebody else");
      wrapper.addAll(List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"));
    }
    if (container) {
      wrapper.addAll(List.of(FixtureProgram.SANDBOX.path().toString(), "execute", "filter allow 39"));
    }
    List<String> lines = ChildJvm.run(wrapper, List.of("--enable-native-access=ALL-UNNAMED"),
        SeccompProber.class,
        command.isEmpty() ? new String[0] : new String[]{command});
    assertThat(lines).isEqualTo(List.of((outcome + " launched").split(" ")));
  }

  private static String child(int pid) {
    try {
      return Files.readString(Path.of("/proc/" + pid + "/task/" + pid + "/children")).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Who is brought into a container from outside, as by {@code docker exec}, descends from nobody there. If
   * it sees other files it may have been given another filter, too, as a debugging container is.
   */
  @ParameterizedTest
  @CsvSource({"false, made", "true, refused"})
  void broughtIntoAContainer(boolean ownFiles, String outcome) {
    assumeTrue("root".equals(System.getProperty("user.name")), "only root makes namespaces of process ids");
    String sandbox = FixtureProgram.SANDBOX.path().toString();
    try (var target = TargetProcess
        .start(List.of("unshare", "--pid", "--mount", "--mount-proc", "--fork", sandbox,
            "execute", "filter allow 39", sandbox))) {
      target.awaitLine("ready 1");
      String first = child(target.pid());
      var wrapper = new ArrayList<>(List.of("nsenter", "--target", first, "--pid", "--mount"));
      if (ownFiles) {
        wrapper.addAll(List.of("unshare", "--mount"));
      }
      wrapper.addAll(List.of(sandbox, "execute", "filter allow 39"));
      assertThat(
          ChildJvm.run(wrapper, List.of("--enable-native-access=ALL-UNNAMED"), SeccompProber.class, "attach",
              "1"))
          .containsExactly(outcome);
      done(target, "work");
    }
  }
}
