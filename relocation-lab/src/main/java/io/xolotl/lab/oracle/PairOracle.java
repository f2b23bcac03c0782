package io.xolotl.lab.oracle;

import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The CPU as an oracle for relocated code, a thousand times faster than {@link Oracle}: a process that
 * executes pairs of an original and its relocated code from many states that it makes itself, compares all
 * that can be seen of the two, and stops for nothing.
 *
 * <p>Pairs are executed in units. What comes of a unit depends on its pairs and its seed alone, but for the
 * CPU. A pair that kills the process is a result too, and so is one that does not come out.
 *
 * {@snippet :
 * try (var oracle = PairOracle.start(0)) {
 *   oracle.begin(pairs, 42);
 *   UnitResult result = oracle.finish();
 * }
 * }
 *
 * <p>Instances are used by one thread at a time, but for {@link #abandon}.
 */
public final class PairOracle implements AutoCloseable {

  /** How many pairs a unit has at most. */
  public static final int PAIRS = 254;

  /** The process compares more than the registers that have names. */
  private static final List<Difference> UNNAMED = List.of(new Difference("something else", "?", "?"));
  private static final int PAIRS_OF_AREA = PAIRS / 2;
  private static final int DISTANCE = 0x400;
  private static final int FIRST = 0x280;

  /** How far the original of a pair can be moved, in bytes. */
  public static final int SHIFTS = 0x300;

  /** What a fault of the driver's own memory is taken for after so many units in a row. */
  private static final int MOST_BROKEN = 3;

  private final int cpu;
  private final ArrayList<UnitResult.Found> found = new ArrayList<>();
  private final ArrayList<Integer> died = new ArrayList<>();
  private ArrayList<PairTally> tallies = new ArrayList<>();
  private List<Pair> pairs = List.of();
  private long seed;
  private boolean running;
  /** Written by the thread that uses this, read by whoever abandons it. */
  private volatile OracleInstance instance;
  private volatile boolean abandoned;

  private PairOracle(int cpu) {
    this.cpu = cpu;
    instance = newInstance(cpu);
  }

  private static OracleInstance newInstance(int cpu) {
    return new OracleInstance(Integer.toString(cpu), "random");
  }

  /**
   * Starts the process.
   *
   * @param cpu on which one it runs, by its number among those that are allowed
   * @return the oracle
   * @throws AssertionError if it cannot be started, with what the program said
   */
  public static PairOracle start(int cpu) {
    return new PairOracle(cpu);
  }

  /**
   * {@return where the original of a pair may be}
   *
   * @param number of the pair in its unit, 0 to {@link #PAIRS} - 1
   * @param shift how far it is moved, 0 to {@link #SHIFTS} - 1, so that page boundaries are in all parts
   */
  public static long address(int number, int shift) {
    Objects.checkIndex(number, PAIRS);
    long area = number < PAIRS_OF_AREA ? Case.HIGH_CODE : Case.LOW_CODE;
    return area + FIRST + (long) (number % PAIRS_OF_AREA) * DISTANCE + Objects.checkIndex(shift, SHIFTS);
  }

  /**
   * Begins to execute a unit; {@link #finish} must have ended the one before.
   *
   * @param unit up to {@link #PAIRS} pairs, whose addresses {@link #address} has given for their numbers in
   *     the list or higher ones, ascending
   * @param seedOfUnit from which memory and states follow
   */
  public void begin(List<Pair> unit, long seedOfUnit) {
    if (running || unit.size() > PAIRS) {
      throw new IllegalStateException(running ? "a unit is being executed" : unit.size() + " pairs");
    }
    pairs = List.copyOf(unit);
    seed = seedOfUnit;
    running = true;
    restart();
  }

  private void restart() {
    found.clear();
    died.clear();
    load(0, List.of());
  }

  /** Gives the process all pairs, of which those before the first have these results. */
  private void load(int first, List<PairTally> known) {
    MemorySegment memory = instance.memory;
    for (int i = 0; i < pairs.size(); i++) {
      pairs.get(i).write(memory, Layout.UNIT + Layout.UNIT_PAIRS + (long) i * Layout.PAIR_BYTES);
    }
    memory.asSlice(Layout.UNIT + Layout.UNIT_TALLIES, (long) Layout.BATCH * Layout.TALLY_BYTES)
        .fill((byte) 0);
    memory.set(ValueLayout.JAVA_INT, Layout.UNIT + Layout.UNIT_COUNT, pairs.size());
    memory.set(ValueLayout.JAVA_INT, Layout.UNIT + Layout.UNIT_CURRENT, first);
    memory.set(ValueLayout.JAVA_LONG, Layout.UNIT + Layout.UNIT_SEED, seed);
    memory.set(ValueLayout.JAVA_INT, Layout.UNIT + Layout.UNIT_FOUND, 0);
    tallies = new ArrayList<>(known);
    try {
      instance.target.send("pairs");
    } catch (UncheckedIOException e) {
      // It has died meanwhile, as finish() will notice.
      throwIfAbandoned();
    }
  }

  /**
   * Waits until the unit has been executed.
   *
   * @return what it has come to
   * @throws IllegalStateException if none was begun, or if the process cannot keep its own memory
   */
  public UnitResult finish() {
    if (!running) {
      throw new IllegalStateException("no unit is being executed");
    }
    for (int broken = 0;;) {
      boolean alive = instance.awaitDone();
      if (alive && instance.memory.get(ValueLayout.JAVA_INT, Layout.UNIT + Layout.UNIT_BROKEN) != 0) {
        broken = repeat(broken, null);
        continue;
      }
      // Whatever it says it may have been made to say.
      int current = Math.clamp(
          instance.memory.get(ValueLayout.JAVA_INT, Layout.UNIT + Layout.UNIT_CURRENT), tallies.size(),
          pairs.size());
      for (int i = tallies.size(); i < current; i++) {
        tallies.add(PairTally.read(instance.memory,
            Layout.UNIT + Layout.UNIT_TALLIES + (long) i * Layout.TALLY_BYTES));
      }
      try {
        readFindings();
      } catch (IllegalArgumentException | IllegalStateException e) {
        broken = repeat(broken, e);
        continue;
      }
      if (!alive) {
        renew();
      }
      if (alive || current == pairs.size()) {
        running = false;
        return new UnitResult(tallies, found, died);
      }
      died.add(current);
      tallies.add(PairTally.NONE);
      load(current + 1, tallies);
    }
  }

  /** Some code has written what is the process's own: nothing that it says is worth anything. */
  private int repeat(int broken, @Nullable Exception why) {
    if (broken + 1 == MOST_BROKEN) {
      throw new IllegalStateException("the oracle's own memory is changed by a unit, seed " + seed, why);
    }
    renew();
    restart();
    return broken + 1;
  }

  /** Another process instead of one that has died or must. */
  private void renew() {
    instance.close();
    throwIfAbandoned();
    instance = newInstance(cpu);
    // Who abandons writes one and reads the other; either they see this process, or this is seen here.
    throwIfAbandoned();
  }

  private void throwIfAbandoned() {
    if (abandoned) {
      throw new IllegalStateException("the oracle was abandoned");
    }
  }

  private void readFindings() {
    int count = Math.clamp(instance.memory.get(ValueLayout.JAVA_INT, Layout.UNIT + Layout.UNIT_FOUND), 0,
        Layout.MOST_FOUND);
    for (int i = 0; i < count; i++) {
      byte[] input = instance.record(instance.input(i));
      int number = Math.clamp(Layout.word(input, Layout.IN_PAIR), 0, pairs.size() - 1);
      Case subject = subject(pairs.get(number), input);
      Result inPlace = instance.result(instance.record(instance.result(2 * i)));
      Result relocated = instance.result(instance.record(instance.result(2 * i + 1)));
      List<Difference> differences = Comparer.differences(subject, inPlace, relocated, instance.image);
      found.add(new UnitResult.Found(number, new Comparison.Different(subject, inPlace, relocated,
          differences.isEmpty() ? UNNAMED : differences)));
    }
  }

  private Case subject(Pair pair, byte[] input) {
    MachineState state = MachineState.PLAIN;
    for (int i = 0; i < MachineState.GENERAL.size(); i++) {
      state = state.withGeneral(i, Layout.quad(input, Layout.IN_GENERAL + Long.BYTES * i));
    }
    state = state.withFlags(Layout.quad(input, Layout.IN_FLAGS) & MachineState.FLAGS)
        .withBases(Layout.quad(input, Layout.IN_FS_BASE), Layout.quad(input, Layout.IN_GS_BASE))
        .withVectors(instance.image.read(input));
    for (Region region : Region.values()) {
      if (region.isWritable()) {
        int from = Layout.region(region);
        state = state.withMemory(region, Arrays.copyOfRange(input, from, from + Region.BYTES));
      }
    }
    return Case.of(pair.code(), state).at(pair.address());
  }

  /** Kills the process: {@link #finish} fails at once, and so does everything from now on. Any thread. */
  public void abandon() {
    abandoned = true;
    kill();
  }

  void kill() {
    instance.kill();
  }

  /** Ends the process. */
  @Override
  public void close() {
    instance.close();
  }
}
