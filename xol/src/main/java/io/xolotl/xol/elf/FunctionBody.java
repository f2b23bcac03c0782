package io.xolotl.xol.elf;

import io.xolotl.decoder.Emulation;
import java.util.List;

/**
 * The places where a function of known extent may be left, all of them.
 *
 * @param start its first address, in the process
 * @param exits in ascending order
 */
public record FunctionBody(long start, List<Exit> exits) {

  /**
   * An instruction that leaves the function, or may.
   *
   * @param address in the process
   * @param effect a return; a jump that leads out of the function or to its start; or an indirect jump, which
   *     may lead anywhere
   */
  public record Exit(long address, Emulation effect) {}
}
