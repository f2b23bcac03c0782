package io.xolotl.decoder.tables;

import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.RawOperand;
import java.util.ArrayList;
import java.util.List;

/** Finds the operands of an instruction among its bytes, as the list of its form says. */
final class TableOperands {

  /** Set in a mask that has been computed. */
  private static final int KNOWN = 1 << 31;
  // Above the 16 general registers of a mask: what names more of them.
  private static final int BY_REG = 1 << 16;
  private static final int BY_RM = 1 << 17;
  private static final int BY_OPCODE = 1 << 18;
  private static final int BY_VVVV = 1 << 19;
  private static final int BY_ADDRESS = 1 << 20;
  /** reg, rm and the opcode name registers of 8 bits, of which some are halves of others. */
  private static final int REG_OF_8 = 1 << 21;
  private static final int RM_OF_8 = 1 << 22;
  private static final int OPCODE_OF_8 = 1 << 23;

  // Numbers of segment registers in their class.
  private static final int SS = 2;
  private static final int DS = 3;

  private static final int RSP = 4;
  private static final int RBP = 5;
  private static final int NEAR = 2;
  private static final int NOT_THERE = -1;

  // 16-bit addressing (Intel SDM, volume 2, table 2-1), by rm.
  private static final int[] BASE_16 = {3, 3, 5, 5, 6, 7, 5, 3};
  private static final int[] INDEX_16 = {6, 7, 6, 7, NOT_THERE, NOT_THERE, NOT_THERE, NOT_THERE};

  private final boolean mode64;
  private final Tables tables;
  private final Names names;
  private final RegisterClass classes;
  private final int rip;
  private final int eip;
  /** By list: which general registers it names, once it was asked for. A race computes the same. */
  private final int[] masks;

  TableOperands(boolean mode64, Tables tables, Names names, RegisterClass classes) {
    this.mode64 = mode64;
    this.tables = tables;
    this.names = names;
    this.classes = classes;
    rip = number("rip");
    eip = number("eip");
    masks = new int[tables.listStarts().length];
  }

  private int number(String register) {
    for (int i = 0; i < names.registers().size(); i++) {
      if (names.registers().get(i).name().equals(register)) {
        return i;
      }
    }
    throw new IllegalStateException("Xolotl's jar is damaged: its names lack " + register);
  }

  // The bits that extend the fields of modrm, and vvvv. In REX they are as they are, elsewhere inverted.

  private static int r(byte[] code, int offset, long layout) {
    int prefix = Layout.prefixOffset(layout);
    int space = Layout.space(layout);
    if (prefix < 0) {
      return 0;
    }
    if (space < Layout.XOP) {
      return code[offset + prefix] >> 2 & 1;
    }
    int p0 = code[offset + prefix + 1];
    return ~p0 >> 7 & 1 | (space >= Layout.EVEX ? (~p0 >> 4 & 1) << 1 : 0);
  }

  private static int x(byte[] code, int offset, long layout) {
    int prefix = Layout.prefixOffset(layout);
    if (prefix < 0) {
      return 0;
    }
    if (Layout.space(layout) < Layout.XOP) {
      return code[offset + prefix] >> 1 & 1;
    }
    return hasTwoBytes(code, offset, prefix) ? 0 : ~code[offset + prefix + 1] >> 6 & 1;
  }

  private static int b(byte[] code, int offset, long layout) {
    int prefix = Layout.prefixOffset(layout);
    if (prefix < 0) {
      return 0;
    }
    if (Layout.space(layout) < Layout.XOP) {
      return code[offset + prefix] & 1;
    }
    return hasTwoBytes(code, offset, prefix) ? 0 : ~code[offset + prefix + 1] >> 5 & 1;
  }

  private static int vvvv(byte[] code, int offset, long layout) {
    int prefix = Layout.prefixOffset(layout);
    int space = Layout.space(layout);
    if (prefix < 0 || space < Layout.XOP) {
      return 0;
    }
    int v = ~code[offset + prefix + (hasTwoBytes(code, offset, prefix) ? 1 : 2)] >> 3 & 15;
    return space >= Layout.EVEX ? v | (~code[offset + prefix + 3] >> 3 & 1) << 4 : v;
  }

  private static boolean hasTwoBytes(byte[] code, int offset, int prefix) {
    return code[offset + prefix] == (byte) 0xc5;
  }

  /** Number of EVEX' mask register. */
  static int mask(byte[] code, int offset, long layout) {
    return code[offset + Layout.prefixOffset(layout) + 3] & 7;
  }

  static int modrm(byte[] code, int offset, long layout) {
    return code[offset + Layout.modrmOffset(layout)] & 0xff;
  }

  private static int opcode(byte[] code, int offset, long layout) {
    return code[offset + Layout.opcodeOffset(layout)] & 0xff;
  }

  private static boolean isEvex(long layout) {
    return Layout.space(layout) >= Layout.EVEX;
  }

  private static long signed(byte[] code, int start, int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (code[start + i] & 0xffL) << 8 * i;
    }
    return size == 0 ? 0 : value << 64 - 8 * size >> 64 - 8 * size;
  }

  private static long displacement(byte[] code, int offset, long layout) {
    return signed(code, offset + Layout.displacementOffset(layout), Layout.displacementSize(layout));
  }

  /** Bytes of the first immediate, or of the second. */
  int immediateSize(long layout, int which) {
    return tables.info()[Layout.form(layout)] >> (which == 0 ? Tables.FIRST_BYTES : Tables.SECOND_BYTES) & 15;
  }

  private long immediate(byte[] code, int offset, long layout, int which) {
    int size = immediateSize(layout, which);
    int start = offset + Layout.immediateOffset(layout) + (which == 0 ? 0 : immediateSize(layout, 0));
    long value = signed(code, start, size);
    int signs = which == 0
        ? Tables.FIRST_SIGNED | Tables.FIRST_RELATIVE
        : Tables.SECOND_SIGNED | Tables.SECOND_RELATIVE;
    boolean unsigned = (tables.info()[Layout.form(layout)] & signs) == 0;
    return unsigned && size > 0 && size < 8 ? value & (1L << 8 * size) - 1 : value;
  }

  private int list(long layout) {
    return tables.lists()[Layout.form(layout)];
  }

  /** How many operands there are. */
  int count(long layout) {
    return tables.listItems()[tables.listStarts()[list(layout)]];
  }

  /** An {@link OperandCode}. */
  long code(long layout, int index) {
    return tables.operands()[tables.listItems()[tables.listStarts()[list(layout)] + 1 + index]];
  }

  List<RawOperand> of(byte[] code, int offset, long layout) {
    int count = count(layout);
    var operands = new ArrayList<RawOperand>(count);
    for (int i = 0; i < count; i++) {
      operands.add(operand(code, offset, layout, code(layout, i)));
    }
    return operands;
  }

  private RawOperand operand(byte[] code, int offset, long layout, long operand) {
    return switch (OperandCode.how(operand)) {
      case OperandCode.FIXED_REGISTER -> register(operand, OperandCode.fixedRegisterOf(operand));
      case OperandCode.REGISTER -> register(operand, registerByField(code, offset, layout, operand));
      case OperandCode.MEMORY -> memory(code, offset, layout, operand);
      case OperandCode.FIXED_MEMORY -> {
        int base = OperandCode.base(operand);
        if (OperandCode.addressWide(operand)) {
          base += general(Layout.addressSize(layout));
        }
        int segment = OperandCode.segment(operand);
        yield memory(operand, OperandCode.overridable(operand) ? segment(layout, segment) : segment(segment),
            base, OperandCode.index(operand), OperandCode.scale(operand), 0);
      }
      case OperandCode.MOFFS ->
        memory(operand, segment(layout, DS), 0, 0, 0, displacement(code, offset, layout));
      case OperandCode.IMMEDIATE -> {
        long value = immediate(code, offset, layout, OperandCode.which(operand));
        yield number(operand, OperandCode.lowerHalf(operand) ? value & 15 : value,
            OperandCode.relative(operand));
      }
      case OperandCode.CONSTANT -> number(operand, OperandCode.constantOf(operand), false);
      default -> new RawOperand(RawOperand.POINTER, OperandCode.visibility(operand),
          OperandCode.actions(operand), OperandCode.width(operand), 0, 0, 0, 0, 0, 0, 0,
          immediate(code, offset, layout, 0), false, (int) immediate(code, offset, layout, 1) & 0xffff);
    };
  }

  private static RawOperand register(long operand, int register) {
    return new RawOperand(RawOperand.REGISTER, OperandCode.visibility(operand), OperandCode.actions(operand),
        OperandCode.width(operand), register, 0, 0, 0, 0, 0, 0, 0, false, 0);
  }

  private static RawOperand number(long operand, long value, boolean relative) {
    return new RawOperand(RawOperand.IMMEDIATE, OperandCode.visibility(operand), OperandCode.actions(operand),
        OperandCode.width(operand), 0, 0, 0, 0, 0, 0, 0, value, relative, 0);
  }

  private static RawOperand memory(long operand, int segment, int base, int index, int scale,
      long displacement) {
    return new RawOperand(RawOperand.MEMORY, OperandCode.visibility(operand), OperandCode.actions(operand),
        OperandCode.width(operand), 0, OperandCode.memoryKind(operand), segment, base, index, scale,
        displacement, 0, false, 0);
  }

  private int registerByField(byte[] code, int offset, long layout, long operand) {
    int registerClass = OperandCode.registerClass(operand);
    boolean vector = registerClass >= RegisterClass.XMM && registerClass <= RegisterClass.ZMM;
    int number = switch (OperandCode.field(operand)) {
      case OperandCode.REG -> reg(code, offset, layout);
      case OperandCode.RM -> modrm(code, offset, layout) & 7 | b(code, offset, layout) << 3
          | (vector && isEvex(layout) ? x(code, offset, layout) << 4 : 0);
      case OperandCode.OPCODE -> opcode(code, offset, layout) & 7 | b(code, offset, layout) << 3;
      case OperandCode.VVVV -> vvvv(code, offset, layout);
      case OperandCode.IS4 -> (code[offset + Layout.immediateOffset(layout)] & 0xff) >> 4;
      default -> mask(code, offset, layout);
    };
    number &= RegisterClass.MASK[registerClass];
    if (!mode64) {
      number &= 7;
    }
    boolean spl = number >= 8 || number >= 4 && hasNoHighBytes(layout);
    return classes.first(registerClass) + number + (registerClass == RegisterClass.GENERAL_8 && spl ? 4 : 0);
  }

  private static int reg(byte[] code, int offset, long layout) {
    int r = r(code, offset, layout);
    return modrm(code, offset, layout) >> 3 & 7 | (r & 1) << 3 | r >> 1 << 4;
  }

  /** Under REX, VEX and the like 4 to 7 are spl to dil, else ah to bh (Intel SDM, volume 2, 3.1.1.1). */
  private static boolean hasNoHighBytes(long layout) {
    return Layout.prefixOffset(layout) >= 0;
  }

  private int general(int width) {
    return classes.first(width == 64
        ? RegisterClass.GENERAL_64
        : width == 32 ? RegisterClass.GENERAL_64 - 1 : RegisterClass.GENERAL_16);
  }

  int segment(int number) {
    return classes.first(RegisterClass.SEGMENT) + number;
  }

  private int segment(long layout, int byDefault) {
    int prefix = Layout.segment(layout);
    return segment(prefix != 0 ? prefix - 1 : byDefault);
  }

  /**
   * Prefix 3e in front of a near indirect branch says that it is not tracked (CET), and is no segment prefix.
   */
  boolean isUntracked(byte[] code, int offset, long layout) {
    return Layout.notrack(layout) && opcode(code, offset, layout) == 0xff
        && Layout.space(layout) == Layout.LEGACY && tables.branchKinds()[Layout.form(layout)] == NEAR;
  }

  private RawOperand memory(byte[] code, int offset, long layout, long operand) {
    int modrm = modrm(code, offset, layout);
    int mod = modrm >> 6;
    int rm = modrm & 7;
    int width = Layout.addressSize(layout);
    int base = 0;
    int index = 0;
    int scale = 0;
    boolean stack = false;
    if (width == 16) {
      if (mod != 0 || rm != 6) {
        base = general(16) + BASE_16[rm];
        stack = BASE_16[rm] == RBP;
        if (INDEX_16[rm] != NOT_THERE) {
          index = general(16) + INDEX_16[rm];
          scale = 1;
        }
      }
    } else {
      int number = baseNumber(code, offset, layout);
      if (number != NOT_THERE) {
        base = general(width) + number;
        stack = number == RSP || number == RBP;
      } else if (rm == 5 && mode64) {
        base = width == 64 ? rip : eip;
      }
      if (rm == 4) {
        int sib = code[offset + Layout.modrmOffset(layout) + 1] & 0xff;
        int i = sib >> 3 & 7 | (mode64 ? x(code, offset, layout) << 3 : 0);
        int vectors = OperandCode.registerClass(operand);
        if (vectors != 0) {
          i |= isEvex(layout) ? vvvv(code, offset, layout) & 16 : 0;
          index = classes.first(vectors) + (mode64 ? i : i & 7);
        } else if (i != RSP) {
          index = general(width) + i;
        }
        scale = index == 0 ? 0 : 1 << (sib >> 6);
      }
    }
    long displacement = displacement(code, offset, layout);
    if (mod == 1 && isEvex(layout)) {
      displacement <<= tables.info()[Layout.form(layout)] >> Tables.SCALE & 7;
    }
    int byDefault = stack ? SS : DS;
    boolean fixedSegment = OperandCode.memoryKind(operand) == RawOperand.ADDRESS_ONLY
        || Layout.segment(layout) == DS + 1 && isUntracked(code, offset, layout);
    return memory(operand, fixedSegment ? segment(byDefault) : segment(layout, byDefault), base, index, scale,
        displacement);
  }

  /** The base of an address of 32 or 64 bits; none where there is only a displacement. */
  private int baseNumber(byte[] code, int offset, long layout) {
    int modrm = modrm(code, offset, layout);
    int mod = modrm >> 6;
    int number = modrm & 7;
    if (number == 4) {
      number = code[offset + Layout.modrmOffset(layout) + 1] & 7;
    }
    return mod == 0 && number == 5 ? NOT_THERE : number | (mode64 ? b(code, offset, layout) << 3 : 0);
  }

  /** One bit for each general register of which a part is an operand, or part of an address. */
  int generalMask(byte[] code, int offset, long layout) {
    int list = list(layout);
    int named = masks[list];
    if (named == 0) {
      named = namedBy(layout) | KNOWN;
      masks[list] = named;
    }
    int mask = named & 0xffff;
    if ((named & BY_REG) != 0) {
      mask |= bit(reg(code, offset, layout), (named & REG_OF_8) != 0, layout);
    }
    if ((named & BY_RM) != 0) {
      mask |= bit(modrm(code, offset, layout) & 7 | b(code, offset, layout) << 3, (named & RM_OF_8) != 0,
          layout);
    }
    if ((named & BY_OPCODE) != 0) {
      mask |= bit(opcode(code, offset, layout) & 7 | b(code, offset, layout) << 3, (named & OPCODE_OF_8) != 0,
          layout);
    }
    if ((named & BY_VVVV) != 0) {
      mask |= bit(vvvv(code, offset, layout), false, layout);
    }
    return (named & BY_ADDRESS) != 0 ? mask | addressMask(code, offset, layout) : mask;
  }

  private int bit(int number, boolean of8, long layout) {
    int n = number & (mode64 ? 15 : 7);
    return 1 << (of8 && n >= 4 && n < 8 && !hasNoHighBytes(layout) ? n - 4 : n);
  }

  private int addressMask(byte[] code, int offset, long layout) {
    int modrm = modrm(code, offset, layout);
    int rm = modrm & 7;
    if (Layout.addressSize(layout) == 16) {
      boolean absolute = modrm < 0x40 && rm == 6;
      return absolute ? 0 : 1 << BASE_16[rm] | (INDEX_16[rm] == NOT_THERE ? 0 : 1 << INDEX_16[rm]);
    }
    int base = baseNumber(code, offset, layout);
    int mask = base == NOT_THERE ? 0 : 1 << base;
    if (rm == 4 && !hasVectorIndex(layout)) {
      int sib = code[offset + Layout.modrmOffset(layout) + 1];
      int index = sib >> 3 & 7 | (mode64 ? x(code, offset, layout) << 3 : 0);
      mask |= index == RSP ? 0 : 1 << index;
    }
    return mask;
  }

  private boolean hasVectorIndex(long layout) {
    for (int i = 0; i < count(layout); i++) {
      long operand = code(layout, i);
      if (OperandCode.how(operand) == OperandCode.MEMORY && OperandCode.registerClass(operand) != 0) {
        return true;
      }
    }
    return false;
  }

  /** What a list of operands names whatever the bytes are: registers, and fields that name others. */
  private int namedBy(long layout) {
    int named = 0;
    for (int i = 0; i < count(layout); i++) {
      long operand = code(layout, i);
      named |= switch (OperandCode.how(operand)) {
        case OperandCode.FIXED_REGISTER -> names.generalMask(OperandCode.fixedRegisterOf(operand));
        case OperandCode.REGISTER -> OperandCode.registerClass(operand) > RegisterClass.GENERAL_64
            ? 0
            : namedByField(OperandCode.field(operand),
                OperandCode.registerClass(operand) == RegisterClass.GENERAL_8);
        case OperandCode.MEMORY -> BY_ADDRESS;
        case OperandCode.FIXED_MEMORY -> (OperandCode.addressWide(operand)
            ? 1 << OperandCode.base(operand)
            : names.generalMask(OperandCode.base(operand))) | names.generalMask(OperandCode.index(operand));
        default -> 0;
      };
    }
    return named;
  }

  private static int namedByField(int field, boolean of8) {
    return switch (field) {
      case OperandCode.REG -> BY_REG | (of8 ? REG_OF_8 : 0);
      case OperandCode.RM -> BY_RM | (of8 ? RM_OF_8 : 0);
      case OperandCode.OPCODE -> BY_OPCODE | (of8 ? OPCODE_OF_8 : 0);
      case OperandCode.VVVV -> BY_VVVV;
      default -> throw new IllegalStateException("a general register in field " + field);
    };
  }
}
