package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A program with one function for each kind of instruction, which checks its own results, flags, faults and
 * registers: they are the same with each of those instructions probed.
 */
class InstructionsTest {

  /** What no engine can displace, and why. */
  private static final Map<String, ProbeException.Reason> REFUSED = Map.of("site_hlt",
      ProbeException.Reason.INSTRUCTION_REFUSED, "site_in", ProbeException.Reason.INSTRUCTION_REFUSED,
      "site_int3_own",
      ProbeException.Reason.BREAKPOINT_EXISTS, "site_mid", ProbeException.Reason.NOT_AN_INSTRUCTION_BOUNDARY,
      "site_mov_ss", ProbeException.Reason.INSTRUCTION_REFUSED);

  private static final int TIMES = 20;

  @ParameterizedTest
  @CsvSource(value = {"-, INTERRUPT", "-, TASK", "EMULATED, INTERRUPT", "BOOSTED, INTERRUPT",
      "TRAPPED, INTERRUPT",
      "SINGLE_STEPPED, INTERRUPT"}, nullValues = "-")
  void behaveTheSameWhenProbed(Technique forced, HandlerContext context,
      @RunsFixture(value = FixtureProgram.INSNS, args = "20") TargetProcess target)
      throws Exception {
    Map<String, ProbeException.Reason> refused = new TreeMap<>();
    List<Long> addresses = new ArrayList<>();
    FixtureProgram.INSNS.symbols().keySet().stream().filter(s -> s.startsWith("site_")).sorted()
        .forEach(s -> addresses
            .add(target.address(s)));
    Aftermath before = Aftermath.expectedOf(target.pid(), addresses);
    Map<String, Probe> probes = new TreeMap<>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (String symbol : FixtureProgram.INSNS.symbols().keySet()) {
        if (!symbol.startsWith("site_")) {
          continue;
        }
        ProbeRequest request = ProbeRequest.at(target.address(symbol), hit -> {}).inContext(context);
        try {
          probes.put(symbol,
              process.register(Optional.ofNullable(forced).map(request::with).orElse(request)));
        } catch (ProbeException e) {
          if (forced == null || e.reason() != ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE) {
            refused.put(symbol, e.reason());
          }
        }
      }
      assertThat(probes).hasSizeGreaterThan(20);
      target.send("go");
      target.awaitOk();
      List<String> output = target.output();
      probes.forEach((symbol, probe) -> {
        String kind = symbol.substring("site_".length());
        if (output.stream().noneMatch(line -> line.startsWith(kind + " skipped"))) {
          assertThat(probe.hits()).as("hits of %s", symbol).isGreaterThanOrEqualTo(TIMES);
        }
      });
    }
    assertThat(refused).isEqualTo(new TreeMap<>(REFUSED));
    before.assertNoTrace();
    target.send("go");
    target.awaitOk();
  }
}
