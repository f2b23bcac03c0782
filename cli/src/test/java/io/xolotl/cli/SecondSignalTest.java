package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.Await;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.fixtures.TargetProcess;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A command whose handler does not return is ended by a signal, or else by two. */
class SecondSignalTest {

  private static CliProcess start(TargetProcess target, long address, String context, boolean returns)
      throws Exception {
    CliProcess command = CliProcess.start(StubbornCommand.class, Integer.toString(target.pid()),
        "0x" + Long.toHexString(address), context, Boolean.toString(returns));
    Await.until(() -> command.output().contains("entered"), () -> "handler entered: " + command.messages());
    return command;
  }

  @ParameterizedTest
  @CsvSource({"INT,TERM,143", "TERM,INT,130"})
  void theSecondSaysWhatItCosts(String first, String second, int status,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    target.send("go");
    try (CliProcess command = start(target, target.address("work"), "INTERRUPT", false)) {
      command.signal(first);
      Await.until(() -> command.messages().contains("has not returned"), command::messages);
      assertThat(command.messages())
          .contains("the handler of the probe at 0x", "in process " + target.pid(), "'xolotl-tracer-",
              "at io.xolotl.cli.StubbornCommand.");
      assertThat(command.isAlive()).isTrue();
      command.signal(second);
      Cli result = command.result();
      assertThat(result.status()).isEqualTo(status);
      assertThat(result.messages()).contains("ended by a second signal before process " + target.pid())
          .contains("dies of the next one");
    }
  }

  /** Two signals at once: the handler returns when it is interrupted, and that is waited for. */
  @ParameterizedTest
  @CsvSource({"INTERRUPT,true", "TASK,true", "TASK,false"})
  void impatienceCostsNothing(String context, boolean returns,
      @RunsFixture(value = FOREVER, args = "2") TargetProcess target) throws Exception {
    target.send("go");
    long address = target.address("work");
    try (CliProcess command = start(target, address, context, returns)) {
      command.signal("TERM");
      command.signal("TERM");
      Cli result = command.result();
      assertThat(result.status()).as(result.messages()).isEqualTo(143);
      assertThat(result.messages()).doesNotContain("second signal");
    }
    target.send("stop");
    target.awaitLine("ok");
    CountCommandTest.assertUntouched(target, address);
  }

}
