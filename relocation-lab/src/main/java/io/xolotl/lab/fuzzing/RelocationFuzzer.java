package io.xolotl.lab.fuzzing;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.lab.fuzzing.RelocationReport.MnemonicTally;
import io.xolotl.lab.generation.InstructionDealer;
import io.xolotl.lab.generation.Simplifier;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.CodeRelocator;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.Oracle;
import io.xolotl.lab.oracle.Pair;
import io.xolotl.lab.oracle.PairOracle;
import io.xolotl.lab.oracle.PairTally;
import io.xolotl.lab.oracle.Place;
import io.xolotl.lab.oracle.RelocatedCode;
import io.xolotl.lab.oracle.UnitResult;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Executes instructions and their relocated code, on several CPUs, and collects what differs. What is
 * executed follows from the seed and from the number of a unit alone, and units are added up in their order:
 * so the same seed and number of executions give the same report, on one CPU or many.
 *
 * {@snippet :
 * try (var fuzzer = new RelocationFuzzer(relocator, InstructionDealer.ofAll(), 42, 2)) {
 *   RelocationReport report = fuzzer.run(10_000_000, progress -> true);
 * }
 * }
 *
 * <p>Instances are used by one thread, but for {@link #abandon}.
 *
 * <p>The class is long: what draws units, adds them up and confirms what they have found shares all that a
 * run counts.
 */
public final class RelocationFuzzer implements AutoCloseable {

  /** From how many states each pair is executed. */
  private static final int STATES = 60;
  /** How many instructions are drawn until there is relocated code of one. */
  private static final int ATTEMPTS = 12;
  /** Each takes a second or so. */
  private static final int MOST_SIMPLIFIED = 20;
  private static final int MOST_FINDINGS = 1000;
  private static final long GOLDEN = 0x9e3779b97f4a7c15L;
  private static final String OPTION = "--relocation";

  private final CodeRelocator relocator;
  /** Replaced once, before any of the units is drawn for which that matters. */
  private volatile InstructionDealer dealer;
  /** The units from which it is known what this CPU lacks. */
  private final long survey;
  private final long seed;
  private final long mixedSeed;
  private final List<PairOracle> oracles = new ArrayList<>();
  /** Started when there is something to confirm. */
  private volatile @Nullable Oracle confirming;
  private volatile boolean abandoned;

  private long units;
  private long executions;
  private long digest;
  private long hangs;
  private final List<RelocationReport.Death> deaths = new ArrayList<>();
  private long transientOnes;
  private long varying;
  private long otherFaults;
  private long dropped;
  private final TreeMap<String, MnemonicTally> mnemonics = new TreeMap<>();
  private final TreeSet<String> refused = new TreeSet<>();
  private final Set<String> forms = new HashSet<>();
  /** What has raised nothing but SIGILL in the survey; and what else. */
  private final Set<InstructionDealer.Choice> invalid = new HashSet<>();
  private final Set<InstructionDealer.Choice> valid = new HashSet<>();
  private final TreeMap<String, Long> outcomes = new TreeMap<>();
  private final Map<String, Raw> findings = new LinkedHashMap<>();
  private int mostSimplified = MOST_SIMPLIFIED;

  /** A difference as it was found. */
  private record Raw(Pair pair, String mnemonic, Comparison.Different comparison, long count) {}

  /** One unit: its pairs, and what their originals are. */
  private record Unit(long number, List<Pair> pairs, List<InstructionDealer.Choice> choices,
      List<String> forms, List<String> refused) {

    String mnemonic(int pair) {
      return choices.get(pair).mnemonic();
    }
  }

  /**
   * How far it is.
   *
   * @param executions that count
   * @param differences that were found
   * @param elapsed since the beginning
   */
  public record Progress(long executions, long differences, Duration elapsed) {}

  /**
   * Creates a fuzzer, and starts a process for each CPU.
   *
   * @param relocator is tested
   * @param dealer of the instructions
   * @param seed from which all follows
   * @param cpus how many are used, from 1
   * @throws AssertionError if a process cannot be started, with what it said
   */
  public RelocationFuzzer(CodeRelocator relocator, InstructionDealer dealer, long seed, int cpus) {
    this.relocator = relocator;
    this.dealer = dealer;
    this.seed = seed;
    // Else neighbouring seeds would share most of what is drawn.
    mixedSeed = new SplittableRandom(seed).nextLong();
    survey = Math.ceilDiv(dealer.surveyed(), PairOracle.PAIRS);
    try {
      for (int i = 0; i < cpus; i++) {
        oracles.add(PairOracle.start(i));
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /**
   * Says how many of the differences that were found are confirmed by the oracle that stops, and made simple
   * (20 otherwise).
   *
   * @param most of them, from 0
   * @return this
   */
  public RelocationFuzzer simplifying(int most) {
    mostSimplified = most;
    return this;
  }

  /**
   * Executes until there were enough, or the fuzzer is abandoned: what it then executed does not count.
   *
   * @param enough how many executions that is
   * @param goOn is told some times a second how far it is, and whether to go on
   * @return what it has come to
   */
  public RelocationReport run(long enough, Predicate<Progress> goOn) {
    long start = System.nanoTime();
    var results = new UnitQueue<Unit>(oracles.size(), survey);
    var threads = new ArrayList<Thread>();
    for (PairOracle oracle : oracles) {
      threads.add(Thread.ofPlatform().name("xolotl-fuzzer").start(() -> execute(oracle, results)));
    }
    try {
      boolean more = executions < enough;
      while (more) {
        UnitQueue.Done<Unit> done = results.next();
        add(done.unit(), done.result());
        if (units == survey) {
          dealer = dealer.lacking(invalid);
        }
        results.taken();
        more = executions < enough && goOn.test(new Progress(executions,
            dropped + findings.values().stream().mapToLong(Raw::count).sum(),
            Duration.ofNanos(System.nanoTime() - start)));
      }
    } catch (RuntimeException | AssertionError e) {
      if (!abandoned) {
        throw e;
      }
    } finally {
      results.close();
      threads.forEach(RelocationFuzzer::join);
    }
    return report(start);
  }

  private static void join(Thread thread) {
    boolean interrupted = false;
    while (true) {
      try {
        thread.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Draws a unit while the one before is executed. */
  private void execute(PairOracle oracle, UnitQueue<Unit> results) {
    try {
      Unit before = null;
      while (true) {
        OptionalLong next = before == null ? OptionalLong.of(results.take()) : results.tryTake();
        if (before != null && next.isEmpty()) {
          results.put(before.number, before, oracle.finish());
          before = null;
          continue;
        }
        long number = next.orElseThrow();
        Unit unit = number < 0 ? null : draw(number);
        if (before != null) {
          results.put(before.number, before, oracle.finish());
        }
        if (unit == null) {
          return;
        }
        oracle.begin(unit.pairs, random(~number).nextLong());
        before = unit;
      }
    } catch (RuntimeException | Error e) {
      results.fail(e);
    }
  }

  private SplittableRandom random(long number) {
    return new SplittableRandom(mixedSeed + number * GOLDEN);
  }

  private Unit draw(long unit) {
    var pairs = new ArrayList<Pair>(PairOracle.PAIRS);
    var choices = new ArrayList<InstructionDealer.Choice>(PairOracle.PAIRS);
    var formsOfUnit = new ArrayList<String>(PairOracle.PAIRS);
    var without = new ArrayList<String>();
    for (int i = 0; i < PairOracle.PAIRS; i++) {
      long number = unit * PairOracle.PAIRS + i;
      SplittableRandom random = random(number);
      long address = PairOracle.address(i, random.nextInt(PairOracle.SHIFTS));
      Optional<Pair> pair = Optional.empty();
      for (int attempt = 0; attempt < ATTEMPTS && pair.isEmpty(); attempt++) {
        InstructionDealer.Choice choice = dealer.choose(number, attempt);
        Optional<DecodedInstruction> dealt = dealer.draw(choice, random, address, Pair.TAKEN);
        pair = dealt.flatMap(instruction -> pair(instruction, random));
        if (pair.isPresent()) {
          pairs.add(pair.get());
          choices.add(choice);
          formsOfUnit.add(InstructionDealer.form(dealt.get()));
        }
      }
      if (pair.isEmpty()) {
        without.add(dealer.choose(number, 0).mnemonic());
      }
    }
    return new Unit(unit, pairs, choices, formsOfUnit, without);
  }

  private Optional<Pair> pair(DecodedInstruction instruction, SplittableRandom random) {
    Place first = random.nextInt(4) == 0 ? Place.FAR : Place.NEAR;
    for (Place place : first == Place.FAR ? List.of(Place.FAR, Place.NEAR) : List.of(Place.NEAR)) {
      Optional<RelocatedCode> code = relocator.relocate(instruction, place.of(instruction.address()));
      if (code.isPresent()) {
        return Optional.of(Pair.of(instruction, place, code.get(), STATES, dealer.varies(instruction)));
      }
    }
    return Optional.empty();
  }

  private void add(Unit unit, UnitResult result) {
    units++;
    for (int died : result.died()) {
      Pair pair = unit.pairs.get(died);
      deaths.add(new RelocationReport.Death(unit.mnemonic(died), pair.place(), pair.code()));
    }
    refused.addAll(unit.refused);
    long digestOfUnit = 0;
    var completedOf = new HashMap<String, MnemonicTally>();
    for (int i = 0; i < result.tallies().size(); i++) {
      PairTally tally = result.tallies().get(i);
      long counted = tally.states() - tally.sigill();
      executions += 2 * counted;
      digestOfUnit += tally.digest();
      hangs += tally.hangs();
      transientOnes += tally.transientOnes();
      varying += tally.varying();
      otherFaults += tally.otherFault();
      dropped += tally.dropped();
      completedOf.merge(unit.mnemonic(i), new MnemonicTally(counted, tally.completed()),
          MnemonicTally::plus);
      if (tally.states() > 0) {
        survey(unit.choices.get(i), counted > 0);
      }
      if (tally.completed() > 0) {
        forms.add(unit.forms.get(i));
      }
      count("completed", tally.completed());
      count("SIGILL", tally.sigill());
      count("SIGTRAP", tally.sigtrap());
      count("SIGBUS", tally.sigbus());
      count("SIGFPE", tally.sigfpe());
      count("SIGSEGV", tally.sigsegv());
      count("SIGSYS", tally.sigsys());
    }
    completedOf.forEach((name, tally) -> mnemonics.merge(name, tally, MnemonicTally::plus));
    digest += (digestOfUnit ^ unit.number) * GOLDEN;
    for (UnitResult.Found found : result.found()) {
      found(unit.pairs.get(found.pair()), unit.mnemonic(found.pair()), found.comparison());
    }
  }

  private void survey(InstructionDealer.Choice choice, boolean isValid) {
    if (units > survey) {
      return;
    }
    if (isValid) {
      valid.add(choice);
      invalid.remove(choice);
    } else if (!valid.contains(choice)) {
      invalid.add(choice);
    }
  }

  private void count(String outcome, long count) {
    if (count > 0) {
      outcomes.merge(outcome, count, Long::sum);
    }
  }

  private void found(Pair pair, String mnemonic, Comparison.Different different) {
    String key = technique(pair.place()) + ' ' + mnemonic + ' ' + different.differences().getFirst().what();
    Raw known = findings.get(key);
    if (known != null) {
      findings.put(key, new Raw(known.pair, known.mnemonic, known.comparison, known.count + 1));
    } else if (findings.size() < MOST_FINDINGS) {
      findings.put(key, new Raw(pair, mnemonic, different, 1));
    } else {
      dropped++;
    }
  }

  /** The first of them as simple as they can be. */
  private List<Finding> confirmed() {
    var confirmed = new ArrayList<Finding>();
    for (Raw raw : findings.values()) {
      Comparison.Different simplest = null;
      try {
        simplest = abandoned ? null : confirmed(raw, confirmed.size() < mostSimplified);
      } catch (RuntimeException | AssertionError e) {
        if (!abandoned) {
          throw e;
        }
      }
      confirmed.add(new Finding(technique(raw.pair.place()), raw.mnemonic,
          simplest == null ? raw.comparison : simplest, raw.count, OPTION, simplest != null));
    }
    return confirmed;
  }

  /**
   * {@return the name of the way in which instructions are displaced}
   *
   * @param place where the relocated code is
   */
  public static String technique(Place place) {
    return "relocated " + place.name().toLowerCase(Locale.ROOT);
  }

  /**
   * {@return a finding of the oracle that stops}
   *
   * @param place where the relocated code is
   * @param mnemonic of the instruction
   * @param comparison what differs
   */
  public static Finding finding(Place place, String mnemonic, Comparison.Different comparison) {
    return new Finding(technique(place), mnemonic, comparison, 1, OPTION, true);
  }

  /** The simplest case that the oracle that stops finds different too; null if it does not. */
  private Comparison.@Nullable Different confirmed(Raw raw, boolean simplify) {
    Oracle oracle = confirming();
    if (!(compare(oracle, raw, raw.comparison.subject()) instanceof Comparison.Different found)) {
      return null;
    }
    Comparison.Different[] last = {found};
    if (simplify) {
      Simplifier.simplest(found.subject(), subject -> {
        if (compare(oracle, raw, subject) instanceof Comparison.Different simpler) {
          last[0] = simpler;
          return true;
        }
        return false;
      });
    }
    return last[0];
  }

  private Comparison compare(Oracle oracle, Raw raw, Case subject) {
    return oracle.compare(List.of(subject), relocator, raw.pair.place()).getFirst();
  }

  private Oracle confirming() {
    Oracle known = confirming;
    if (known == null) {
      known = Oracle.start();
      confirming = known;
      if (abandoned) {
        known.abandon();
      }
    }
    return known;
  }

  private TreeMap<String, String> reasons() {
    var reasons = new TreeMap<>(dealer.leftOut());
    dealer.neverOut().forEach((mnemonic, reason) -> {
      if (mnemonics.containsKey(mnemonic)) {
        reasons.put(mnemonic, reason);
      }
    });
    return reasons;
  }

  private RelocationReport report(long start) {
    Duration elapsed = Duration.ofNanos(System.nanoTime() - start);
    return new RelocationReport(seed, units, executions, digest, new TreeMap<>(mnemonics), reasons(),
        new TreeSet<>(refused), forms.size(), new TreeMap<>(outcomes), hangs, List.copyOf(deaths),
        transientOnes, varying,
        otherFaults, confirmed(), dropped, elapsed);
  }

  /** Kills the processes: {@link #run} ends at once with what it has. Any thread. */
  public void abandon() {
    abandoned = true;
    oracles.forEach(PairOracle::abandon);
    Oracle known = confirming;
    if (known != null) {
      known.abandon();
    }
  }

  /** Ends the processes. */
  @Override
  public void close() {
    var all = new ArrayList<Runnable>();
    oracles.forEach(oracle -> all.add(oracle::close));
    Oracle known = confirming;
    if (known != null) {
      all.add(known::close);
    }
    RuntimeException failure = null;
    for (Runnable close : all) {
      try {
        close.run();
      } catch (RuntimeException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
