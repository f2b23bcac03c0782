package io.xolotl.xol;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.Instruction;
import io.xolotl.decoder.MachineMode;
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

  /**
   * Fills a slot behind the copy: int3, which ends {@link Technique#TRAPPED}, and catches whatever runs
   * astray.
   */
  static final byte TRAP = (byte) 0xcc;

  private static final byte JUMP = (byte) 0xe9;
  private static final int JUMP_BYTES = 5;

  /**
   * What lies behind a copy that is boosted.
   *
   * @param instruction the original
   * @param slot where the copy goes
   * @return a jump to the instruction behind the original, or null if that is out of reach
   */
  static byte @Nullable [] jumpBack(Instruction instruction, long slot) {
    long displacement = instruction.nextAddress() - (slot + instruction.length() + JUMP_BYTES);
    // In 32-bit code it wraps at 4 GiB, and reaches everything.
    if (instruction.mode() == MachineMode.LONG_64 && displacement != (int) displacement) {
      return null;
    }
    byte[] jump = {JUMP, 0, 0, 0, 0};
    putDisplacement(jump, 1, displacement);
    return jump;
  }

  private static void putDisplacement(byte[] bytes, int offset, long displacement) {
    for (int i = 0; i < 4; i++) {
      bytes[offset + i] = (byte) (displacement >> 8 * i);
    }
  }

  /**
   * Returns true if an address is that of the copy or behind it, up to and including the byte behind its
   * trap.
   */
  boolean contains(long address) {
    return address >= slot && address <= slot + length + 1;
  }

  /**
   * The bytes of a copy that needs no scratch register: a RIP-relative displacement is counted from the slot.
   *
   * @param instruction the original
   * @param slot where the copy goes
   * @return the bytes, or null if the operand is out of the copy's reach
   */
  static byte @Nullable [] bytes(Instruction instruction, long slot) {
    if (!instruction.isRipRelative()) {
      return instruction.bytes();
    }
    long displacement = instruction.ripRelativeTarget().getAsLong() - (slot + instruction.length());
    if (displacement != (int) displacement || instruction.addressSize() != 64) {
      return null;
    }
    byte[] bytes = instruction.bytes();
    putDisplacement(bytes, instruction.displacementOffset().getAsInt(), displacement);
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
