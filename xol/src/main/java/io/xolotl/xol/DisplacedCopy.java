package io.xolotl.xol;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.Instruction;
import io.xolotl.ptrace.Register;
import org.jspecify.annotations.Nullable;

/**
 * A copy of a displaced instruction in a slot.
 *
 * @param slot its address
 * @param length its length, which is the original's
 * @param scratch the register that stands for rip in the copy, or null
 * @param scratchValue what that register must hold
 */
record DisplacedCopy(long slot, int length, @Nullable Register scratch, long scratchValue) {

  /** Bytes behind every copy: int3, which ends {@link Technique#TRAPPED}, and catches whatever should run past it. */
  static final byte TRAP = (byte) 0xcc;

  /** Tells whether an address is that of the copy or behind it, up to and including the byte behind its trap. */
  boolean contains(long address) {
    return address >= slot && address <= slot + length + 1;
  }

  /**
   * The bytes of a copy whose RIP-relative displacement is counted from the slot.
   *
   * @param instruction the original
   * @param slot where the copy goes
   * @return the bytes, or null if the operand is out of the copy's reach
   */
  static byte @Nullable [] reDisplaced(Instruction instruction, long slot) {
    long displacement = instruction.ripRelativeTarget().getAsLong() - (slot + instruction.length());
    if (displacement != (int) displacement || instruction.addressSize() != 64) {
      return null;
    }
    byte[] bytes = instruction.bytes();
    int offset = instruction.displacementOffset().getAsInt();
    for (int i = 0; i < 4; i++) {
      bytes[offset + i] = (byte) (displacement >> 8 * i);
    }
    return bytes;
  }

  static DisplacedCopy plain(Instruction instruction, long slot) {
    return new DisplacedCopy(slot, instruction.length(), null, 0);
  }

  static DisplacedCopy withScratch(Classification.ScratchRegister scratch, long slot) {
    Gpr register = scratch.register();
    return new DisplacedCopy(slot, scratch.instruction().length(), Register.general(register.index()),
        scratch.value());
  }
}
