package io.xolotl.xol.displacement;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.MachineMode;
import org.jspecify.annotations.Nullable;

/**
 * What must be written elsewhere for an instruction to do there what it does in its place. A function of the
 * instruction and the address alone: nothing is written here.
 */
final class Relocator {

  private static final byte JUMP = (byte) 0xe9;
  private static final int JUMP_BYTES = 5;

  private Relocator() {}

  /**
   * The bytes of a copy that needs no scratch register: a RIP-relative displacement is counted from the copy.
   *
   * @param instruction the original
   * @param address where the copy goes
   * @return the bytes, or null if the operand is out of the copy's reach
   */
  static byte @Nullable [] bytes(DecodedInstruction instruction, long address) {
    if (!instruction.isRipRelative()) {
      return instruction.bytes();
    }
    long displacement = instruction.ripRelativeTarget().getAsLong() - (address + instruction.length());
    if (displacement != (int) displacement || instruction.addressSize() != 64) {
      return null;
    }
    byte[] bytes = instruction.bytes();
    putDisplacement(bytes, instruction.displacementOffset().getAsInt(), displacement);
    return bytes;
  }

  /**
   * What lies behind a copy that is boosted.
   *
   * @param instruction the original
   * @param address where the copy goes
   * @return a jump to the instruction behind the original, or null if that is out of reach
   */
  static byte @Nullable [] jumpBack(DecodedInstruction instruction, long address) {
    long displacement = instruction.nextAddress() - (address + instruction.length() + JUMP_BYTES);
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
}
