package io.xolotl.lab.fuzzing;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.lab.fuzzing.FuzzReport.Tally;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.Simplifier;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Oracle;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/**
 * Executes random cases in place and displaced in every way that applies, and collects what differs, made as
 * simple as it can be. The same seed gives the same cases.
 *
 * {@snippet :
 * try (var oracle = Oracle.start()) {
 *   var cases = new CaseGenerator(InstructionGenerator.ofAll(), 4);
 *   var fuzzer = new Fuzzer(oracle, cases, Map.of("mine", engine), 42);
 *   FuzzReport report = fuzzer.run(100_000, progress -> progress.findings().isEmpty());
 * }
 * }
 *
 * <p>Instances are used by one thread.
 */
public final class Fuzzer {

  /** Each takes a second or so; what comes later is shown as it was found. */
  private static final int MOST_SIMPLIFIED = 20;
  /** What the same kind of mistake is shown at most. */
  private static final int MOST_FINDINGS = 1000;

  private final Oracle oracle;
  private final CaseGenerator generator;
  private final List<String> techniques;
  private final List<Displacer> displacers;
  private final long seed;

  private long cases;
  private long executed;
  private long refused;
  private long unrepeatable;
  private final TreeSet<String> mnemonics = new TreeSet<>();
  private final TreeMap<String, Tally> classes = new TreeMap<>();
  private final Map<String, Finding> findings = new LinkedHashMap<>();

  /**
   * Creates a fuzzer.
   *
   * @param oracle executes the cases; the caller closes it
   * @param generator draws them
   * @param displacers the ways in which instructions are displaced, by their names
   * @param seed from which all cases follow
   */
  public Fuzzer(Oracle oracle, CaseGenerator generator, Map<String, Displacer> displacers, long seed) {
    this.oracle = oracle;
    this.generator = generator;
    techniques = List.copyOf(displacers.keySet());
    this.displacers = techniques.stream().map(displacers::get).toList();
    this.seed = seed;
  }

  /**
   * Executes cases until there were enough, or the oracle is abandoned: what it then executed does not count.
   *
   * @param enough how many cases that is
   * @param goOn is told every couple of hundred cases how far it is, and whether to go on
   * @return what it has come to
   */
  public FuzzReport run(long enough, Predicate<FuzzReport> goOn) {
    long start = System.nanoTime();
    while (cases < enough) {
      try {
        runBatch((int) Math.min(CaseGenerator.PLACES, enough - cases));
      } catch (RuntimeException | AssertionError e) {
        if (oracle.isAbandoned()) {
          return report(start);
        }
        throw e;
      }
      FuzzReport report = report(start);
      if (!goOn.test(report)) {
        return report;
      }
    }
    return report(start);
  }

  private FuzzReport report(long start) {
    return new FuzzReport(seed, cases, executed, refused, unrepeatable, mnemonics.size(),
        new TreeMap<>(classes),
        List.copyOf(findings.values()), Duration.ofNanos(System.nanoTime() - start));
  }

  /** A generator of its own for each case, so that its number and the seed are enough to draw it again. */
  private RandomGenerator random(long number) {
    return new SplittableRandom(seed * 0x9e3779b97f4a7c15L + number);
  }

  private void runBatch(int count) {
    var batch = new ArrayList<Case>(count);
    for (int place = 0; place < count; place++) {
      batch.add(generator.draw(random(cases + place), place));
    }
    List<List<Comparison>> comparisons = oracle.compare(batch, displacers);
    cases += count;
    for (int i = 0; i < count; i++) {
      int number = i;
      count(batch.get(i), comparisons.stream().map(all -> all.get(number)).toList());
    }
  }

  private void count(Case subject, List<Comparison> comparisons) {
    DecodedInstruction instruction = firstInstruction(subject);
    var tally = new Tally(1, 0, 0, 0);
    boolean everyoneRefuses = true;
    for (int i = 0; i < comparisons.size(); i++) {
      switch (comparisons.get(i)) {
        case Comparison.NotDisplaced _ -> {
          continue;
        }
        case Comparison.Same _ -> tally = tally.plus(new Tally(0, 1, 0, 0));
        case Comparison.Unrepeatable _ -> {
          tally = tally.plus(new Tally(0, 1, 0, 0));
          unrepeatable++;
        }
        case Comparison.Different different -> {
          tally = tally.plus(new Tally(0, 1, 0, 1));
          found(i, instruction.mnemonic(), different);
        }
      }
      everyoneRefuses = false;
    }
    if (everyoneRefuses) {
      tally = tally.plus(new Tally(0, 0, 1, 0));
    } else {
      mnemonics.add(instruction.mnemonic());
    }
    executed += tally.executed();
    refused += tally.refused();
    classes.merge(instruction.category(), tally, Tally::plus);
  }

  private static DecodedInstruction firstInstruction(Case subject) {
    if (Decoder.forThisCpu().decode(subject.code(),
        subject.address()) instanceof DecodedInstruction instruction) {
      return instruction;
    }
    throw new IllegalStateException("not a valid instruction was drawn: " + subject);
  }

  private void found(int technique, String mnemonic, Comparison.Different different) {
    String name = techniques.get(technique);
    String key = name + ' ' + mnemonic + ' ' + different.differences().getFirst().what();
    Finding known = findings.get(key);
    if (known != null) {
      findings.put(key, known.again(1));
    } else if (findings.size() < MOST_SIMPLIFIED) {
      Comparison.Different simplest = simplest(different, displacers.get(technique));
      findings.put(key, new Finding(name, firstInstruction(simplest.subject()).mnemonic(), simplest, 1));
    } else if (findings.size() < MOST_FINDINGS) {
      findings.put(key, new Finding(name, mnemonic, different, 1));
    }
  }

  /** The simplest case that is different; if none is when it is executed alone, as it was found. */
  private Comparison.Different simplest(Comparison.Different different, Displacer displacer) {
    Comparison.Different[] last = {different};
    try {
      Simplifier.simplest(different.subject(), subject -> {
        if (oracle.compare(List.of(subject), displacer).getFirst() instanceof Comparison.Different simpler) {
          last[0] = simpler;
          return true;
        }
        return false;
      });
    } catch (RuntimeException | AssertionError e) {
      if (!oracle.isAbandoned()) {
        throw e;
      }
    }
    return last[0];
  }
}
