package io.xolotl.xol.displacement;

import io.xolotl.decoder.BranchSource;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.Segment;
import io.xolotl.xol.code.Assembler;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What must be written elsewhere for an instruction to do there what it does in its place. A function of the
 * instruction and the address alone: nothing is written here.
 *
 * <p>There are two ways. A <em>copy</em> is the instruction itself, and whoever comes out of it is put right
 * by a tracer: {@link #bytes}. <em>Relocated code</em> needs no tracer, and leaves nothing to be put right
 * but the address of a fault: {@link #emit}. No return address ever points into it.
 */
public final class Relocator {

  private static final int LONGEST = 15;

  private Relocator() {}

  /**
   * The bytes of a copy that needs no scratch register: a RIP-relative displacement is counted from the copy.
   *
   * @param instruction the original
   * @param address where the copy goes
   * @return the bytes, or null if the operand is out of the copy's reach
   */
  static byte @Nullable [] bytes(DecodedInstruction instruction, long address) {
    var out = new Assembler(address);
    return copy(instruction, out) ? out.toByteArray() : null;
  }

  private static boolean copy(DecodedInstruction instruction, Assembler out) {
    if (!instruction.isRipRelative()) {
      out.bytes(instruction.bytes());
      return true;
    }
    return instruction.addressSize() == 64 && out.displaced(instruction.bytes(),
        instruction.displacementOffset().getAsInt(), instruction.ripRelativeTarget().getAsLong());
  }

  /**
   * What lies behind a copy that is boosted.
   *
   * @param instruction the original
   * @param address where the copy goes
   * @return a jump to the instruction behind the original, or null if that is out of reach
   */
  static byte @Nullable [] jumpBack(DecodedInstruction instruction, long address) {
    var out = new Assembler(address + instruction.length());
    return out.jumpNear(next(instruction, out.here())) ? out.toByteArray() : null;
  }

  /**
   * The same for a copy that was not made to be boosted.
   *
   * @return a jump, if need be by an address behind it; both fit into a slot behind the longest copy
   */
  static byte[] farJumpBack(DecodedInstruction instruction, long address) {
    var out = new Assembler(address + instruction.length());
    out.jump(next(instruction, out.here()));
    return out.toByteArray();
  }

  /** The address behind an original; in 32-bit code it wraps at 4 GiB, so that a jump reaches it always. */
  private static long next(DecodedInstruction instruction, long from) {
    return switch (instruction.mode()) {
      case LONG_64 -> instruction.nextAddress();
      case COMPAT_32 -> from + (int) (instruction.nextAddress() - from);
    };
  }

  /**
   * Where the parts of relocated code begin, in bytes from its beginning, and what a fault in each means.
   *
   * @param pushed from here on to {@code done} rsp is lower than at a fault of the original, by eight bytes
   * @param done from here on the instruction has had its effect
   * @param fallsThrough whether a thread may come out behind the code, and must be led to the next
   *     instruction
   */
  public record Parts(int pushed, int done, boolean fallsThrough) {}

  /**
   * Writes code that has an instruction's effect and then goes where the original would have gone: behind
   * what is written, if that is the next instruction.
   *
   * @param effect what the instruction does
   * @param instruction the original, of 64-bit code
   * @param out where the code goes
   * @return empty if there is no such code for that address, and what is written is of no use
   */
  public static Optional<Parts> emit(Effect effect, DecodedInstruction instruction, Assembler out) {
    if (instruction.mode() != MachineMode.LONG_64) {
      return Optional.empty();
    }
    int begin = out.size();
    return switch (effect) {
      case Effect.Plain _, Effect.Repeated _, Effect.RipRelative _ -> copied(instruction, out, begin);
      case Effect.Return _ -> copied(instruction, out, begin).map(Relocator::leaving);
      case Effect.IndirectJump(BranchSource source, _) -> copied(instruction, out, begin)
          .or(() -> source instanceof BranchSource.Memory memory && out.jump(memory)
              ? straight(out, begin)
              : Optional.empty())
          .map(Relocator::leaving);
      // No flag of a tracer's is pushed or popped: none steps the thread.
      case Effect.PushRegister _, Effect.PushFlags _, Effect.PopFlags _ -> copied(instruction, out, begin);
      case Effect.EipRelative _ -> absolute(instruction)
          .flatMap(bytes -> {
            out.bytes(bytes);
            return straight(out, begin);
          });
      case Effect.Nop() -> straight(out, begin);
      case Effect.Jump(long target) -> {
        out.jump(target);
        yield straight(out, begin).map(Relocator::leaving);
      }
      case Effect.ConditionalJump(var condition, long target) -> {
        out.jumpIf(condition, target);
        yield straight(out, begin);
      }
      case Effect.Loop(var kind, int addressSize, long target) -> {
        out.loop(kind, addressSize, target);
        yield straight(out, begin);
      }
      case Effect.Call(long target, _) -> {
        out.push(instruction.nextAddress());
        out.jump(target);
        yield Optional.of(new Parts(Assembler.PUSH_BYTES, out.size() - begin, false));
      }
      case Effect.IndirectCall(BranchSource source, _) -> call(source, instruction, out, begin);
      case Effect.LoadAddress(Gpr destination, int width, long address) -> {
        out.move(destination, width, address);
        yield straight(out, begin);
      }
      case Effect.SystemCall(var kind) -> switch (kind) {
        case SYSCALL -> {
          out.bytes(instruction.bytes());
          int done = out.size() - begin;
          // The CPU has put the address behind the copy there.
          out.move(Gpr.RCX, 64, instruction.nextAddress());
          yield Optional.of(new Parts(done, done, true));
        }
        case INT_80 -> Optional.empty();
      };
    };
  }

  private static Optional<Parts> copied(DecodedInstruction instruction, Assembler out, int begin) {
    return copy(instruction, out) ? straight(out, begin) : Optional.empty();
  }

  /**
   * An instruction that addresses memory relative to eip, with the address itself: of 32 bits, and so of no
   * reach. ModRM 00 xxx 101 becomes 00 xxx 100 with SIB 00 100 101, which is a displacement without base and
   * index (Intel SDM, volume 2, table 2-3), unless a prefix extends the index to r12.
   *
   * @return empty if it is too long then, or an x87 instruction, of which the CPU keeps the ModRM byte (Intel
   *     SDM, volume 1, 8.1.9)
   */
  private static Optional<byte[]> absolute(DecodedInstruction instruction) {
    byte[] code = instruction.bytes();
    int displacement = instruction.displacementOffset().getAsInt();
    int opcode = 0;
    while (isPrefix(code[opcode])) {
      opcode++;
    }
    boolean x87 = opcode == displacement - 2 && (code[opcode] & 0xf8) == 0xd8;
    if (code.length == LONGEST || x87) {
      return Optional.empty();
    }
    byte[] absolute = new byte[code.length + 1];
    System.arraycopy(code, 0, absolute, 0, displacement);
    System.arraycopy(code, displacement, absolute, displacement + 1, code.length - displacement);
    absolute[displacement - 1] = (byte) (code[displacement - 1] & ~7 | 4);
    absolute[displacement] = 0x25;
    int target = (int) instruction.ripRelativeTarget().getAsLong();
    for (int i = 0; i < Integer.BYTES; i++) {
      absolute[displacement + 1 + i] = (byte) (target >> Byte.SIZE * i);
    }
    switch (instruction.encoding()) {
      case LEGACY, THREE_DNOW -> {
        // Only a REX right before the opcode counts.
        if (opcode > 0 && isRex(code[opcode - 1])) {
          absolute[opcode - 1] &= ~2;
        }
      }
      case VEX, EVEX, XOP -> {
        // The two bytes of VEX have no such bit; elsewhere it is inverted.
        if (code[opcode] != (byte) 0xc5) {
          absolute[opcode + 1] |= 0x40;
        }
      }
    }
    return Optional.of(absolute);
  }

  private static boolean isRex(byte b) {
    return (b & 0xf0) == 0x40;
  }

  private static boolean isPrefix(byte b) {
    return isRex(b) || switch (Byte.toUnsignedInt(b)) {
      case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 -> true;
      default -> false;
    };
  }

  private static Optional<Parts> straight(Assembler out, int begin) {
    int done = out.size() - begin;
    return Optional.of(new Parts(done, done, true));
  }

  private static Parts leaving(Parts parts) {
    return new Parts(parts.pushed(), parts.done(), false);
  }

  /** The operand is read behind the push, so that what is addressed by rsp is eight bytes further. */
  private static Optional<Parts> call(BranchSource source, DecodedInstruction instruction, Assembler out,
      int begin) {
    if (readsWhatIsPushed(source)) {
      return Optional.empty();
    }
    out.push(instruction.nextAddress());
    boolean written = switch (source) {
      case BranchSource.Register(Gpr register) -> {
        out.jump(register);
        yield true;
      }
      case BranchSource.Memory memory when isByStack(memory) -> out.jump(new BranchSource.Memory(
          memory.segment(), memory.base(), memory.index(), memory.scale(),
          memory.displacement() + Long.BYTES, memory.addressSize()));
      case BranchSource.Memory memory -> out.jump(memory);
    };
    return written
        ? Optional.of(new Parts(Assembler.PUSH_BYTES, out.size() - begin, false))
        : Optional.empty();
  }

  private static boolean isByStack(BranchSource.Memory memory) {
    return memory.base().filter(Gpr.RSP::equals).isPresent();
  }

  /** Returns true if the push changes what is read behind it, or may do so for all that rsp says. */
  private static boolean readsWhatIsPushed(BranchSource source) {
    return switch (source) {
      case BranchSource.Register(Gpr register) -> register == Gpr.RSP;
      case BranchSource.Memory memory -> isByStack(memory) && (memory.index().isPresent()
          || memory.segment() != Segment.NONE
          || Math.abs(memory.displacement() + Long.BYTES) < Long.BYTES);
    };
  }
}
