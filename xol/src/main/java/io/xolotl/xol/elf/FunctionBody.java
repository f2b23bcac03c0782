package io.xolotl.xol.elf;

import io.xolotl.decoder.Effect;
import java.util.List;

/**
 * The places where a function of known extent is left.
 *
 * @param exits returns, and jumps that lead out of it or to its start, in ascending order; an instruction is
 *     proved to start at each
 * @param complete whether these are all. There may also be conditional jumps out of it, indirect jumps that
 *     are no {@code switch}, and what control flow is not known to reach
 * @param repeats whether there are conditional jumps to its start
 */
public record FunctionBody(List<Exit> exits, boolean complete, boolean repeats) {

  /**
   * An instruction that leaves the function whenever it is executed.
   *
   * @param address in the process
   * @param effect {@link Effect.Return} or {@link Effect.Jump}
   */
  public record Exit(long address, Effect effect) {}
}
