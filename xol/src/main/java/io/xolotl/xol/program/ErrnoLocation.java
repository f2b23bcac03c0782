package io.xolotl.xol.program;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;
import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.UserRegister;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Finds a thread's {@code errno}, which lies in its thread-local storage, where only the C library knows: by
 * what its {@code __errno_location()} would return in that thread. That is a few instructions without a
 * branch, and without a call but of what tells 32-bit code where it is; they are interpreted here, so that
 * the process executes nothing.
 */
public final class ErrnoLocation {

  /** Reads code as the program was loaded with it, as far as it is mapped. */
  @FunctionalInterface
  public interface Text {
    /** Reads up to {@code length} bytes from an address on. */
    byte[] read(long address, int length);
  }

  private static final int LONGEST = 15;
  private static final int MOST_INSTRUCTIONS = 32;

  private final Text text;
  private final Registers thread;
  private final ProcessMemory memory;
  private final Abi abi;

  /** What the interpreted code has computed; what it found in the registers is not known. */
  private final Map<Gpr, Long> known = new EnumMap<>(Gpr.class);
  private final List<@Nullable Long> stack = new ArrayList<>();

  private ErrnoLocation(Text text, Registers thread, ProcessMemory memory) {
    this.text = text;
    this.thread = thread;
    this.memory = memory;
    abi = Abi.of(thread);
  }

  /**
   * Finds the errno of a thread.
   *
   * @param function address of {@code __errno_location} of its C library
   * @param thread its registers: only what they say of segments counts
   * @return where it is in the process; empty if the function is none that can be understood
   */
  public static OptionalLong of(long function, Text text, Registers thread, ProcessMemory memory) {
    try {
      Long result = new ErrnoLocation(text, thread, memory).call(function);
      return result == null ? OptionalLong.empty() : OptionalLong.of(result);
    } catch (PtraceException e) {
      if (e.reason() == PtraceException.Reason.MEMORY_INACCESSIBLE) {
        return OptionalLong.empty();
      }
      throw e;
    }
  }

  private @Nullable Long call(long function) {
    Decoder decoder = Decoder.forThisCpu(abi == Abi.X86_64 ? MachineMode.LONG_64 : MachineMode.COMPAT_32);
    long address = function;
    for (int i = 0; i < MOST_INSTRUCTIONS; i++) {
      if (!(decoder.decode(text.read(address, LONGEST), address) instanceof DecodedInstruction instruction)) {
        return null;
      }
      address = instruction.nextAddress();
      switch (instruction.mnemonic()) {
        case "ret" -> {
          if (stack.isEmpty()) {
            return known.get(Gpr.RAX);
          }
          Long back = stack.removeLast();
          if (back == null) {
            return null;
          }
          address = back;
        }
        case "call", "jmp" -> {
          if (instruction.branchTarget().isEmpty()) {
            return null;
          }
          if (instruction.mnemonic().equals("call")) {
            stack.add(address);
          }
          address = instruction.branchTarget().getAsLong();
        }
        default -> {
          if (!interpret(instruction)) {
            return null;
          }
        }
      }
    }
    return null;
  }

  /** Does what an instruction does; false if it is another than those which such functions are made of. */
  private boolean interpret(DecodedInstruction instruction) {
    List<Operand> operands = instruction.operands().stream()
        .filter(operand -> operand.visibility() != Operand.Visibility.HIDDEN).toList();
    switch (instruction.mnemonic()) {
      case "endbr64", "endbr32", "nop" -> {
        return true;
      }
      case "push" -> {
        return stack.add(value(instruction, operands.getFirst()));
      }
      case "pop" -> {
        return !stack.isEmpty() && set(operands.getFirst(), stack.removeLast());
      }
      case "mov", "lea" -> {
        return set(operands.getFirst(), value(instruction, operands.getLast()));
      }
      case "add" -> {
        return set(operands.getFirst(),
            sum(value(instruction, operands.getFirst()), value(instruction, operands.getLast())));
      }
      default -> {
        return false;
      }
    }
  }

  private boolean set(Operand destination, @Nullable Long value) {
    if (!(destination instanceof Operand.OfRegister to) || to.register().gpr().isEmpty()) {
      return false;
    }
    Gpr gpr = to.register().gpr().get();
    if (value == null || to.widthBits() < 32) {
      known.remove(gpr);
    } else {
      // Writing the lower half of a register clears the upper one.
      known.put(gpr, to.widthBits() == 32 ? value & 0xffff_ffffL : value);
    }
    return gpr != Gpr.RSP;
  }

  /** Null if it is not known. */
  private @Nullable Long value(DecodedInstruction instruction, Operand operand) {
    return switch (operand) {
      case Operand.OfRegister from -> from.widthBits() < 32 ? null : general(from.register());
      case Operand.OfImmediate from -> from.value();
      case Operand.OfMemory from when from.addressOnly() -> address(instruction, from);
      case Operand.OfMemory from when isTopOfStack(from) -> stack.isEmpty() ? null : stack.getLast();
      case Operand.OfMemory from -> {
        Long offset = address(instruction, from);
        yield offset == null ? null : read(base(from.segment()) + offset, from.widthBits());
      }
      case Operand.OfFarPointer _ -> null;
    };
  }

  private @Nullable Long general(Register register) {
    return register.gpr().map(known::get).orElse(null);
  }

  private static boolean isTopOfStack(Operand.OfMemory operand) {
    return operand.base().flatMap(Register::gpr).filter(Gpr.RSP::equals).isPresent()
        && operand.index().isEmpty() && operand.displacement() == 0;
  }

  private static @Nullable Long sum(@Nullable Long left, @Nullable Long right) {
    return left == null || right == null ? null : Long.valueOf(left + right);
  }

  /** Within its segment. */
  private @Nullable Long address(DecodedInstruction instruction, Operand.OfMemory operand) {
    if (instruction.ripRelativeTarget().isPresent()) {
      return instruction.ripRelativeTarget().getAsLong();
    }
    Long address = operand.displacement();
    if (operand.base().isPresent()) {
      address = sum(address, general(operand.base().get()));
    }
    if (operand.index().isPresent()) {
      Long index = general(operand.index().get());
      address = sum(address, index == null ? null : Long.valueOf(index * operand.scale()));
    }
    return address == null || abi == Abi.X86_64 ? address : Long.valueOf(address & 0xffff_ffffL);
  }

  private long base(Register segment) {
    return switch (segment.name()) {
      case "fs" -> thread.get(UserRegister.FS_BASE);
      case "gs" -> thread.get(UserRegister.GS_BASE);
      default -> 0;
    };
  }

  private @Nullable Long read(long address, int widthBits) {
    return switch (widthBits) {
      case 64 -> memory.readLong(address);
      case 32 -> Integer.toUnsignedLong(memory.readInt(abi == Abi.X86_64 ? address : address & 0xffff_ffffL));
      default -> null;
    };
  }
}
