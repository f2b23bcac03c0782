package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.FORKER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A JVM that probes processes exits without having closed them: they run on as if they had never been probed.
 */
@Execution(ExecutionMode.CONCURRENT)
class JvmExitTest {

  private static final List<String> SITES = List.of("work", "work_mov", "work_rip_load", "work_add");

  private static Aftermath before(TargetProcess target) {
    return Aftermath.expectedOf(target.pid(), SITES.stream().map(target::address).toList());
  }

  private static void end(ChildJvm jvm, String signal, int status) throws Exception {
    if (signal.equals("exit")) {
      jvm.send("exit");
    } else if (!signal.isEmpty()) {
      jvm.signal(signal);
    }
    assertThat(jvm.status()).isEqualTo(status);
  }

  @ParameterizedTest
  @CsvSource({"return,'',0", "exit,'',7", "throw,'',1", "handler,'',7", "interrupt,'',7",
      "condition,'',7", "wait,TERM,143", "wait,INT,130",
      "wait,HUP,129",
      "block,TERM,143", "block,INT,130", "blockTracer,TERM,143", "blockTracer,exit,9", "spin,TERM,143"})
  void whileThreadsHit(String way, String signal, int status) throws Exception {
    try (TargetProcess one = TargetProcess.start(FOREVER, "8");
        TargetProcess two = TargetProcess.start(FOREVER, "2")) {
      Aftermath beforeOne = before(one);
      Aftermath beforeTwo = before(two);
      one.send("go");
      two.send("go");
      try (ChildJvm jvm = ChildJvm.start(ExitingJvm.class, way, "leave", Integer.toString(one.pid()),
          Integer.toString(two.pid()))) {
        if (!Set.of("handler", "interrupt", "condition").contains(way)) {
          jvm.await("hit");
        }
        end(jvm, signal, status);
      }
      beforeOne.assertNoTrace();
      beforeTwo.assertNoTrace();
      one.send("stop");
      two.send("stop");
      one.awaitOk();
      two.awaitOk();
    }
  }

  @ParameterizedTest
  @CsvSource({"TERM,143", "INT,130"})
  void withChildrenThatAreFollowed(String signal, int status) throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "fork")) {
      Aftermath before = before(target);
      try (
          ChildJvm jvm = ChildJvm.start(ExitingJvm.class, "wait", "follow", Integer.toString(target.pid()))) {
        jvm.await("probing");
        target.send("hold");
        int child = Integer.parseInt(target.awaitLine("child ").substring("child ".length()).strip());
        assertThat(ProcFs.tracerPid(child)).isNotZero();
        end(jvm, signal, status);
        assertThat(ProcFs.tracerPid(child)).isZero();
        for (String site : SITES) {
          long address = target.address(site);
          assertThat(ProcFs.memory(child, address, 8)).isEqualTo(ProcFs.memory(target.pid(), address, 8));
        }
      }
      before.assertNoTrace();
      target.send("release");
      target.awaitOk();
    }
  }

  @Test
  void aProcessThatIsStoppedStaysStopped() throws Exception {
    try (TargetProcess target = TargetProcess.start(FOREVER, "8")) {
      Aftermath before = before(target);
      target.send("go");
      target.signal("STOP");
      ProcFs.awaitState(target.pid(), "T");
      try (ChildJvm jvm = ChildJvm.start(ExitingJvm.class, "wait", "stopped",
          Integer.toString(target.pid()))) {
        jvm.await("probing");
        end(jvm, "TERM", 143);
      }
      before.assertNoTrace();
      for (int tid : ProcFs.threads(target.pid())) {
        // A thread that the kernel lets go of in a group-stop joins it again.
        ProcFs.awaitState(tid, "T");
      }
      target.signal("CONT");
      target.send("stop");
      target.awaitOk();
    }
  }

  /**
   * A handler that throws at each hit: its first stack trace, and then numbers, the last of which is exact.
   */
  @Test
  void aThrowingHandlerIsLoggedOnceAndThenCounted() throws Exception {
    try (TargetProcess target = TargetProcess.start(FOREVER, "2")) {
      target.send("go");
      try (ChildJvm jvm = ChildJvm.start(ExitingJvm.class, "fail", "leave", Integer.toString(target.pid()))) {
        String log = jvm.awaitText("failures ");
        assertThat(jvm.status()).isZero();
        assertThat(log.split("java.lang.IllegalStateException: thrown by a handler", -1)).hasSize(2);
        long hits = Long.parseLong(log.substring(log.indexOf("failures ") + "failures ".length()).strip());
        for (long power = 10; power <= hits; power *= 10) {
          assertThat(log).contains("forever:work has failed " + power + " times with");
        }
        assertThat(log).contains(" " + hits + " times ");
        assertThat(log.lines().count()).isLessThan(100);
      }
      target.send("stop");
      target.awaitOk();
    }
  }
}
