package io.xolotl.decoder;

import java.util.Optional;
import java.util.function.ToLongFunction;

/** Where an indirect branch takes its target from. */
public sealed interface BranchSource {

  /**
   * A general register holds the target.
   *
   * @param register the register; for a call its value before the push, also if it is rsp
   */
  record Register(Gpr register) implements BranchSource {}

  /**
   * Memory holds the target: eight bytes, in 32-bit code four.
   *
   * @param segment the segment whose base is added to {@link #effectiveAddress}
   * @param base the base register; empty for an absolute or RIP-relative address
   * @param index the register that is scaled
   * @param scale 1, 2, 4 or 8; 1 without an index
   * @param displacement added to base and index; if the instruction is RIP-relative, the absolute address
   * @param addressSize 64, 32, or in 32-bit code 16: how many bits the sum of base, index and displacement
   *     has
   */
  record Memory(Segment segment, Optional<Gpr> base, Optional<Gpr> index, int scale, long displacement,
      int addressSize) implements BranchSource {

    /**
     * Computes the address within the segment, from the registers before the instruction: a call that
     * addresses by rsp uses its value before the push.
     *
     * @param registers gives a register's 64-bit value
     * @return the address, wrapped at the {@link #addressSize}; the segment's base is still to be added
     */
    public long effectiveAddress(ToLongFunction<Gpr> registers) {
      long address = displacement;
      if (base.isPresent()) {
        address += registers.applyAsLong(base.get());
      }
      if (index.isPresent()) {
        address += registers.applyAsLong(index.get()) * scale;
      }
      return addressSize == 64 ? address : address & (1L << addressSize) - 1;
    }
  }
}
