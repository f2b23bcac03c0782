package io.xolotl.xol.elf;

import io.xolotl.decoder.Emulation;
import java.util.List;

/**
 * The places where a function of known extent is left.
 *
 * @param start its first address, in the process
 * @param exits returns, and jumps that lead out of it or to its start, in ascending order
 * @param complete whether these are all; there may also be conditional jumps out of it, and indirect jumps
 *     that are no {@code switch}
 */
public record FunctionBody(long start, List<Exit> exits, boolean complete) {

  /**
   * An instruction that leaves the function whenever it is executed.
   *
   * @param address in the process
   * @param effect {@link Emulation.Return} or {@link Emulation.Jump}
   */
  public record Exit(long address, Emulation effect) {}
}
