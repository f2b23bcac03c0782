package io.xolotl.xol;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.xol.code.Assembler;
import io.xolotl.xol.displacement.Relocator;
import java.util.Objects;
import java.util.Optional;

/**
 * Code that does at one address what an instruction of 64-bit code does at another, and then goes where that
 * would have gone, without anybody's help: for trampolines, and for those who test or build relocators.
 *
 * <p>What it does differently: a fault names its own address, which {@link #fault} translates, and that of a
 * call has changed the eight bytes below rsp; the CPU keeps its address as that of the last x87 instruction;
 * filters of system calls see it; a thread that steps itself traps more often. An indirect call whose operand
 * is in the eight bytes that the call overwrites, and is not addressed by rsp, goes elsewhere; one that has
 * two faults raises the other one. A thread with a shadow stack cannot return from a call that is made here.
 * No return address ever points into the code.
 *
 * <p>Immutable: a function of the instruction and the address.
 */
public final class Relocation {

  private final DecodedInstruction instruction;
  private final long address;
  private final byte[] code;
  private final Relocator.Parts parts;
  private final Reach reach;

  /**
   * From where the very forms of this code reach all that they must. Elsewhere {@link #of} may answer with
   * longer jumps, but not where memory is out of reach.
   *
   * @param lowest the lowest address that it may have
   * @param highest the highest address that it may have
   */
  public record Reach(long lowest, long highest) {

    /**
     * {@return true if code for an address may be had}
     *
     * @param address where it would go
     */
    public boolean contains(long address) {
      return address >= lowest && address <= highest;
    }
  }

  /**
   * What the original would have told of a fault.
   *
   * @param address where rip would be
   * @param stackBytes how much higher rsp would be
   */
  public record Fault(long address, int stackBytes) {}

  private Relocation(DecodedInstruction instruction, long address, Assembler out, Relocator.Parts parts) {
    this.instruction = instruction;
    this.address = address;
    this.parts = parts;
    code = out.toByteArray();
    reach = new Reach(out.lowestStart(), out.highestStart());
  }

  /**
   * Relocates an instruction.
   *
   * @param instruction the original, at its address
   * @param address where the code will be
   * @return empty if it is refused, is one of 32-bit code, needs memory that is out of reach from there,
   *     addresses memory relative to eip and has 15 bytes or is an x87 instruction, or is a call whose
   *     operand depends on what it pushes itself
   */
  public static Optional<Relocation> of(DecodedInstruction instruction, long address) {
    return switch (Classification.of(instruction, RelocationPolicy.FULL)) {
      case Classification.Refuse _ -> Optional.empty();
      case Classification.Accept(Effect effect) -> {
        var out = new Assembler(address);
        Optional<Relocator.Parts> parts = Relocator.emit(effect, instruction, out);
        yield parts.map(known -> {
          if (known.fallsThrough()) {
            out.jump(instruction.nextAddress());
          }
          return new Relocation(instruction, address, out, known);
        });
      }
    };
  }

  /** {@return the original} */
  public DecodedInstruction instruction() {
    return instruction;
  }

  /** {@return where the code must be} */
  public long address() {
    return address;
  }

  /** {@return the code, with a jump to the next instruction at its end if a thread may get there; a copy} */
  public byte[] code() {
    return code.clone();
  }

  /** {@return from where code of this kind reaches all that it must} */
  public Reach reach() {
    return reach;
  }

  /**
   * {@return what a fault in the code means} It is for what an instruction of the code raises itself. A
   * thread that is stopped there for another reason may be in the middle of the effect.
   *
   * @param offset of the instruction in the code that has faulted, in bytes
   */
  public Fault fault(int offset) {
    Objects.checkIndex(offset, code.length);
    return offset >= parts.done()
        ? new Fault(instruction.nextAddress(), 0)
        : new Fault(instruction.address(), offset >= parts.pushed() ? Long.BYTES : 0);
  }

  @Override
  public String toString() {
    return "relocation of " + instruction + " to 0x" + Long.toHexString(address);
  }
}
