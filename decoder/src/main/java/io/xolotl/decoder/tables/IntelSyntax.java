package io.xolotl.decoder.tables;

import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.Names.RegisterName;
import io.xolotl.decoder.backend.RawOperand;
import java.util.List;
import java.util.Locale;

/** Writes an instruction in Intel syntax, as Zydis' formatter does by default: with absolute addresses. */
public final class IntelSyntax {

  // The bits of a form's text: what nobody but this class needs.

  /** The number of EVEX' broadcast, that of ZydisBroadcastMode: 4 bits from here. */
  public static final int BROADCAST = 0;
  /** The rounding mode, that of ZydisRoundingMode: 3 bits from here. */
  public static final int ROUNDING = 4;
  /** Exceptions are suppressed. */
  public static final int SUPPRESSED = 1 << 7;
  /** A far branch. */
  public static final int FAR = 1 << 8;
  /** Prefix f2 says bnd. */
  public static final int BND = 1 << 9;
  /** Prefix f2 says xacquire. */
  public static final int XACQUIRE = 1 << 10;
  /** Prefix f3 says xrelease. */
  public static final int XRELEASE = 1 << 11;

  private static final List<String> BROADCASTS = List.of("", " {1to2}", " {1to4}", " {1to8}", " {1to16}",
      " {1to32}", " {1to64}", " {2to4}", " {2to8}", " {2to16}", " {4to8}", " {4to16}", " {8to16}");
  private static final List<String> ROUNDINGS = List.of("", "rn", "rd", "ru", "rz");

  private static final int HIDDEN = 3;
  private static final int NEAR = 2;

  private final StringBuilder text = new StringBuilder(48);
  private final Tables tables;
  private final TableOperands operands;
  private final List<RegisterName> registers;
  private final boolean mode64;
  private final byte[] code;
  private final int offset;
  private final long layout;
  private final long next;
  private final int form;
  private final int count;

  private IntelSyntax(Tables tables, TableOperands operands, Names names, boolean mode64, byte[] code,
      int offset, long layout, long address) {
    this.tables = tables;
    this.operands = operands;
    registers = names.registers();
    this.mode64 = mode64;
    this.code = code;
    this.offset = offset;
    this.layout = layout;
    next = address + Layout.length(layout);
    form = Layout.form(layout);
    count = operands.count(layout);
  }

  static String text(Tables tables, TableOperands operands, Names names, boolean mode64, byte[] code,
      int offset, long layout, long address) {
    var syntax = new IntelSyntax(tables, operands, names, mode64, code, offset, layout, address);
    syntax.prefixes();
    syntax.text.append(names.mnemonics().get(tables.mnemonics()[syntax.form]));
    syntax.operands();
    return syntax.text.toString();
  }

  private boolean has(int bit) {
    return (tables.texts()[form] & bit) != 0;
  }

  private void prefixes() {
    if (has(XACQUIRE)) {
      text.append("xacquire ");
    }
    if (has(XRELEASE)) {
      text.append("xrelease ");
    }
    int attributes = tables.attributes()[form];
    if ((attributes & Form.LOCK) != 0) {
      text.append("lock ");
    } else if ((attributes & Form.REP) != 0) {
      text.append("rep ");
    } else if ((attributes & Form.REPE) != 0) {
      text.append("repe ");
    } else if ((attributes & Form.REPNE) != 0) {
      text.append("repne ");
    } else if (has(BND)) {
      text.append("bnd ");
    }
    if (isShownUntracked()) {
      text.append("notrack ");
    }
  }

  /** Zydis also shows the prefix in front of far branches, which are never tracked. */
  private boolean isShownUntracked() {
    int opcode = code[offset + Layout.opcodeOffset(layout)] & 0xff;
    return Layout.notrack(layout) && (Layout.segment(layout) == 0 || !mode64)
        && Layout.space(layout) == Layout.LEGACY
        && (opcode == 0xff && tables.branchKinds()[form] == NEAR || opcode == 0xea || opcode == 0x9a);
  }

  private void operands() {
    if (has(FAR)) {
      text.append(" far");
    }
    boolean rounded = false;
    String separator = " ";
    for (int i = 0; i < count; i++) {
      long operand = operands.code(layout, i);
      if (OperandCode.visibility(operand) == HIDDEN) {
        break;
      }
      if (i == 1 && OperandCode.isRegister(operand, OperandCode.MASK)) {
        continue;
      }
      text.append(separator);
      separator = ", ";
      RawOperand raw = operands.of(code, offset, layout).get(i);
      operand(raw, i);
      if (Layout.space(layout) < Layout.EVEX) {
        continue;
      }
      if (i == 0 && count > 1 && OperandCode.isRegister(operands.code(layout, 1), OperandCode.MASK)) {
        mask();
      }
      if (raw.kind() == RawOperand.MEMORY) {
        text.append(BROADCASTS.get(tables.texts()[form] >> BROADCAST & 15));
      } else if (!rounded && isLastRegister(i)) {
        rounded = true;
        rounding();
      }
    }
  }

  private void operand(RawOperand raw, int index) {
    switch (raw.kind()) {
      case RawOperand.REGISTER -> text.append(registers.get(raw.register()).name());
      case RawOperand.MEMORY -> memory(raw, index);
      case RawOperand.POINTER -> {
        int size = operands.immediateSize(layout, 0);
        hex(raw.selector(), 4);
        text.append(':');
        hex(raw.value() & (size == 2 ? 0xffff : 0xffff_ffffL), size * 2);
      }
      default -> immediate(raw);
    }
  }

  private void immediate(RawOperand raw) {
    int width = tables.operandWidths()[form] & 0xff;
    if (raw.relative()) {
      long target = next + raw.value();
      absolute(width == 16 && tables.branchKinds()[form] != 0 && !mode64 ? target & 0xffff : target);
    } else {
      hex(width == 64 || width == 0 ? raw.value() : raw.value() & (1L << width) - 1, 2);
    }
  }

  private void mask() {
    int number = TableOperands.mask(code, offset, layout);
    if (number != 0) {
      text.append(" {k").append(number).append('}');
      if (code[offset + Layout.prefixOffset(layout) + 3] < 0) {
        text.append(" {z}");
      }
    }
  }

  /** Returns true if nothing but numbers and hidden operands follow, so that the rounding stands here. */
  private boolean isLastRegister(int index) {
    if (index == count - 1) {
      return true;
    }
    long following = operands.code(layout, index + 1);
    return OperandCode.how(following) >= OperandCode.IMMEDIATE || OperandCode.visibility(following) == HIDDEN;
  }

  private void rounding() {
    int rounding = tables.texts()[form] >> ROUNDING & 7;
    if (rounding != 0) {
      text.append(" {").append(ROUNDINGS.get(rounding)).append(has(SUPPRESSED) ? "-sae}" : "}");
    } else if (has(SUPPRESSED)) {
      text.append(" {sae}");
    }
  }

  private void memory(RawOperand memory, int index) {
    boolean accessed = memory.memoryKind() == RawOperand.PLAIN || memory.memoryKind() == RawOperand.VSIB;
    if (accessed && needsSize(memory.width(), index)) {
      text.append(size(memory.width()));
    }
    segment(memory);
    text.append('[');
    String base = registers.get(memory.base()).name();
    boolean relative = memory.base() != 0 && (base.equals("rip") || base.equals("eip"));
    if (memory.index() == 0 && (memory.base() == 0 || relative)) {
      absolute(memory.displacement() + (relative ? next : 0));
    } else {
      if (memory.base() != 0) {
        text.append(base);
      }
      if (memory.index() != 0) {
        text.append(memory.base() != 0 ? "+" : "").append(registers.get(memory.index()).name());
        if (memory.memoryKind() != RawOperand.MIB) {
          text.append('*').append(memory.scale());
        }
      }
      if (memory.displacement() != 0) {
        text.append(memory.displacement() < 0 ? '-' : '+');
        hex(Math.abs(memory.displacement()), 2);
      }
    }
    text.append(']');
  }

  /** Returns true if the other operand does not tell how wide the memory is. */
  private boolean needsSize(int width, int index) {
    if (index == 0) {
      if (count == 1) {
        return false;
      }
      long other = operands.code(layout, 1);
      return OperandCode.visibility(other) != HIDDEN
          && (OperandCode.how(other) >= OperandCode.IMMEDIATE || OperandCode.width(other) != width
              || isShiftCount(other));
    }
    return index <= 2 && OperandCode.width(operands.code(layout, index - 1)) != width;
  }

  private boolean isShiftCount(long operand) {
    return OperandCode.how(operand) == OperandCode.FIXED_REGISTER && OperandCode.visibility(operand) == 2
        && registers.get(OperandCode.fixedRegisterOf(operand)).name().equals("cl");
  }

  private static String size(int bits) {
    return switch (bits) {
      case 8 -> "byte ptr ";
      case 16 -> "word ptr ";
      case 32 -> "dword ptr ";
      case 48 -> "fword ptr ";
      case 64 -> "qword ptr ";
      case 80 -> "tbyte ptr ";
      case 128 -> "xmmword ptr ";
      case 256 -> "ymmword ptr ";
      case 512 -> "zmmword ptr ";
      default -> "";
    };
  }

  private void segment(RawOperand memory) {
    String segment = registers.get(memory.segment()).name();
    boolean usual = segment.equals("ds") || segment.equals("ss");
    int prefix = Layout.segment(layout);
    boolean said = prefix != 0 && memory.memoryKind() != RawOperand.ADDRESS_ONLY && !mode64
        && !operands.isUntracked(code, offset, layout) && memory.segment() == operands.segment(prefix - 1);
    if (!usual || said) {
      text.append(segment).append(':');
    }
  }

  /** As wide as an address of the instruction is, which for a branch means nothing else. */
  private void absolute(long address) {
    int width = Layout.addressSize(layout);
    hex(width == 64 ? address : address & (1L << width) - 1, width / 4);
  }

  private void hex(long value, int digits) {
    String hex = Long.toHexString(value).toUpperCase(Locale.ROOT);
    text.append("0x").repeat('0', Math.max(0, digits - hex.length())).append(hex);
  }
}
