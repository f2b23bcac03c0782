package io.xolotl.lab.oracle;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The CPU as an oracle: executes pieces of code in their place and displaced, each in a process made for it,
 * and says what differs. Registers, flags, x87, SSE, AVX and AVX-512 registers, segments, memory, and the
 * signal that was raised are compared.
 *
 * <p>What differs between two executions in place (the time, random numbers) is left out. So is the x87
 * instruction pointer if it names an instruction of the case: displaced, it names the copy.
 *
 * {@snippet :
 * try (var oracle = Oracle.start()) {
 *   byte[] addRaxRbx = {0x48, 0x01, (byte) 0xd8};
 *   Case subject = Case.of(addRaxRbx, MachineState.PLAIN.withGeneral(3, 7));
 *   Comparison comparison = oracle.compare(List.of(subject), engine).getFirst();
 * }
 * }
 *
 * <p>Instances are used by one thread at a time, but for {@link #abandon}.
 */
public final class Oracle implements AutoCloseable {

  /**
   * In place a third time and more, before a difference counts: two random numbers of few bits may well be
   * equal.
   */
  private static final int CONFIRMATIONS = 3;

  private static final Displacer.Refusal NO_CODE = new Displacer.Refusal(Displacer.Kind.REFUSED,
      "there is no relocated code for it");

  private final OracleProcess original;
  private final OracleProcess displacing;
  private volatile boolean abandoned;

  private Oracle(int cpu) {
    original = new OracleProcess(cpu);
    try {
      displacing = new OracleProcess(cpu);
    } catch (RuntimeException | Error e) {
      original.close();
      throw e;
    }
  }

  /**
   * Starts the two processes. They run on one CPU, so that what tells CPUs apart is the same for both.
   *
   * @return the oracle
   * @throws AssertionError if they cannot be started, with what the program said
   */
  public static Oracle start() {
    return new Oracle((int) (System.nanoTime() >>> 1 & 0xff));
  }

  /**
   * Executes cases in their places.
   *
   * @param cases what to execute
   * @return what each has come to
   */
  public List<Result> inPlace(List<Case> cases) {
    return original.run(cases, null, false).stream().map(OracleProcess.Run::result).toList();
  }

  /**
   * Executes cases displaced.
   *
   * @param cases what to execute
   * @param displacer how; what it refuses is executed in its place
   * @return what each has come to
   */
  public List<Result> displaced(List<Case> cases, Displacer displacer) {
    return displacing.run(cases, displacer, false).stream().map(OracleProcess.Run::result).toList();
  }

  /**
   * Executes cases in their places and displaced. As many as do not get in each other's way are executed
   * together.
   *
   * @param cases what to execute
   * @param displacer how to displace the instructions
   * @return what came out, in the order of the cases
   */
  public List<Comparison> compare(List<Case> cases, Displacer displacer) {
    return compare(cases, List.of(displacer)).getFirst();
  }

  /**
   * Executes cases in their places, and displaced in several ways.
   *
   * @param cases what to execute
   * @param displacers how to displace the instructions
   * @return for each way what came out, in the order of the cases
   */
  public List<List<Comparison>> compare(List<Case> cases, List<Displacer> displacers) {
    // Around the displaced executions, so that time goes on between the two.
    List<Result> before = inPlace(cases);
    List<List<OracleProcess.Run>> displaced = displacers.stream().map(d -> displacing.run(cases, d, false))
        .toList();
    // By a context switch in between the CPU forgets that a register in its initial state was in use, which
    // xsave shows.
    List<Result> after = original.run(cases, null, true).stream().map(OracleProcess.Run::result).toList();
    return displaced.stream().map(runs -> {
      var comparisons = new ArrayList<Comparison>(cases.size());
      for (int i = 0; i < cases.size(); i++) {
        comparisons.add(compare(cases.get(i), before.get(i), runs.get(i), after.get(i)));
      }
      return List.<Comparison>copyOf(comparisons);
    }).toList();
  }

  /**
   * Executes cases in their places, and code instead of them that was relocated.
   *
   * @param cases what to execute; those of several instructions are not relocated
   * @param relocator makes the code
   * @param place where it is executed
   * @return what came out, in the order of the cases
   */
  public List<Comparison> compare(List<Case> cases, CodeRelocator relocator, Place place) {
    var codes = new ArrayList<@Nullable RelocatedCode>(cases.size());
    for (Case subject : cases) {
      codes.add(relocated(subject, relocator, place));
    }
    List<Result> before = inPlace(cases);
    List<OracleProcess.Run> relocated = displacing.run(cases, new OracleProcess.Copies(place, codes));
    List<Result> after = original.run(cases, null, true).stream().map(OracleProcess.Run::result).toList();
    var comparisons = new ArrayList<Comparison>(cases.size());
    for (int i = 0; i < cases.size(); i++) {
      var run = codes.get(i) != null
          ? relocated.get(i)
          : new OracleProcess.Run(relocated.get(i).result(), NO_CODE);
      comparisons.add(compare(cases.get(i), before.get(i), run, after.get(i)));
    }
    return List.copyOf(comparisons);
  }

  private static @Nullable RelocatedCode relocated(Case subject, CodeRelocator relocator, Place place) {
    return subject.instructions().size() == 1
        && Decoder.forThisCpu().decode(subject.code(), subject.address()) instanceof DecodedInstruction found
            ? relocator.relocate(found, place.of(subject.address())).orElse(null)
            : null;
  }

  private Comparison compare(Case subject, Result before, OracleProcess.Run displaced, Result after) {
    if (displaced.refusal() != null) {
      return new Comparison.NotDisplaced(subject, displaced.refusal());
    }
    XsaveImage image = original.image();
    Result result = displaced.result();
    List<Difference> differences = Comparer.differences(subject, before, result, image);
    if (differences.isEmpty()) {
      return new Comparison.Same(subject, before);
    }
    var endings = new ArrayList<>(List.of(before.ending()));
    for (int i = 0; i <= CONFIRMATIONS && !differences.isEmpty(); i++) {
      Result again = i == 0 ? after : inPlace(List.of(subject)).getFirst();
      endings.add(again.ending());
      differences = Comparer.without(differences, Comparer.differences(subject, before, again, image));
    }
    if (!differences.isEmpty()) {
      return new Comparison.Different(subject, before, result, differences);
    }
    return endings.stream().distinct().count() == 1
        ? new Comparison.Same(subject, before)
        : new Comparison.Unrepeatable(subject, endings);
  }

  /** What differs between two results of a case. */
  List<Difference> differences(Case subject, Result first, Result second) {
    return Comparer.differences(subject, first, second, original.image());
  }

  /**
   * Asks the CPU for the length of an instruction: it is put against the end of a page, one byte longer until
   * the fault of fetching the next byte is gone.
   *
   * @param instructions each of up to 15 bytes, and possibly more than belong to the instruction
   * @return the length of each
   */
  public List<CpuLength> lengths(List<byte[]> instructions) {
    return original.lengths(instructions);
  }

  /**
   * Kills the processes: what is being executed fails at once with some exception or {@link AssertionError},
   * and so does everything from now on. Any thread.
   */
  public void abandon() {
    abandoned = true;
    original.abandon();
    displacing.abandon();
  }

  /** {@return true if the oracle was abandoned, so that a failure says nothing about a case} */
  public boolean isAbandoned() {
    return abandoned;
  }

  /** Ends the processes. */
  @Override
  public void close() {
    try {
      original.close();
    } finally {
      displacing.close();
    }
  }
}
