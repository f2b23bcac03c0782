package io.xolotl.lab.oracle;

import io.xolotl.decoder.DecodedInstruction;
import java.util.Optional;

/**
 * What is tested: something that makes code of an instruction which does the same elsewhere, without
 * anybody's help.
 *
 * <p>It is called by several threads at a time.
 */
@FunctionalInterface
public interface CodeRelocator {

  /**
   * Relocates an instruction.
   *
   * @param instruction the original, at its address
   * @param address where the code will be
   * @return the code, at whose end execution has left it for where the original leads; empty if there is none
   *     for that address
   */
  Optional<RelocatedCode> relocate(DecodedInstruction instruction, long address);
}
