package io.xolotl.xol.displacement;

import io.xolotl.decoder.BranchSource;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.LoopKind;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.UserRegister;

/**
 * Computes what an instruction does from a thread's saved registers. Those of 32-bit code are the lower
 * halves: what is written has its upper half clear, and addresses wrap at 4 GiB.
 */
final class Emulator {

  /** The kernel's selector of flat data, __USER_DS. */
  private static final long FLAT = 0x2b;

  private static final long CF_TO_OF_AND_USER_FLAGS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800
      | 0x4000
      | 0x40000;
  private static final long ID = 1 << 21;
  private static final long RF_AND_VM = 1 << 16 | 1 << 17;
  private static final long ZF = 1 << 6;
  private static final long AC = 1 << 18;

  private Emulator() {}

  /**
   * Executes an instruction on saved registers.
   *
   * @param effect what it does, one that is computed
   * @param instruction the instruction
   * @param registers with rip at the instruction; changed only if this returns true
   * @param memory of the process
   * @return false if the CPU must execute it: its memory access may fault, or the effect cannot be had
   *     through ptrace
   */
  static boolean emulate(Effect effect, DecodedInstruction instruction, Registers registers,
      ProcessMemory memory) {
    long next = instruction.nextAddress();
    try {
      return switch (effect) {
        case Effect.Nop() -> go(registers, next);
        case Effect.Jump(long target) -> go(registers, target);
        case Effect.ConditionalJump(var condition, long target) -> go(registers,
            condition.test(registers.rflags())
                ? target
                : next);
        case Effect.Loop loop -> go(registers, loops(loop, registers) ? loop.target() : next);
        case Effect.Call(long target, int width) -> call(registers, memory, next, target, width);
        case Effect.IndirectJump(BranchSource source, int width) ->
          isReadable(source, registers, width) && go(registers, read(source, registers, memory, width));
        case Effect.IndirectCall(BranchSource source, int width) -> isReadable(source, registers, width)
            && call(registers, memory, next, read(source, registers, memory, width), width);
        case Effect.Return(int extra, int width) -> {
          if (isChecked(registers, registers.rsp(), width / 8)) {
            yield false;
          }
          long target = readWord(memory, registers.rsp(), width);
          if (!isCanonical(target)) {
            yield false;
          }
          registers.rsp(truncate(registers.rsp() + width / 8 + extra, width));
          yield go(registers, target);
        }
        case Effect.PushRegister(Gpr register, int width) -> {
          if (isChecked(registers, registers.rsp(), width / 8)) {
            yield false;
          }
          push(registers, memory, registers.get(general(register)), width, width);
          yield go(registers, next);
        }
        case Effect.LoadAddress(Gpr destination, int width, long address) -> {
          UserRegister register = general(destination);
          registers.set(register, switch (width) {
            case 64 -> address;
            case 32 -> address & 0xffff_ffffL;
            default -> registers.get(register) & ~0xffffL | address & 0xffff;
          });
          yield go(registers, next);
        }
        case Effect.PushFlags(int width) -> {
          if (isChecked(registers, registers.rsp(), width / 8)) {
            yield false;
          }
          push(registers, memory, registers.rflags() & ~RF_AND_VM, width, instruction.mode().widthBits());
          yield go(registers, next);
        }
        case Effect.PopFlags(int width) ->
          popFlags(width, instruction.mode().widthBits(), registers, memory) && go(registers, next);
        case Effect.Plain _, Effect.Repeated _, Effect.RipRelative _ -> throw forTheCpu(instruction);
        case Effect.EipRelative _, Effect.SystemCall _ -> throw forTheCpu(instruction);
      };
    } catch (PtraceException e) {
      if (e.reason() == PtraceException.Reason.MEMORY_INACCESSIBLE) {
        // The CPU's own fault carries what the program's handler may look at, and grows the stack where it
        // may.
        return false;
      }
      throw e;
    }
  }

  private static RuntimeException forTheCpu(DecodedInstruction instruction) {
    return new IllegalArgumentException("only the CPU can execute " + instruction.text());
  }

  /**
   * A jump to an address that is not canonical faults at the jump on some CPUs and at the target on others,
   * so the CPU decides.
   */
  private static boolean go(Registers registers, long target) {
    if (!isCanonical(target)) {
      return false;
    }
    registers.rip(target);
    return true;
  }

  private static boolean isCanonical(long address) {
    return address >= 0 && address < 1L << 47;
  }

  private static boolean call(Registers registers, ProcessMemory memory, long next, long target, int width) {
    if (!isCanonical(target) || isChecked(registers, registers.rsp(), width / 8)) {
      return false;
    }
    push(registers, memory, next, width, width);
    return go(registers, target);
  }

  private static void push(Registers registers, ProcessMemory memory, long value, int width, int stackWidth) {
    long rsp = truncate(registers.rsp() - width / 8, stackWidth);
    switch (width) {
      case 64 -> memory.writeLong(rsp, value);
      case 32 -> memory.writeInt(rsp, (int) value);
      default -> memory.write(rsp, new byte[]{(byte) value, (byte) (value >> 8)});
    }
    registers.rsp(rsp);
  }

  private static long readWord(ProcessMemory memory, long address, int width) {
    return width == 64
        ? memory.readLong(address)
        : Integer.toUnsignedLong(memory.readInt(truncate(address, width)));
  }

  private static long truncate(long value, int width) {
    return width == 64 ? value : value & 0xffff_ffffL;
  }

  /**
   * The CPU checks the alignment of accesses if the program wants it to, and its own fault tells the program.
   */
  private static boolean isChecked(Registers registers, long address, int bytes) {
    return (registers.rflags() & AC) != 0 && (address & bytes - 1) != 0;
  }

  /** In 32-bit code ds and es may be segments of the program's own, with a base that only the CPU knows. */
  private static boolean isReadable(BranchSource source, Registers registers, int width) {
    return switch (source) {
      case BranchSource.Register _ -> true;
      case BranchSource.Memory operand -> !isChecked(registers, address(operand, registers), width / 8)
          && (width == 64
              || registers.get(UserRegister.DS) == FLAT && registers.get(UserRegister.ES) == FLAT);
    };
  }

  private static long read(BranchSource source, Registers registers, ProcessMemory memory, int width) {
    return switch (source) {
      case BranchSource.Register(Gpr register) -> truncate(registers.get(general(register)), width);
      case BranchSource.Memory operand -> readWord(memory, address(operand, registers), width);
    };
  }

  private static long address(BranchSource.Memory operand, Registers registers) {
    long base = switch (operand.segment()) {
      case NONE -> 0;
      case FS -> registers.get(UserRegister.FS_BASE);
      case GS -> registers.get(UserRegister.GS_BASE);
    };
    return base + operand.effectiveAddress(gpr -> registers.get(general(gpr)));
  }

  /** Counts down, except for jrcxz; returns true if the branch is taken. */
  private static boolean loops(Effect.Loop loop, Registers registers) {
    long mask = loop.addressSize() == 64 ? -1 : (1L << loop.addressSize()) - 1;
    long old = registers.get(UserRegister.RCX);
    long count = old & mask;
    boolean zero = (registers.rflags() & ZF) != 0;
    if (loop.kind() == LoopKind.JRCXZ) {
      return count == 0;
    }
    count = count - 1 & mask;
    // Writing ecx clears the upper half of rcx; writing cx keeps the rest.
    registers.set(UserRegister.RCX, loop.addressSize() == 16 ? old & ~mask | count : count);
    return count != 0 && switch (loop.kind()) {
      case LOOP, JRCXZ -> true;
      case LOOPE -> zero;
      case LOOPNE -> !zero;
    };
  }

  private static boolean popFlags(int width, int stackWidth, Registers registers, ProcessMemory memory) {
    if (isChecked(registers, registers.rsp(), width / 8)) {
      return false;
    }
    byte[] image = memory.read(truncate(registers.rsp(), stackWidth), width / 8);
    long value = 0;
    for (int i = 0; i < image.length; i++) {
      value |= (image[i] & 0xffL) << 8 * i;
    }
    long old = registers.rflags();
    if (width != 16 && ((value ^ old) & ID) != 0) {
      // ptrace does not set ID (FLAG_MASK in arch/x86/kernel/ptrace.c).
      return false;
    }
    long changeable = CF_TO_OF_AND_USER_FLAGS & (width == 16 ? 0xffff : -1L);
    registers.rflags((old & ~changeable | value & changeable) & ~RF_AND_VM);
    registers.rsp(truncate(registers.rsp() + width / 8, stackWidth));
    return true;
  }

  static UserRegister general(Gpr register) {
    return UserRegister.general(register.index());
  }
}
