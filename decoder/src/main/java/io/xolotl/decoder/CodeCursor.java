package io.xolotl.decoder;

import io.xolotl.decoder.zydis.Zydis;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A place in code that moves from instruction to instruction, for those who look at very many and keep few:
 * it costs what Zydis costs, and allocates nothing. {@link #decoding} gives what is worth keeping.
 *
 * {@snippet :
 * CodeCursor cursor = Decoder.forThisCpu().cursor(code, address);
 * for (int offset = 0; offset < code.length; offset += cursor.length()) {
 *   cursor.moveTo(offset);
 *   counts[cursor.outcome(RelocationPolicy.FULL).ordinal()]++;
 * }
 * }
 *
 * <p>Used by one thread at a time.
 */
public final class CodeCursor {

  /** What a mnemonic means for the outcome, where that is decided without looking at operands. */
  private enum Usual {
    COPY, MOVE, NOP, PAUSE, BRANCH, PUSH, POP, LOAD_ADDRESS, FLAGS, SYSTEM_CALL, NEVER, NONE;

    static Usual of(Rule rule) {
      return switch (rule) {
        case Rule.Simple simple -> switch (simple) {
          case COPY -> COPY;
          case MOVE -> MOVE;
          case NOP -> NOP;
          case JUMP, CALL, RETURN -> BRANCH;
          case PUSH -> PUSH;
          case POP -> POP;
          case LOAD_ADDRESS -> LOAD_ADDRESS;
          case PAUSE -> PAUSE;
          case PUSH_FLAGS, POP_FLAGS -> FLAGS;
          case SYSCALL -> SYSTEM_CALL;
          case INTERRUPT -> NEVER;
        };
        case Rule.JumpIf _ -> BRANCH;
        case Rule.Never _ -> NEVER;
        case Rule.LoopIf _ -> NONE;
      };
    }
  }

  private static final int MOVE_TO_SEGMENT = 0x8e;
  private static final int PREFETCHES = 0x0d;
  /** push of an immediate. */
  private static final int PUSH_32 = 0x68;
  private static final int PUSH_8 = 0x6a;
  /** push of memory, or of a register in a longer way than usual. */
  private static final int PUSH_MEMORY = 0xff;

  private final Decoder decoder;
  private final MemorySegment code;
  private final long size;
  private final long zydis;
  private final long start;
  private final MemorySegment instruction;
  // What the function is passed.
  private final long codeAddress;
  private final long contextAddress;
  private final long instructionAddress;
  /** By a mnemonic's number. */
  private final Usual[] usuals;

  private long offset;
  private int length = 1;
  private int status = Zydis.ZYDIS_STATUS_NO_MORE_DATA();

  CodeCursor(Decoder decoder, MemorySegment code, long start) {
    this.decoder = decoder;
    this.start = start;
    Arena arena = Arena.ofAuto();
    // A copy of its own, which nobody can free while Zydis reads it.
    this.code = arena.allocate(code.byteSize()).copyFrom(code);
    size = code.byteSize();
    zydis = decoder.address();
    instruction = arena.allocate(ZydisStructs.INSTRUCTION_SIZE, Scratch.ALIGNMENT);
    codeAddress = this.code.address();
    // Alive as long as the arena is, which the other segments keep.
    contextAddress = arena.allocate(ZydisStructs.CONTEXT_SIZE, Scratch.ALIGNMENT).address();
    instructionAddress = instruction.address();
    usuals = decoder.tables().rules().stream()
        .map(rule -> decoder.mode() == MachineMode.LONG_64 ? Usual.of(rule) : Usual.NONE)
        .toArray(Usual[]::new);
  }

  /**
   * Decodes what is at an offset.
   *
   * @param newOffset where, from the beginning of the code
   * @return whether an instruction starts there
   * @throws IndexOutOfBoundsException if the offset is not within the code
   */
  public boolean moveTo(long newOffset) {
    long available = size - Objects.checkIndex(newOffset, size);
    offset = newOffset;
    try {
      status = ZydisCalls.decodeInstruction(zydis, contextAddress, codeAddress + newOffset,
          Math.min(available, Scratch.INPUT_SIZE), instructionAddress);
      length = status >= 0
          ? ZydisCalls.MEMORY.get(ValueLayout.JAVA_BYTE, instructionAddress + ZydisStructs.LENGTH)
          : 1;
    } finally {
      // The memory of the arena, and of the decoder, lives as long as this does.
      Reference.reachabilityFence(this);
    }
    return status >= 0;
  }

  /** Returns true if an instruction starts here. */
  public boolean isInstruction() {
    return status >= 0;
  }

  /** Returns the address of the first byte, unsigned. */
  public long address() {
    return start + offset;
  }

  /** Returns how many bytes this takes: 1 to 15; 1 if no instruction starts here. */
  public int length() {
    return length;
  }

  /** Returns what is here, to be kept: what {@link Decoder#decode} gives. */
  public Decoding decoding() {
    return decoder.decode(code, offset, address());
  }

  /**
   * Returns what happens to this out of line: what {@link Classification#of} gives for {@link #decoding}. For
   * all that compilers emit often this allocates nothing.
   *
   * @param policy whether copies may be changed
   */
  public Outcome outcome(RelocationPolicy policy) {
    Outcome usual = status >= 0 ? usual(policy) : null;
    return usual != null ? usual : Classification.of(decoding(), policy).outcome();
  }

  /**
   * Decides what needs no operands, which is nearly everything; null if this does not. MVEX does not occur:
   * Zydis' mode for it is off.
   */
  private @Nullable Outcome usual(RelocationPolicy policy) {
    return switch (usuals[intAt(ZydisStructs.MNEMONIC)]) {
      case COPY -> relocated(policy);
      case MOVE -> opcode() == MOVE_TO_SEGMENT ? null : relocated(policy);
      case NOP -> (opcode() & 0xff) == PREFETCHES ? null : Outcome.EMULATE;
      case PAUSE -> (attributes() & Zydis.ZYDIS_ATTRIB_HAS_REX()) == 0 ? Outcome.EMULATE : null;
      case FLAGS -> Outcome.EMULATE;
      case BRANCH -> hasUsualWidth() && intAt(ZydisStructs.BRANCH_TYPE) != Zydis.ZYDIS_BRANCH_TYPE_FAR()
          ? Outcome.EMULATE
          : null;
      case PUSH -> switch (opcode()) {
        case 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57 -> hasUsualWidth() ? Outcome.EMULATE : null;
        case PUSH_32, PUSH_8 -> relocated(policy);
        case PUSH_MEMORY -> mod() == 3 ? null : relocated(policy);
        default -> null;
      };
      case POP -> opcode() >= 0x58 && opcode() <= 0x5f ? Outcome.COPY : null;
      case LOAD_ADDRESS -> (attributes() & Zydis.ZYDIS_ATTRIB_IS_RELATIVE()) == 0
          ? Outcome.COPY
          : isRipRelative() ? Outcome.EMULATE : null;
      case SYSTEM_CALL -> Outcome.FIX_UP;
      case NEVER -> Outcome.REFUSE;
      case NONE -> null;
    };
  }

  private @Nullable Outcome relocated(RelocationPolicy policy) {
    long attributes = attributes() & (Zydis.ZYDIS_ATTRIB_IS_PRIVILEGED() | Zydis.ZYDIS_ATTRIB_IS_RELATIVE());
    if (attributes == 0) {
      return Outcome.COPY;
    }
    return attributes == Zydis.ZYDIS_ATTRIB_IS_RELATIVE() && isRipRelative()
        && instruction.get(ValueLayout.JAVA_BYTE, ZydisStructs.ADDRESS_WIDTH) == 64
            ? switch (policy) {
              case FULL -> Outcome.RE_DISPLACE;
              case STRICT -> Outcome.REFUSE;
            }
            : null;
  }

  /** Without the prefix that gives a branch or a push another width. */
  private boolean hasUsualWidth() {
    return (attributes() & Zydis.ZYDIS_ATTRIB_HAS_OPERANDSIZE()) == 0;
  }

  private boolean isRipRelative() {
    return (attributes() & Zydis.ZYDIS_ATTRIB_HAS_MODRM()) != 0
        && mod() == 0
        && instruction.get(ValueLayout.JAVA_BYTE, ZydisStructs.MODRM_RM) == 5;
  }

  private int mod() {
    return instruction.get(ValueLayout.JAVA_BYTE, ZydisStructs.MODRM_MOD);
  }

  private long attributes() {
    return instruction.get(ValueLayout.JAVA_LONG, ZydisStructs.ATTRIBUTES);
  }

  /** Opcode map in the upper byte, opcode in the lower. */
  private int opcode() {
    return intAt(ZydisStructs.OPCODE_MAP) << 8
        | Byte.toUnsignedInt(instruction.get(ValueLayout.JAVA_BYTE, ZydisStructs.OPCODE));
  }

  private int intAt(long field) {
    return instruction.get(ValueLayout.JAVA_INT, field);
  }
}
