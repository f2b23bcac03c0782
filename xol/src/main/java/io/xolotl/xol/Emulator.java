package io.xolotl.xol;

import io.xolotl.decoder.BranchSource;
import io.xolotl.decoder.Emulation;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.Instruction;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Register;
import io.xolotl.ptrace.Registers;

/** Computes what an instruction does from a thread's saved registers. */
final class Emulator {

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
   * @param emulation what it does
   * @param instruction the instruction
   * @param registers with rip at the instruction; changed only if this returns true
   * @param memory of the process
   * @return false if the CPU must execute it: its memory access may fault, or the effect cannot be had through ptrace
   */
  static boolean emulate(Emulation emulation, Instruction instruction, Registers registers,
      ProcessMemory memory) {
    long next = instruction.nextAddress();
    try {
      return switch (emulation) {
        case Emulation.Nop() -> go(registers, next);
        case Emulation.Jump(long target) -> go(registers, target);
        case Emulation.ConditionalJump(var condition, long target) -> go(registers,
            condition.test(registers.rflags())
                ? target
                : next);
        case Emulation.Loop loop -> go(registers, loops(loop, registers) ? loop.target() : next);
        case Emulation.Call(long target) -> call(registers, memory, next, target);
        case Emulation.IndirectJump(BranchSource source) ->
          !isChecked(source, registers) && go(registers, read(source, registers, memory));
        case Emulation.IndirectCall(BranchSource source) -> !isChecked(source, registers)
            && call(registers, memory, next, read(source, registers, memory));
        case Emulation.Return(int extra) -> {
          if (isChecked(registers, registers.rsp(), 8)) {
            yield false;
          }
          long target = memory.readLong(registers.rsp());
          if (!isCanonical(target)) {
            yield false;
          }
          registers.rsp(registers.rsp() + 8 + extra);
          yield go(registers, target);
        }
        case Emulation.PushRegister(Gpr register) -> {
          if (isChecked(registers, registers.rsp(), 8)) {
            yield false;
          }
          memory.writeLong(registers.rsp() - 8, registers.get(general(register)));
          registers.rsp(registers.rsp() - 8);
          yield go(registers, next);
        }
        case Emulation.LoadAddress(Gpr destination, int width, long address) -> {
          Register register = general(destination);
          registers.set(register, switch (width) {
            case 64 -> address;
            case 32 -> address & 0xffff_ffffL;
            default -> registers.get(register) & ~0xffffL | address & 0xffff;
          });
          yield go(registers, next);
        }
        case Emulation.PushFlags(int width) -> {
          if (isChecked(registers, registers.rsp(), width / 8)) {
            yield false;
          }
          long image = registers.rflags() & ~RF_AND_VM;
          long rsp = registers.rsp() - width / 8;
          memory.write(rsp, bytes(image, width / 8));
          registers.rsp(rsp);
          yield go(registers, next);
        }
        case Emulation.PopFlags(int width) -> popFlags(width, registers, memory) && go(registers, next);
      };
    } catch (PtraceException e) {
      if (e.reason() == PtraceException.Reason.MEMORY_INACCESSIBLE) {
        // The CPU's own fault carries what the program's handler may look at, and grows the stack where it may.
        return false;
      }
      throw e;
    }
  }

  /**
   * A jump to an address that is not canonical faults at the jump on some CPUs and at the target on others, so the CPU
   * decides.
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

  private static boolean call(Registers registers, ProcessMemory memory, long next, long target) {
    if (!isCanonical(target) || isChecked(registers, registers.rsp(), 8)) {
      return false;
    }
    memory.writeLong(registers.rsp() - 8, next);
    registers.rsp(registers.rsp() - 8);
    return go(registers, target);
  }

  /** The CPU checks the alignment of accesses if the program wants it to, and its own fault tells the program. */
  private static boolean isChecked(Registers registers, long address, int bytes) {
    return (registers.rflags() & AC) != 0 && (address & bytes - 1) != 0;
  }

  private static boolean isChecked(BranchSource source, Registers registers) {
    return source instanceof BranchSource.Memory operand
        && isChecked(registers, address(operand, registers), 8);
  }

  private static long read(BranchSource source, Registers registers, ProcessMemory memory) {
    return switch (source) {
      case BranchSource.Register(Gpr register) -> registers.get(general(register));
      case BranchSource.Memory operand -> memory.readLong(address(operand, registers));
    };
  }

  private static long address(BranchSource.Memory operand, Registers registers) {
    long base = switch (operand.segment()) {
      case NONE -> 0;
      case FS -> registers.get(Register.FS_BASE);
      case GS -> registers.get(Register.GS_BASE);
    };
    return base + operand.effectiveAddress(gpr -> registers.get(general(gpr)));
  }

  /** Counts down, except for jrcxz, and tells whether the branch is taken. */
  private static boolean loops(Emulation.Loop loop, Registers registers) {
    long mask = loop.addressSize() == 32 ? 0xffff_ffffL : -1;
    long count = registers.get(Register.RCX) & mask;
    boolean zero = (registers.rflags() & ZF) != 0;
    if (loop.kind() == io.xolotl.decoder.LoopKind.JRCXZ) {
      return count == 0;
    }
    count = count - 1 & mask;
    registers.set(Register.RCX, count);
    return count != 0 && switch (loop.kind()) {
      case LOOP, JRCXZ -> true;
      case LOOPE -> zero;
      case LOOPNE -> !zero;
    };
  }

  private static boolean popFlags(int width, Registers registers, ProcessMemory memory) {
    if (isChecked(registers, registers.rsp(), width / 8)) {
      return false;
    }
    byte[] image = memory.read(registers.rsp(), width / 8);
    long value = 0;
    for (int i = 0; i < image.length; i++) {
      value |= (image[i] & 0xffL) << 8 * i;
    }
    long old = registers.rflags();
    if (width == 64 && ((value ^ old) & ID) != 0) {
      // ptrace does not set ID (FLAG_MASK in arch/x86/kernel/ptrace.c).
      return false;
    }
    long changeable = CF_TO_OF_AND_USER_FLAGS & (width == 16 ? 0xffff : -1L);
    registers.rflags((old & ~changeable | value & changeable) & ~RF_AND_VM);
    registers.rsp(registers.rsp() + width / 8);
    return true;
  }

  private static byte[] bytes(long value, int count) {
    byte[] bytes = new byte[count];
    for (int i = 0; i < count; i++) {
      bytes[i] = (byte) (value >> 8 * i);
    }
    return bytes;
  }

  static Register general(Gpr register) {
    return Register.general(register.index());
  }
}
