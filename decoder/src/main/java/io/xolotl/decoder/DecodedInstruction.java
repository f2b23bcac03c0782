package io.xolotl.decoder;

import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.RawOperand;
import io.xolotl.decoder.tables.TableBackend;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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
public final class DecodedInstruction implements Decoding {

  private static final List<BranchKind> BRANCH_KINDS = List.of(BranchKind.values());
  private static final int REPEATED = Form.REP | Form.REPE | Form.REPNE;
  private static final int XOP_FIRST_MAP = 9;
  private static final int THREE_DNOW_MAP = 8;

  private final Decoder decoder;
  private final long address;
  // The bytes, the first of them lowest.
  private final long low;
  private final long high;
  private final long layout;
  private final Form form;

  /** Decoded when first asked for; safely published even by a race. */
  private @Nullable OperandList operands;

  DecodedInstruction(Decoder decoder, byte[] code, int offset, long layout, long address) {
    this.decoder = decoder;
    this.address = address;
    this.layout = layout;
    form = decoder.backend().form(code, offset, layout);
    int length = Layout.length(layout);
    if (offset <= code.length - Layout.MAX_LENGTH - 1) {
      // Costs nothing once compiled, and no method handle before that.
      ByteBuffer bytes = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
      low = bytes.getLong(offset) & lowMask(length);
      high = bytes.getLong(offset + 8) & lowMask(length - 8);
    } else {
      low = bytes(code, offset, Math.min(length, 8));
      high = bytes(code, offset + 8, length - 8);
    }
  }

  private static long bytes(byte[] code, int offset, int count) {
    long bytes = 0;
    for (int i = 0; i < count; i++) {
      bytes |= (code[offset + i] & 0xffL) << 8 * i;
    }
    return bytes;
  }

  private static long lowMask(int bytes) {
    return bytes <= 0 ? 0 : bytes >= 8 ? -1 : (1L << bytes * 8) - 1;
  }

  @Override
  public long address() {
    return address;
  }

  /** Returns the number of bytes, 1 to 15. */
  @Override
  public int length() {
    return Layout.length(layout);
  }

  /** Returns the address behind the instruction, from which relative operands count. */
  public long nextAddress() {
    return address + length();
  }

  @Override
  public byte[] bytes() {
    byte[] bytes = new byte[length()];
    for (int i = 0; i < bytes.length; i++) {
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
    return decoder.names().mnemonics().get(form.mnemonic());
  }

  /** Returns Zydis' category in lower case, for instance {@code cond_br}. */
  public String category() {
    return decoder.names().categories().get(form.category());
  }

  /**
   * Returns Zydis' name of the set of instructions this belongs to in lower case, for instance
   * {@code avx512f_512}.
   */
  public String isaSet() {
    return decoder.names().isaSets().get(form.isaSet());
  }

  /** Returns how the instruction is encoded. */
  public Encoding encoding() {
    int space = Layout.space(layout);
    return space < Layout.THREE_DNOW
        ? Encoding.LEGACY
        : space < Layout.XOP
            ? Encoding.THREE_DNOW
            : space < Layout.VEX ? Encoding.XOP : space < Layout.EVEX ? Encoding.VEX : Encoding.EVEX;
  }

  /** Returns whether it branches, and how far. */
  public BranchKind branchKind() {
    return BRANCH_KINDS.get(form.branchKind());
  }

  /** Returns the absolute target of a relative branch, also of {@code xbegin}. */
  public OptionalLong branchTarget() {
    return isRelativeBranch() ? OptionalLong.of(target()) : OptionalLong.empty();
  }

  /** Returns true if it has an operand relative to rip, or to eip. */
  public boolean isRipRelative() {
    return isRipRelative(decoder.mode(), layout, modrm());
  }

  private static boolean isRipRelative(MachineMode mode, long layout, int modrm) {
    // mod 0 with rm 5 (Intel SDM, volume 2, table 2-7); some encodings have registers there all the same.
    return mode == MachineMode.LONG_64 && Layout.modrmOffset(layout) != 0 && (modrm & 0xc7) == 0x05
        && Layout.displacementSize(layout) != 0;
  }

  /** The same of an instruction that is in some code. */
  static boolean isRipRelative(MachineMode mode, byte[] code, int offset, long layout) {
    return isRipRelative(mode, layout, code[offset + Layout.modrmOffset(layout)]);
  }

  /**
   * Returns the absolute address of the operand that is relative to rip, or to eip, which is below 4 GiB
   * then.
   */
  public OptionalLong ripRelativeTarget() {
    return isRipRelative() ? OptionalLong.of(target()) : OptionalLong.empty();
  }

  /**
   * Returns at which byte of the instruction its displacement starts, for operands relative to rip and
   * others.
   */
  public OptionalInt displacementOffset() {
    return offset(Layout.displacementOffset(layout));
  }

  /**
   * Returns at which byte of the instruction its first immediate starts, also if that is a branch
   * displacement.
   */
  public OptionalInt immediateOffset() {
    return offset(Layout.immediateOffset(layout));
  }

  private static OptionalInt offset(int offset) {
    return offset == 0 ? OptionalInt.empty() : OptionalInt.of(offset);
  }

  /** Returns how many bits an address has: 64, 32, or 16 in 32-bit code. */
  public int addressSize() {
    return Layout.addressSize(layout);
  }

  /** Returns how many bits an operand has, as the prefixes say: 8 to 64. */
  public int operandSize() {
    return form.operandWidth();
  }

  /**
   * Returns true if a rep prefix repeats this string instruction, so that the CPU may be interrupted in the
   * middle.
   */
  public boolean isRepeated() {
    return form.has(REPEATED);
  }

  /** Returns true if a lock prefix is in effect. */
  public boolean isLocked() {
    return form.has(Form.LOCK);
  }

  /**
   * Returns true if the instruction faults in user space according to Zydis, which misses some that depend on
   * IOPL.
   */
  public boolean isPrivileged() {
    return form.has(Form.PRIVILEGED);
  }

  /** Returns the bits of rflags that the instruction tests. */
  public long flagsRead() {
    return form.flagsRead();
  }

  /** Returns the bits of rflags that the instruction changes, clears, sets, or leaves undefined. */
  public long flagsWritten() {
    return form.flagsWritten();
  }

  /** Returns all operands: first those of the text in the text's order, then the hidden ones. */
  public List<Operand> operands() {
    return operandList().all();
  }

  private OperandList operandList() {
    OperandList known = operands;
    if (known == null) {
      known = OperandList.of(decoder, rawOperands());
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
    return decoder.backend().text(bytes(), 0, layout, address);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof DecodedInstruction that && address == that.address && length() == that.length()
        && low == that.low && high == that.high && decoder.mode() == that.decoder.mode()
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
    return decoder.rule(form.mnemonic());
  }

  /** The target of a relative branch or of a RIP-relative operand. */
  long target() {
    if (isRipRelative()) {
      return cut(nextAddress() + signed(Layout.displacementOffset(layout), Layout.displacementSize(layout)),
          addressSize());
    }
    if (isRelativeBranch()) {
      // The displacement of a branch is the last thing in it.
      int start = Layout.immediateOffset(layout);
      return cut(nextAddress() + signed(start, length() - start), branchWidth());
    }
    return 0;
  }

  /**
   * How many bits of rip a relative branch writes; xbegin, which is none by Zydis, says 32 but means them
   * all.
   */
  private int branchWidth() {
    return form.branchKind() != 0 && form.operandWidth() == 16 ? 16 : mode().widthBits();
  }

  private static long cut(long value, int bits) {
    return bits == 64 ? value : value & (1L << bits) - 1;
  }

  private long signed(int start, int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (long) byteAt(start + i) << 8 * i;
    }
    return value << 64 - 8 * size >> 64 - 8 * size;
  }

  boolean isRelativeBranch() {
    return form.relativeImmediate();
  }

  boolean hasOperandSizePrefix() {
    return form.has(Form.OPERAND_SIZE);
  }

  /** Returns true if the legacy encoding has a REX prefix with W. */
  boolean hasRexW() {
    return (rex() & 8) != 0;
  }

  /** Returns true if the legacy encoding has a REX prefix with B. */
  boolean hasRexB() {
    return (rex() & 1) != 0;
  }

  private int rex() {
    int prefix = prefixOffset();
    return prefix >= 0 && encoding() == Encoding.LEGACY ? byteAt(prefix) : 0;
  }

  /** Returns true if there is a prefix f2 or f3, which Zydis does not report where it means nothing. */
  boolean hasRepeatPrefix() {
    for (int i = 0; i < length(); i++) {
      int prefix = byteAt(i);
      if (prefix == 0xf2 || prefix == 0xf3) {
        return true;
      }
      // Also a REX that another prefix follows, which makes it void.
      if (!TableBackend.isPrefix(prefix) && (prefix & 0xf0) != 0x40) {
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
    int space = Layout.space(layout);
    int map = switch (encoding()) {
      case LEGACY -> space;
      case THREE_DNOW -> THREE_DNOW_MAP;
      case XOP -> space - Layout.XOP + XOP_FIRST_MAP;
      case VEX -> space - Layout.VEX;
      case EVEX -> space - Layout.EVEX;
    };
    return map << 8 | byteAt(Layout.opcodeOffset(layout));
  }

  /** Returns true if the modrm byte, if there is one, names a register for its second operand. */
  boolean isModrmRegister() {
    return Layout.modrmOffset(layout) != 0 && modrm() >= 0xc0;
  }

  private int modrm() {
    return byteAt(Layout.modrmOffset(layout));
  }

  /** The reg of the modrm byte, without what extends it. */
  int modrmReg() {
    return modrm() >> 3 & 7;
  }

  int modrmOffset() {
    return Layout.modrmOffset(layout);
  }

  /** Where REX, XOP, VEX or EVEX is; -1 if there is none. */
  int prefixOffset() {
    return Layout.prefixOffset(layout);
  }

  /** One bit for each general register of which a part is used. */
  int gprMask() {
    return decoder.backend().generalMask(bytes(), 0, layout);
  }

  List<RawOperand> rawOperands() {
    return decoder.backend().operands(bytes(), 0, layout);
  }

  /** The first operand of the text, which every instruction that is asked for it has. */
  Operand firstOperand() {
    return operands().getFirst();
  }
}
