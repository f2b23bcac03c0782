package io.xolotl.xol.displacement;

import io.xolotl.decoder.BranchSource;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.MachineMode;
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
      // No register is free without a tracer, and none may be lost if the access faults.
      case Effect.EipRelative _ -> Optional.empty();
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
    byte[] bytes = bytes(instruction, out.here());
    if (bytes == null) {
      return Optional.empty();
    }
    out.bytes(bytes);
    instruction.ripRelativeTarget().ifPresent(out::notesTarget);
    return straight(out, begin);
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
          || Math.abs(memory.displacement() + Long.BYTES) < Long.BYTES);
    };
  }

  private static void putDisplacement(byte[] bytes, int offset, long displacement) {
    for (int i = 0; i < 4; i++) {
      bytes[offset + i] = (byte) (displacement >> 8 * i);
    }
  }
}
