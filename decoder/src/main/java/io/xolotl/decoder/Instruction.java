package io.xolotl.decoder;

import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;

import org.jspecify.annotations.Nullable;

/**
 * A decoded instruction. Immutable, and safe to use from any thread.
 *
 * <p>Operands, and what follows from them, are decoded when first asked for. Two instructions are equal if
 * they have the same bytes at the same address, read in the same mode.
 */
public final class Instruction implements Decoding {

  private static final List<Encoding> ENCODINGS = List.of(Encoding.values());
  private static final List<BranchKind> BRANCH_KINDS = List.of(BranchKind.values());
  /** The prefixes that Zydis reports only where they repeat a string instruction. */
  private static final long REPEATED = Zydis.ZYDIS_ATTRIB_HAS_REP() | Zydis.ZYDIS_ATTRIB_HAS_REPE()
      | Zydis.ZYDIS_ATTRIB_HAS_REPNE();

  private final Decoder decoder;
  private final long address;
  private final long low;
  private final long high;
  private final long attributes;
  /** The displacement of a relative branch or a RIP-relative operand; an instruction never has both. */
  private final long target;
  private final int flagsRead;
  private final int flagsWritten;
  private final short mnemonic;
  private final short category;
  private final short isaSet;
  private final byte length;
  private final byte encoding;
  private final byte opcodeMap;
  private final byte opcode;
  private final byte operandWidth;
  private final byte addressWidth;
  private final byte branchKind;
  private final byte modrmReg;
  private final byte modrmOffset;
  /** Of REX, XOP, VEX or EVEX; -1 if there is none. */
  private final byte prefixOffset;
  private final byte displacementOffset;
  private final byte immediateOffset;
  private final boolean rexW;
  private final boolean ripRelative;
  private final boolean relativeBranch;

  /** Decoded when first asked for; safely published even by a race. */
  private @Nullable OperandList operands;

  /** Takes over what was decoded before the scratch is used again. */
  Instruction(Decoder decoder, Scratch scratch, long address) {
    this.decoder = decoder;
    this.address = address;
    length = scratch.instructionByte(ZydisStructs.LENGTH);
    low = scratch.input.get(ValueLayout.JAVA_LONG, 0) & lowMask(length);
    high = scratch.input.get(ValueLayout.JAVA_LONG, 8) & lowMask(length - 8);
    attributes = scratch.instructionLong(ZydisStructs.ATTRIBUTES);
    mnemonic = (short) scratch.instructionInt(ZydisStructs.MNEMONIC);
    category = (short) scratch.instructionInt(ZydisStructs.CATEGORY);
    isaSet = (short) scratch.instructionInt(ZydisStructs.ISA_SET);
    encoding = (byte) scratch.instructionInt(ZydisStructs.ENCODING);
    opcodeMap = (byte) scratch.instructionInt(ZydisStructs.OPCODE_MAP);
    opcode = scratch.instructionByte(ZydisStructs.OPCODE);
    operandWidth = scratch.instructionByte(ZydisStructs.OPERAND_WIDTH);
    addressWidth = scratch.instructionByte(ZydisStructs.ADDRESS_WIDTH);
    branchKind = (byte) scratch.instructionInt(ZydisStructs.BRANCH_TYPE);

    modrmReg = scratch.instructionByte(ZydisStructs.MODRM_REG);
    modrmOffset = NativeInstruction.modrmOffset(scratch);
    displacementOffset = NativeInstruction.displacementOffset(scratch);
    immediateOffset = NativeInstruction.immediateOffset(scratch);
    prefixOffset = NativeInstruction.prefixOffset(scratch);
    rexW = NativeInstruction.hasRexW(scratch);
    ripRelative = NativeInstruction.isRipRelative(scratch);
    relativeBranch = NativeInstruction.isRelativeBranch(scratch);
    target = NativeInstruction.target(scratch, address + length, decoder.mode());
    flagsRead = NativeInstruction.flagsRead(scratch);
    flagsWritten = NativeInstruction.flagsWritten(scratch);
  }

  private static long lowMask(int bytes) {
    return bytes <= 0 ? 0 : bytes >= 8 ? -1 : (1L << bytes * 8) - 1;
  }

  private boolean has(long attribute) {
    return (attributes & attribute) != 0;
  }

  @Override
  public long address() {
    return address;
  }

  /** Returns the number of bytes, 1 to 15. */
  @Override
  public int length() {
    return length;
  }

  /** Returns the address behind the instruction, from which relative operands count. */
  public long nextAddress() {
    return address + length;
  }

  @Override
  public byte[] bytes() {
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) byteAt(i);
    }
    return bytes;
  }

  /** Returns what the bytes are code for. */
  public MachineMode mode() {
    return decoder.mode();
  }

  /** Returns Zydis' name in lower case: {@code jnz}, not {@code jne}. */
  public String mnemonic() {
    return decoder.tables().mnemonics().get(mnemonic);
  }

  /** Returns Zydis' category in lower case, for instance {@code cond_br}. */
  public String category() {
    return decoder.tables().categories().get(category);
  }

  /**
   * Returns Zydis' name of the set of instructions this belongs to in lower case, for instance
   * {@code avx512f_512}.
   */
  public String isaSet() {
    return decoder.tables().isaSets().get(isaSet);
  }

  /** Returns how the instruction is encoded. */
  public Encoding encoding() {
    return ENCODINGS.get(encoding);
  }

  /** Returns whether it branches, and how far. */
  public BranchKind branchKind() {
    return BRANCH_KINDS.get(branchKind);
  }

  /** Returns the absolute target of a relative branch, also of {@code xbegin}. */
  public OptionalLong branchTarget() {
    return relativeBranch ? OptionalLong.of(target) : OptionalLong.empty();
  }

  /** Returns true if it has an operand relative to rip, or to eip. */
  public boolean isRipRelative() {
    return ripRelative;
  }

  /**
   * Returns the absolute address of the operand that is relative to rip, or to eip, which is below 4 GiB
   * then.
   */
  public OptionalLong ripRelativeTarget() {
    return ripRelative ? OptionalLong.of(target) : OptionalLong.empty();
  }

  /**
   * Returns at which byte of the instruction its displacement starts, for operands relative to rip and
   * others.
   */
  public OptionalInt displacementOffset() {
    return displacementOffset < 0 ? OptionalInt.empty() : OptionalInt.of(displacementOffset);
  }

  /**
   * Returns at which byte of the instruction its first immediate starts, also if that is a branch
   * displacement.
   */
  public OptionalInt immediateOffset() {
    return immediateOffset < 0 ? OptionalInt.empty() : OptionalInt.of(immediateOffset);
  }

  /** Returns how many bits an address has: 64, 32, or 16 in 32-bit code. */
  public int addressSize() {
    return addressWidth;
  }

  /** Returns how many bits an operand has, as the prefixes say: 8 to 64. */
  public int operandSize() {
    return operandWidth;
  }

  /**
   * Returns true if a rep prefix repeats this string instruction, so that the CPU may be interrupted in the
   * middle.
   */
  public boolean isRepeated() {
    return has(REPEATED);
  }

  /** Returns true if a lock prefix is in effect. */
  public boolean isLocked() {
    return has(Zydis.ZYDIS_ATTRIB_HAS_LOCK());
  }

  /**
   * Returns true if the instruction faults in user space according to Zydis, which misses some that depend on
   * IOPL.
   */
  public boolean isPrivileged() {
    return has(Zydis.ZYDIS_ATTRIB_IS_PRIVILEGED());
  }

  /** Returns the bits of rflags that the instruction tests. */
  public long flagsRead() {
    return flagsRead;
  }

  /** Returns the bits of rflags that the instruction changes, clears, sets, or leaves undefined. */
  public long flagsWritten() {
    return flagsWritten;
  }

  /** Returns all operands: first those of the text in the text's order, then the hidden ones. */
  public List<Operand> operands() {
    return operandList().all();
  }

  private OperandList operandList() {
    OperandList known = operands;
    if (known == null) {
      known = OperandList.of(decoder, this);
      operands = known;
    }
    return known;
  }

  /** Returns the registers that are read: explicitly, implicitly, hidden, or to compute an address. */
  public Set<Register> registersRead() {
    return operandList().registersRead();
  }

  /** Returns the registers that are written: explicitly, implicitly or hidden. */
  public Set<Register> registersWritten() {
    return operandList().registersWritten();
  }

  /**
   * Returns true if any part of a general register is an operand, of whatever visibility, or part of an
   * address.
   */
  public boolean uses(Gpr gpr) {
    return (gprMask() & 1 << gpr.index()) != 0;
  }

  /** Returns the instruction in Intel syntax, with absolute addresses. */
  public String text() {
    Scratch scratch = Scratch.take();
    try {
      decoder.decodeOperands(scratch, this);
      ZydisTables.requireSuccess(Zydis.ZydisFormatterFormatInstruction(decoder.tables().formatter(),
          scratch.instruction, scratch.operands, scratch.instructionByte(ZydisStructs.OPERAND_COUNT),
          scratch.text,
          scratch.text.byteSize(), address, MemorySegment.NULL));
      return scratch.text.getString(0);
    } finally {
      scratch.giveBack();
    }
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Instruction that && address == that.address && length == that.length
        && low == that.low
        && high == that.high && decoder.mode() == that.decoder.mode()
        && decoder.vendor() == that.decoder.vendor()
        && decoder.mpx() == that.decoder.mpx();
  }

  @Override
  public int hashCode() {
    return Long.hashCode(address * 31 + low * 17 + high);
  }

  @Override
  public String toString() {
    return "0x%x: %s".formatted(address, text());
  }

  // What the rules need beyond the API.

  Rule rule() {
    return decoder.tables().rules().get(mnemonic);
  }

  /** The target of a relative branch or of a RIP-relative operand. */
  long target() {
    return target;
  }

  boolean isRelativeBranch() {
    return relativeBranch;
  }

  boolean hasOperandSizePrefix() {
    return has(Zydis.ZYDIS_ATTRIB_HAS_OPERANDSIZE());
  }

  boolean hasRexW() {
    return rexW;
  }

  /** Returns true if the legacy encoding has a REX prefix with B. */
  boolean hasRexB() {
    return prefixOffset >= 0 && encoding == Encoding.LEGACY.ordinal() && (byteAt(prefixOffset) & 1) != 0;
  }

  /** Returns true if there is a prefix f2 or f3, which Zydis does not report where it means nothing. */
  boolean hasRepeatPrefix() {
    for (int i = 0; i < length; i++) {
      int prefix = byteAt(i);
      if (prefix == 0xf2 || prefix == 0xf3) {
        return true;
      }
      // Also a REX that another prefix follows, which makes it void.
      if (!Decoder.isLegacyPrefix(prefix) && (prefix & 0xf0) != 0x40) {
        return false;
      }
    }
    return false;
  }

  private int byteAt(int offset) {
    return (int) (offset < 8 ? low >>> 8 * offset : high >>> 8 * (offset - 8)) & 0xff;
  }

  /** Opcode map in the upper byte, opcode in the lower, as Zydis understood them. */
  int opcode() {
    return opcodeMap << 8 | Byte.toUnsignedInt(opcode);
  }

  /** Returns true if the modrm byte, if there is one, names a register for its second operand. */
  boolean isModrmRegister() {
    return modrmOffset >= 0 && byteAt(modrmOffset) >= 0xc0;
  }

  int modrmReg() {
    return modrmReg;
  }

  int modrmOffset() {
    return modrmOffset;
  }

  int prefixOffset() {
    return prefixOffset;
  }

  void loadInto(Scratch scratch) {
    scratch.load(low, high);
  }

  /** One bit for each general register of which a part is used. Allocates nothing. */
  int gprMask() {
    return OperandList.gprMask(decoder, this);
  }

  /** The first operand of the text, which every instruction that is asked for it has. */
  Operand firstOperand() {
    return operands().getFirst();
  }
}
