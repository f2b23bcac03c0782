package io.xolotl.bench;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a hit costs, in nanoseconds from one execution of the instruction to the next. Ratios are of
 * measurements that were made one right after the other.
 *
 * @param instruction its kind
 * @param technique how it is executed; {@link #NONE} without a probe
 * @param context where the handler runs; {@link #NONE} without a probe
 * @param nanos the time
 * @param overhead how much of it the same loop without a probe does not take
 * @param kernel the time with a uprobe of the kernel; null where there is none
 * @param cLoop the time with a tracer in C that makes the same stops; null where there is none
 * @param kernelRatio the time in proportion to the kernel's
 * @param cLoopRatio the time in proportion to that of the tracer in C
 * @param interruptRatio the time of a handler in task context in proportion to one in interrupt context
 */
public record HitRow(String instruction, String technique, String context, Quartiles nanos,
    Quartiles overhead,
    @Nullable Quartiles kernel, @Nullable Quartiles cLoop, @Nullable Quartiles kernelRatio,
    @Nullable Quartiles cLoopRatio, @Nullable Quartiles interruptRatio) {

  /** No probe. */
  public static final String NONE = "none";

  /** A technique or context as it is printed. */
  static String label(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
