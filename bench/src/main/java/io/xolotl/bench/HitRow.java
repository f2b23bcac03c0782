package io.xolotl.bench;

import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What a hit costs, in nanoseconds from one execution of the instruction to the next, in each round. What
 * lists have at the same place was measured in the same round: ratios are of such pairs.
 *
 * @param instruction its kind
 * @param technique how it is executed; {@link #NONE} without a probe
 * @param context where the handler runs; {@link #NONE} without a probe
 * @param rounds the time
 * @param unprobedRounds the time of the same loop without a probe
 * @param kernelRounds the time with a uprobe of the kernel; null where there is none
 * @param cLoopRounds the time with a tracer in C that makes the same stops; null where there is none
 * @param interruptRounds the time of a handler in interrupt context, beside one in task context; else null
 */
public record HitRow(String instruction, String technique, String context, List<Double> rounds,
    List<Double> unprobedRounds, @Nullable List<Double> kernelRounds, @Nullable List<Double> cLoopRounds,
    @Nullable List<Double> interruptRounds) {

  /** No probe. */
  public static final String NONE = "none";

  /** What tells one row of a report from the others. */
  public record Key(String instruction, String technique, String context) {
    @Override
    public String toString() {
      return instruction + ", " + technique + ", " + context;
    }
  }

  /** Which row this is. */
  public Key key() {
    return new Key(instruction, technique, context);
  }

  /** Returns true if it is the row of an instruction without a probe. */
  boolean isUnprobed() {
    return technique.equals(NONE);
  }

  /** The time. */
  public Quartiles nanos() {
    return Quartiles.of(rounds);
  }

  /** How much of the time the same loop without a probe does not take. */
  public Quartiles overhead() {
    return Quartiles.ofPairs(array(rounds), array(unprobedRounds), (probed, unprobed) -> probed - unprobed);
  }

  /** The time with a uprobe of the kernel. */
  public @Nullable Quartiles kernel() {
    return quartiles(kernelRounds);
  }

  /** The time with the tracer in C. */
  public @Nullable Quartiles cLoop() {
    return quartiles(cLoopRounds);
  }

  /** The time in proportion to the kernel's. */
  public @Nullable Quartiles kernelRatio() {
    return quartiles(ratios(kernelRounds));
  }

  /** The time in proportion to that of the tracer in C. */
  public @Nullable Quartiles cLoopRatio() {
    return quartiles(cLoopRatioRounds());
  }

  /** The time of a handler in task context in proportion to one in interrupt context. */
  public @Nullable Quartiles interruptRatio() {
    return quartiles(ratios(interruptRounds));
  }

  /** What {@link #cLoopRatio} is of. */
  @Nullable
  List<Double> cLoopRatioRounds() {
    return ratios(cLoopRounds);
  }

  private @Nullable List<Double> ratios(@Nullable List<Double> others) {
    return others == null
        ? null
        : IntStream.range(0, rounds.size()).mapToObj(i -> rounds.get(i) / others.get(i)).toList();
  }

  private static @Nullable Quartiles quartiles(@Nullable List<Double> values) {
    return values == null ? null : Quartiles.of(values);
  }

  private static double[] array(List<Double> values) {
    return values.stream().mapToDouble(value -> value).toArray();
  }

  /** A technique or context as it is printed. */
  static String label(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
