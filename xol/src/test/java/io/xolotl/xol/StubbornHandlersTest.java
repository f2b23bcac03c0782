package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Who waits for a handler that does not return when it is interrupted is told so, again and again.
 */
@Execution(ExecutionMode.CONCURRENT)
class StubbornHandlersTest {

  @ParameterizedTest
  @CsvSource({"INTERRUPT,close", "INTERRUPT,unregister", "INTERRUPT,register", "TASK,close",
      "TASK,unregister"})
  void areNamed(HandlerContext context, String wait,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    long site = target.address("work_push");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    target.send("go");
    try (ChildJvm jvm = ChildJvm.start(StubbornJvm.class, Integer.toString(target.pid()),
        "0x" + Long.toHexString(site), context.toString(), wait)) {
      String message = jvm.awaitText("at io.xolotl.xol.StubbornJvm.stubborn");
      assertThat(message).contains("WARNING",
          "the handler of the probe at 0x" + Long.toHexString(site) + " in process " + target.pid()
              + " has not returned",
          context == HandlerContext.INTERRUPT ? "breakpoints stay in the process" : "stays stopped")
          .doesNotContain("went on");
      jvm.awaitText("at io.xolotl.xol.StubbornJvm.stubborn");
      jvm.send("release");
      assertThat(jvm.awaitText("closed after ")).contains("went on");
      assertThat(jvm.status()).isZero();
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  /**
   * Handlers in task context are abandoned when the JVM exits; until then the exit waits, and says for whom.
   */
  @Test
  void areAbandonedAtTheExit(@RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    long site = target.address("work_push");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    target.send("go");
    try (ChildJvm jvm = ChildJvm.start(StubbornJvm.class, Integer.toString(target.pid()),
        "0x" + Long.toHexString(site), "TASK", "unregister")) {
      jvm.awaitText("stays stopped");
      jvm.signal("TERM");
      jvm.awaitText("runs on as if the handler had not been called");
      assertThat(jvm.status()).isEqualTo(143);
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  /** The second is heeded when it has been said what it costs, and not before. */
  @ParameterizedTest
  @CsvSource({"INT,INT,130", "INT,TERM,143", "TERM,INT,130", "TERM,HUP,129"})
  void areLeftToASecondSignal(String first, String second, int status,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    long site = target.address("work_push");
    target.send("go");
    try (ChildJvm jvm = ChildJvm.start(StubbornJvm.class, Integer.toString(target.pid()),
        "0x" + Long.toHexString(site), "INTERRUPT", "none")) {
      jvm.await("entered");
      jvm.signal(first);
      String said = jvm.awaitText("it is here:");
      assertThat(said).contains("another Ctrl-C or SIGTERM ends this JVM", "process " + target.pid(),
          "dies of the next one");
      jvm.signal(second);
      assertThat(jvm.status()).isEqualTo(status);
    }
  }

  @Test
  void impatienceCostsNothing(@RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    long site = target.address("work_push");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    target.send("go");
    try (ChildJvm jvm = ChildJvm.start(StubbornJvm.class, Integer.toString(target.pid()),
        "0x" + Long.toHexString(site), "INTERRUPT", "none")) {
      jvm.await("entered");
      String kill = "kill -INT " + jvm.process().pid();
      assertThat(new ProcessBuilder("sh", "-c", kill + "; " + kill).start().waitFor()).isZero();
      jvm.send("release");
      assertThat(jvm.status()).isEqualTo(130);
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }

  /** And one that blocks the tracer thread is waited for: it returns in the end, and nothing is lost. */
  @Test
  void areWaitedForAtTheExit(@RunsFixture(value = FOREVER, args = "2") TargetProcess target)
      throws Exception {
    long site = target.address("work_push");
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(site));
    target.send("go");
    try (ChildJvm jvm = ChildJvm.start(StubbornJvm.class, Integer.toString(target.pid()),
        "0x" + Long.toHexString(site), "INTERRUPT", "unregister")) {
      jvm.awaitText("it is here:");
      jvm.signal("TERM");
      // Whoever had it said before, and whenever it is due again.
      jvm.awaitText("another Ctrl-C or SIGTERM ends this JVM");
      jvm.send("release");
      assertThat(jvm.status()).isEqualTo(143);
    }
    before.assertNoTrace();
    target.send("stop");
    target.awaitOk();
  }
}
