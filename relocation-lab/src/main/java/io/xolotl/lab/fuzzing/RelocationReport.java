package io.xolotl.lab.fuzzing;

import io.xolotl.lab.oracle.Place;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What fuzzing of relocated code has come to. Immutable.
 *
 * <p>An execution is one of an original or of its relocated code. Those of instructions that this CPU lacks,
 * or that are invalid as they were drawn, raise SIGILL, and do not count.
 *
 * @param seed from which all follows
 * @param units that were executed
 * @param executions how many there were, an original and its relocated code counting as two
 * @param digest of what the originals have done, the same for the same seed on the same model of CPU
 * @param mnemonics how often each was executed, and came out
 * @param reasons why a mnemonic is not executed or never comes out
 * @param refused mnemonics for which there was no relocated code at least once
 * @param forms how many forms of instructions have come out
 * @param outcomes how many originals came out ({@code completed}), or raised which signal
 * @param hangs originals that did not come out within milliseconds
 * @param deaths pairs of which the original or the relocated code has killed the process
 * @param transientOnes differences that were none when all was executed again
 * @param varying states from which the original has differed from itself
 * @param otherFaults indirect calls with two faults, of which the relocated code has raised the other one
 * @param findings the differences, in the order in which they were found
 * @param dropped differences of which no case was noted
 * @param elapsed how long it took
 */
public record RelocationReport(long seed, long units, long executions, long digest,
    SortedMap<String, MnemonicTally> mnemonics, SortedMap<String, String> reasons,
    SortedSet<String> refused, int forms, SortedMap<String, Long> outcomes, long hangs, List<Death> deaths,
    long transientOnes, long varying, long otherFaults, List<Finding> findings, long dropped,
    Duration elapsed) {

  /**
   * A pair that has killed the process. What else it does is not known.
   *
   * @param mnemonic of the original
   * @param place of its relocated code
   * @param code the original's bytes; not to be changed
   */
  public record Death(String mnemonic, Place place, byte[] code) {
    @Override
    public String toString() {
      return mnemonic + " (" + HexFormat.ofDelimiter(" ").formatHex(code) + "), relocated "
          + place.name().toLowerCase(Locale.ROOT) + ", has killed the process";
    }
  }

  /**
   * Numbers of one mnemonic, of originals.
   *
   * @param executions that did not raise SIGILL
   * @param completed that came out
   */
  public record MnemonicTally(long executions, long completed) {

    static final MnemonicTally NONE = new MnemonicTally(0, 0);

    MnemonicTally plus(MnemonicTally other) {
      return new MnemonicTally(executions + other.executions, completed + other.completed);
    }
  }

  /**
   * {@return one of nothing}
   *
   * @param seed from which nothing was drawn
   */
  public static RelocationReport none(long seed) {
    return new RelocationReport(seed, 0, 0, 0, new TreeMap<>(), new TreeMap<>(), new TreeSet<>(), 0,
        new TreeMap<>(), 0, List.of(), 0, 0, 0, List.of(), 0, Duration.ZERO);
  }

  /** {@return true if nothing differs, and nothing has killed the process} */
  public boolean isClean() {
    return differences() == 0 && deaths.isEmpty();
  }

  /** {@return how many differences there were} */
  public long differences() {
    return dropped + findings.stream().mapToLong(Finding::count).sum();
  }

  /** {@return the mnemonics that this CPU has, as far as one of them has not raised SIGILL} */
  public List<String> onThisCpu() {
    return mnemonics.entrySet().stream().filter(entry -> entry.getValue().executions > 0)
        .map(Map.Entry::getKey).toList();
  }

  /** {@return the mnemonics that this CPU has and that never came out} */
  public List<String> notReached() {
    return mnemonics.entrySet().stream()
        .filter(entry -> entry.getValue().executions > 0 && entry.getValue().completed == 0)
        .map(Map.Entry::getKey).toList();
  }

  /** {@return the mnemonics of which no instruction had relocated code} */
  public List<String> withoutCode() {
    return refused.stream().filter(mnemonic -> !mnemonics.containsKey(mnemonic)).toList();
  }

  /** {@return how many executions there were in a second} */
  public double perSecond() {
    return executions / Math.max(elapsed.toNanos() / 1e9, 1e-3);
  }

  /** The numbers, and all findings. */
  @Override
  public String toString() {
    var text = new StringBuilder(
        "%d executions in %.1f s, %d mnemonics, %d forms, %d differences, digest %016x, seed %d"
            .formatted(executions, elapsed.toNanos() / 1e9, onThisCpu().size(), forms, differences(), digest,
                seed));
    deaths.forEach(death -> text.append("\n").append(death));
    findings.forEach(finding -> text.append("\n\n").append(finding));
    return text.toString();
  }
}
