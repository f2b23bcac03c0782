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

  /** Returns the size in bits. */
  int widthBits();

  Visibility visibility();

  /** Returns true if the instruction reads it, always or under a condition. */
  boolean read();

  /** Returns true if the instruction writes it, always or under a condition. */
  boolean written();

  /** A register. */
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

  /** A far address in 32-bit code. */
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
