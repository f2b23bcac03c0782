package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every call of every thread is one hit, and the program computes what it computes unprobed. */
class HitCountTest {

  @ParameterizedTest
  @CsvSource({"work_push, INTERRUPT, EMULATED", "work_push, INTERRUPT, TRAPPED",
      "work_push, INTERRUPT, BOOSTED",
      "work_rip_load, INTERRUPT, BOOSTED", "work_rip_load, TASK, BOOSTED",
      "work_push, INTERRUPT, SINGLE_STEPPED",
      "work_push, TASK, EMULATED", "work_push, TASK, SINGLE_STEPPED", "work_rip_load, INTERRUPT, TRAPPED",
      "work_rip_load, INTERRUPT, SINGLE_STEPPED", "work_rip_load, TASK, SINGLE_STEPPED"})
  void eightThreadsWithTenThousandCallsEach(String label, HandlerContext context, Technique technique,
      @RunsFixture(value = CALLS, args = {"8", "10000"}) TargetProcess target) {
    var handled = new AtomicLong();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process
          .register(ProbeRequest.at(target.address(label), hit -> handled.incrementAndGet()).inContext(
              context).with(technique));
      assertThat(probe.technique()).isEqualTo(technique);
      target.send("go");
      target.awaitOk();
      assertThat(probe.hits()).isEqualTo(80_000);
      probe.unregister();
      assertThat(handled).hasValue(80_000);
    }
  }
}
