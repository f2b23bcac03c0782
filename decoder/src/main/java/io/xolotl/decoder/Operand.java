package io.xolotl.decoder;

import java.util.Optional;

/** One operand of an instruction, whether or not the assembly text shows it. */
public sealed interface Operand {

  /** How an operand shows. The order is that of the numbers of the back ends. */
  enum Visibility {
    /** In the text and in the encoding. */
    EXPLICIT,
    /** In the text, implied by the opcode: {@code cl} in {@code shl eax, cl}. */
    IMPLICIT,
    /** Not in the text: {@code rsp} in {@code push rax}. */
    HIDDEN
  }

  /** {@return the size in bits} */
  int widthBits();

  /** {@return whether it is in the text} */
  Visibility visibility();

  /** {@return true if the instruction reads it, always or under a condition} */
  boolean read();

  /** {@return true if the instruction writes it, always or under a condition} */
  boolean written();

  /**
   * A register.
   *
   * @param register which one
   * @param widthBits its size in bits
   * @param visibility whether it is in the text
   * @param read whether the instruction reads it, always or under a condition
   * @param written whether the instruction writes it, always or under a condition
   */
  record OfRegister(Register register, int widthBits, Visibility visibility, boolean read, boolean written)
      implements
        Operand {}

  /**
   * Memory, or only its address.
   *
   * @param segment the segment register, also where its base is always 0
   * @param base the base register; {@code rip} or {@code eip} if relative to them
   * @param index the index, a vector register for gathers and scatters
   * @param scale 1, 2, 4 or 8; 0 without an index
   * @param displacement sign-extended; of a RIP-relative operand as encoded
   * @param addressOnly the address is computed but no memory accessed, as in {@code lea}
   * @param widthBits its size in bits
   * @param visibility whether it is in the text
   * @param read whether the instruction reads it, always or under a condition
   * @param written whether the instruction writes it, always or under a condition
   */
  record OfMemory(Register segment, Optional<Register> base, Optional<Register> index, int scale,
      long displacement,
      boolean addressOnly, int widthBits, Visibility visibility, boolean read,
      boolean written) implements Operand {}

  /**
   * A number in the instruction.
   *
   * @param value the number, sign-extended if it is signed; of a relative branch as encoded
   * @param relative counts from the end of the instruction
   * @param widthBits its size in bits
   * @param visibility whether it is in the text
   */
  record OfImmediate(long value, boolean relative, int widthBits, Visibility visibility) implements Operand {
    @Override
    public boolean read() {
      return true;
    }

    @Override
    public boolean written() {
      return false;
    }
  }

  /**
   * A far address in 32-bit code.
   *
   * @param segment the selector
   * @param offset the address in the segment
   * @param widthBits its size in bits
   * @param visibility whether it is in the text
   */
  record OfFarPointer(int segment, int offset, int widthBits, Visibility visibility) implements Operand {
    @Override
    public boolean read() {
      return true;
    }

    @Override
    public boolean written() {
      return false;
    }
  }
}
