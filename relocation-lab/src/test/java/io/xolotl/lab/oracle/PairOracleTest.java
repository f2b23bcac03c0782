package io.xolotl.lab.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** The fast oracle loses nothing, whatever it executes. */
class PairOracleTest {

  private static final int STATES = 4;
  private static final int STATES_OF_STRINGS = 2;
  /** What half of the random strings begin with. */
  private static final byte[] PREFIXES = {0x0f, (byte) 0xc4, (byte) 0xc5, 0x62, 0x66, (byte) 0xf3, 0x48,
      (byte) 0xf2};

  private static Pair bytes(int number, int... code) {
    byte[] bytes = new byte[code.length];
    for (int i = 0; i < code.length; i++) {
      bytes[i] = (byte) code[i];
    }
    return Pair.ofBytes(bytes, PairOracle.address(number, 0), STATES);
  }

  @Test
  void sameUnitSameResult() {
    List<Pair> unit = new ArrayList<>();
    for (int i = 0; i < PairOracle.PAIRS; i++) {
      // add rax, rbx, and a load that may fault
      unit.add(i % 2 == 0 ? bytes(i, 0x48, 0x01, 0xd8) : bytes(i, 0x48, 0x8b, 0x03));
    }
    try (var first = PairOracle.start(0); var second = PairOracle.start(1)) {
      first.begin(unit, 7);
      second.begin(unit, 7);
      UnitResult result = first.finish();
      assertThat(second.finish()).isEqualTo(result);
      assertThat(result.tallies()).hasSize(PairOracle.PAIRS).allSatisfy(tally -> {
        assertThat(tally.states()).isEqualTo(STATES);
        assertThat(tally.completed() + tally.sigsegv() + tally.sigbus()).isEqualTo(STATES);
        assertThat(tally.differences() + tally.dropped()).isZero();
      });
      assertThat(result.found()).isEmpty();
      first.begin(unit, 8);
      assertThat(first.finish()).isNotEqualTo(result);
    }
  }

  @Test
  void whatHangsIsAResult() {
    try (var oracle = PairOracle.start(0)) {
      // jmp to itself
      oracle.begin(List.of(bytes(0, 0xeb, 0xfe), bytes(1, 0x90)), 1);
      UnitResult result = oracle.finish();
      assertThat(result.tallies().getFirst().hangs()).isEqualTo(1);
      assertThat(result.tallies().getLast().completed()).isEqualTo(STATES);
    }
  }

  /** It is killed somewhere in the unit. All other pairs have what they have when nothing happens. */
  @Test
  void whatKillsTheProcessIsAResult() {
    var unit = new ArrayList<Pair>();
    for (int i = 0; i < PairOracle.PAIRS; i++) {
      // add rax, rbx
      unit.add(Pair.ofBytes(new byte[]{0x48, 0x01, (byte) 0xd8}, PairOracle.address(i, 0), 5_000));
    }
    try (var oracle = PairOracle.start(0)) {
      oracle.begin(unit, 1);
      List<PairTally> undisturbed = oracle.finish().tallies();
      oracle.begin(unit, 1);
      oracle.kill();
      UnitResult result = oracle.finish();
      assertThat(result.died()).hasSize(1);
      int killed = result.died().getFirst();
      assertThat(result.tallies().get(killed)).isEqualTo(PairTally.NONE);
      for (int i = 0; i < unit.size(); i++) {
        if (i != killed) {
          assertThat(result.tallies().get(i)).as("pair %d", i).isEqualTo(undisturbed.get(i));
        }
      }
    }
  }

  @Test
  void abandonedItFails() {
    try (var oracle = PairOracle.start(0)) {
      oracle.begin(List.of(bytes(0, 0x90)), 1);
      oracle.finish();
      oracle.abandon();
      assertThatThrownBy(() -> {
        oracle.begin(List.of(bytes(0, 0x90)), 2);
        oracle.finish();
      }).isInstanceOf(RuntimeException.class);
    }
  }

  /**
   * Strings of random bytes, of which each has a result: from its states, or the death of the process. A
   * million take half a minute: {@code -Dstrings=1000000}.
   */
  @Test
  void nothingIsLostOfRandomStrings() throws Exception {
    int workers = Math.min(2, Runtime.getRuntime().availableProcessors());
    int units = Integer.getInteger("strings", 200_000) / PairOracle.PAIRS + 1;
    try (ExecutorService threads = Executors.newFixedThreadPool(workers)) {
      var all = new ArrayList<Callable<Integer>>();
      for (int i = 0; i < workers; i++) {
        int worker = i;
        all.add(() -> executeStrings(worker, workers, units));
      }
      int executed = 0;
      for (Future<Integer> each : threads.invokeAll(all)) {
        executed += each.get();
      }
      assertThat(executed).isEqualTo(units * PairOracle.PAIRS);
    }
  }

  private static int executeStrings(int worker, int workers, int units) {
    int executed = 0;
    int hangs = 0;
    int deaths = 0;
    try (var oracle = PairOracle.start(worker)) {
      for (int unit = worker; unit < units; unit += workers) {
        var random = new SplittableRandom(unit);
        var pairs = new ArrayList<Pair>();
        for (int i = 0; i < PairOracle.PAIRS; i++) {
          pairs.add(Pair.ofBytes(string(random), PairOracle.address(i, random.nextInt(PairOracle.SHIFTS)),
              STATES_OF_STRINGS));
        }
        oracle.begin(pairs, unit);
        UnitResult result = oracle.finish();
        assertThat(result.tallies()).hasSize(pairs.size());
        for (int i = 0; i < pairs.size(); i++) {
          PairTally tally = result.tallies().get(i);
          assertThat(tally.completed() + tally.sigill() + tally.sigtrap() + tally.sigbus() + tally.sigfpe()
              + tally.sigsegv() + tally.sigsys() + tally.hangs()).as("%s", pairs.get(i))
              .isEqualTo(tally.states());
          assertThat(tally.states() > 0 || result.died().contains(i)).as("%s", pairs.get(i)).isTrue();
          executed++;
          hangs += tally.hangs();
        }
        deaths += result.died().size();
      }
    }
    System.out.println("worker " + worker + ": " + executed + " strings, " + hangs + " hangs, " + deaths
        + " deaths");
    return executed;
  }

  private static byte[] string(SplittableRandom random) {
    byte[] code = new byte[Pair.MOST_BYTES];
    random.nextBytes(code);
    if (random.nextBoolean()) {
      code[0] = PREFIXES[random.nextInt(PREFIXES.length)];
    }
    return code;
  }
}
