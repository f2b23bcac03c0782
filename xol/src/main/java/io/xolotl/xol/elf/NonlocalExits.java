package io.xolotl.xol.elf;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Looks for the places where code leaves several functions at once. No name tells them: those of a static
 * program are stripped, and each library may have its own. But their last instructions do: one that sets the
 * stack pointer, few that load or pop a register, and a jump or return to an address out of a register or
 * from the new stack (glibc, {@code __longjmp.S}; GCC, {@code __builtin_eh_return}; LLVM,
 * {@code UnwindRegistersRestore.S}). Functions that have kept their stack pointer elsewhere, and get it back
 * before they return, end so as well, and leave no call but their own.
 *
 * <p>The file may be anyone's: the work is bounded by the size of its code and by counts.
 *
 * <p>Used once, by one thread, within {@link InstructionStarts}.
 */
final class NonlocalExits {

  /** Instructions between the change of the stack pointer and the jump; LLVM has two, GCC and glibc one. */
  private static final int MOST_BETWEEN = 3;
  /** More than all that a file could need; glibc has three. */
  private static final int MOST = 1 << 8;
  /** Places that are decoded, and those of them that are looked for among what code reaches. */
  private static final int MOST_CANDIDATES = 1 << 20;
  private static final int MOST_MATCHING = 1 << 10;
  private static final int MOV_TO_REGISTER = 0x8b;
  private static final int MOV_FROM_REGISTER = 0x89;
  private static final int SP = 4;
  private static final String SET_CONTEXT = "setcontext";

  private final InstructionStarts code;
  private final SymbolTable symbols;
  private final MachineMode mode;
  private final ElfSource source;
  private final List<NonlocalExit> found = new ArrayList<>();
  private int candidates;
  private int matching;

  NonlocalExits(InstructionStarts code, SymbolTable symbols, MachineMode mode, ElfSource source) {
    this.code = code;
    this.symbols = symbols;
    this.mode = mode;
    this.source = source;
  }

  /** All of a file, with addresses of the file. */
  List<NonlocalExit> find() {
    code.eachSection(source, this::findIn);
    Set<UnwindTable.Range> seen = new HashSet<>();
    for (SymbolEntry function : symbols.named(SET_CONTEXT)) {
      UnwindTable.Range range = function.isTyped() ? code.regionAround(function.address()) : null;
      if (range != null && seen.size() < MOST && seen.add(range)) {
        lookInto(range);
      }
    }
    return List.copyOf(found);
  }

  private void findIn(InstructionStarts.Text text) {
    byte[] bytes = text.bytes();
    boolean is64 = mode == MachineMode.LONG_64;
    for (int i = 1; i < bytes.length - 1; i++) {
      if (setsStackPointer(bytes[i] & 0xff, bytes[i + 1] & 0xff) && (!is64 || isWide(bytes[i - 1]))) {
        if (++candidates > MOST_CANDIDATES || matching > MOST_MATCHING || found.size() >= MOST) {
          return;
        }
        look(text, text.start() + i - (is64 ? 1 : 0));
      }
    }
  }

  /** A function that sets all registers, and of which only the name tells that nobody comes back. */
  private void lookInto(UnwindTable.Range range) {
    code.decode(source, range, instruction -> {
      NonlocalExit exit = newStackPointer(instruction, 0);
      if (exit != null && exit.loaded() && found.size() < MOST && ++matching <= MOST_MATCHING
          && code.isReached(source, instruction.address())) {
        found.add(exit);
      }
    });
  }

  /** Whether these may be the opcode and the ModR/M byte of such a mov; another register has its bits too. */
  private static boolean setsStackPointer(int opcode, int modrm) {
    return opcode == MOV_FROM_REGISTER && modrm >= 0xc0 && (modrm & 7) == SP
        || opcode == MOV_TO_REGISTER && (modrm >> 3 & 7) == SP;
  }

  /** REX.W. */
  private static boolean isWide(byte prefix) {
    return (prefix & 0xf8) == 0x48;
  }

  private void look(InstructionStarts.Text text, long address) {
    DecodedInstruction first = code.decode(text, address);
    NonlocalExit exit = first == null ? null : exit(text, first);
    // What the bytes look like is a guess; what control flow reaches is none.
    if (exit != null && ++matching <= MOST_MATCHING && code.isReached(source, address)) {
      found.add(exit);
    }
  }

  private @Nullable NonlocalExit exit(InstructionStarts.Text text, DecodedInstruction first) {
    if (newStackPointer(first, 0) == null) {
      return null;
    }
    int popped = 0;
    DecodedInstruction next = code.decode(text, first.nextAddress());
    for (int i = 0; next != null && i <= MOST_BETWEEN; i++) {
      switch (next.mnemonic()) {
        case "ret" -> {
          return newStackPointer(first, popped + wordBytes());
        }
        case "jmp" -> {
          return next.branchTarget().isPresent() ? null : newStackPointer(first, popped);
        }
        case "pop" -> popped += wordBytes();
        case "mov", "nop" -> {
          // Registers of the frame to which it goes.
        }
        default -> {
          return null;
        }
      }
      next = code.decode(text, next.nextAddress());
    }
    return null;
  }

  private @Nullable NonlocalExit newStackPointer(DecodedInstruction instruction, int popped) {
    if (!instruction.mnemonic().equals("mov")
        || !(instruction.operands().getFirst() instanceof Operand.OfRegister target
            && isStackPointer(target))) {
      return null;
    }
    return switch (instruction.operands().get(1)) {
      case Operand.OfRegister from -> from.register().gpr()
          // What has a frame pointer frees its own frame so.
          .filter(gpr -> gpr != Gpr.RBP && gpr != Gpr.RSP)
          .map(gpr -> new NonlocalExit(instruction.address(), gpr, false, 0, popped)).orElse(null);
      case Operand.OfMemory from when from.index().isEmpty() -> from.base().flatMap(Register::gpr)
          .map(gpr -> new NonlocalExit(instruction.address(), gpr, true, from.displacement(), popped))
          .orElse(null);
      default -> null;
    };
  }

  private boolean isStackPointer(Operand.OfRegister operand) {
    return operand.widthBits() == mode.widthBits() && operand.register().gpr().equals(Optional.of(Gpr.RSP));
  }

  private int wordBytes() {
    return mode == MachineMode.LONG_64 ? Long.BYTES : Integer.BYTES;
  }
}
