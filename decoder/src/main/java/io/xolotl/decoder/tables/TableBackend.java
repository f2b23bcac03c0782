package io.xolotl.decoder.tables;

import static io.xolotl.decoder.tables.Tables.CONSTRAINT;
import static io.xolotl.decoder.tables.Tables.IMMEDIATE_BYTES;
import static io.xolotl.decoder.tables.Tables.MODRM;
import static io.xolotl.decoder.tables.Tables.MOFFS;
import static io.xolotl.decoder.tables.Tables.OPCODES;
import static io.xolotl.decoder.tables.Tables.REGISTER;
import static io.xolotl.decoder.tables.Tables.ROW_UNIT;
import static io.xolotl.decoder.tables.Tables.WIDE;

import io.xolotl.decoder.backend.Backend;
import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.RawOperand;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Decodes by the tables, in Java alone.
 *
 * <p>What is code here is the layout of bytes: prefixes, the payloads of XOP, VEX and EVEX, modrm, SIB,
 * displacement, immediates (Intel SDM, volume 2, chapter 2). Which instructions there are, and which of them
 * accept which prefixes, is in the {@link Tables}.
 *
 * <p>The file is long because a parse is one walk over the bytes: its pieces, in classes of their own, would
 * hand each other a dozen numbers.
 */
public final class TableBackend implements Backend {

  private static final class Shared {
    static final Names NAMES = Tables.readNames("names.txt");
    static final RegisterClass CLASSES = new RegisterClass(NAMES);
  }

  private static final class Long64 {
    static final Tables TABLES = Tables.read("long_64.bin");
  }

  private static final class Compat32 {
    static final Tables TABLES = Tables.read("compat_32.bin");
  }

  // What a first byte is.
  private static final int PLAIN = 0;
  private static final int PREFIX = 1;
  private static final int REX = 2;
  private static final int ESCAPE = 3;
  private static final int VEX3 = 4;
  private static final int VEX2 = 5;
  private static final int EVEX = 6;
  private static final int XOP = 7;

  // The row of the legacy maps and of 3DNow!; those of the others are put together in vector().
  private static final int REPNE_ROW = 1;
  private static final int REP_ROW = 2;
  private static final int OPERAND_SIZE_ROW = 4;
  private static final int ADDRESS_SIZE_ROW = 64;
  private static final int LOCK_ROW = 128;
  /** What may not stand before XOP, VEX and EVEX (Intel SDM, volume 2, 2.3.2 to 2.3.4). */
  private static final int NOT_BEFORE_VECTOR = LOCK_ROW | OPERAND_SIZE_ROW | REPNE_ROW | REP_ROW;

  // Prefixes that are in no row.
  private static final int SEGMENT = 7;
  private static final int NOTRACK = 8;
  private static final int ADDRESS_SIZE = 16;

  // What the attempt at a parse may say besides what Layout has.

  /** A byte is missing on which it depends which instruction this is, or whether it is one. */
  private static final long STRUCTURE_MISSING = -4;
  /** The rest of the displacement or the immediates is missing, which may be anything. */
  private static final long DATA_MISSING = -5;

  /** What is no form: the modrm byte that tells is not there. */
  private static final int MISSING = -1;

  /** A SIB byte follows the modrm byte; besides the number of bytes of displacement. */
  private static final int SIB = 8;
  /** By modrm byte, for addresses of 32 or 64 bits. */
  private static final byte[] TAIL = new byte[256];
  /** By modrm byte, for addresses of 16 bits. */
  private static final byte[] TAIL_16 = new byte[256];

  static {
    for (int modrm = 0; modrm < 256; modrm++) {
      boolean sib = modrm < 0xc0 && (modrm & 7) == 4;
      TAIL[modrm] = (byte) (displacementSize(modrm, 0, false) | (sib ? SIB : 0));
      TAIL_16[modrm] = (byte) displacementSize(modrm, 0, true);
    }
  }

  private final boolean mode64;
  private final Tables tables;
  private final TableOperands operands;
  private final long[] roots;
  private final byte[] rowMaps;
  private final byte[] columnMaps;
  private final char[] cells;
  private final int[] info;
  private final byte[] kinds = new byte[256];
  /** One bit for each space in which there is an instruction. */
  private final int used;
  /** Filled as they are asked for; each is safely published even by a race, as all in it is final. */
  private final @Nullable Form[] forms;

  private TableBackend(boolean mode64, int variant, Tables tables) {
    this.mode64 = mode64;
    this.tables = tables;
    roots = tables.roots(variant);
    rowMaps = tables.rowMaps();
    columnMaps = tables.columnMaps();
    cells = tables.cells();
    info = tables.info();
    forms = new Form[info.length];
    operands = new TableOperands(mode64, tables, Shared.NAMES, Shared.CLASSES);
    used = used(roots);
    for (int i = 0; i < 256; i++) {
      kinds[i] = (byte) (isPrefix(i) ? PREFIX : mode64 && (i & 0xf0) == 0x40 ? REX : PLAIN);
    }
    kinds[0x0f] = ESCAPE;
    kinds[0xc4] = VEX3;
    kinds[0xc5] = VEX2;
    kinds[0x62] = EVEX;
    kinds[0x8f] = XOP;
  }

  /**
   * Returns a decoder by the tables of this module.
   *
   * @param mode64 for 64-bit code, else for 32-bit code under a 64-bit kernel
   * @param amd as AMD reads near branches with prefix 66
   * @param mpx with Intel MPX
   */
  public static TableBackend of(boolean mode64, boolean amd, boolean mpx) {
    return of(mode64, amd, mpx, mode64 ? Long64.TABLES : Compat32.TABLES);
  }

  /** The same by other tables, whose names must be those of this module. */
  public static TableBackend of(boolean mode64, boolean amd, boolean mpx, Tables tables) {
    return new TableBackend(mode64, (amd ? 1 : 0) | (mpx ? 2 : 0), tables);
  }

  private static int used(long[] roots) {
    int used = 0;
    for (int i = 0; i < roots.length; i++) {
      if (roots[i] != 0) {
        used |= 1 << i / OPCODES;
      }
    }
    return used;
  }

  /** Returns true for the prefixes of the legacy encoding but REX. */
  public static boolean isPrefix(int b) {
    return switch (b) {
      case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 -> true;
      default -> false;
    };
  }

  /** Bytes of displacement behind modrm and SIB (Intel SDM, volume 2, tables 2-1 to 2-3). */
  public static int displacementSize(int modrm, int sib, boolean address16) {
    int mod = modrm >> 6;
    int rm = modrm & 7;
    if (mod == 3) {
      return 0;
    }
    if (address16) {
      return mod == 0 ? rm == 6 ? 2 : 0 : mod;
    }
    if (mod == 0) {
      return rm == 5 || rm == 4 && (sib & 7) == 5 ? 4 : 0;
    }
    return mod == 1 ? 1 : 4;
  }

  /** Who was asked for the tables, as in {@code 4.1.1}. */
  public String zydisVersion() {
    return tables.zydisVersion();
  }

  @Override
  public int formCount() {
    return info.length;
  }

  @Override
  public Names names() {
    return Shared.NAMES;
  }

  @Override
  public long parse(byte[] code, int offset, int limit) {
    long layout = attempt(code, offset, limit);
    return layout >= Layout.TOO_LONG ? layout : whyMissing(code, offset, limit, layout);
  }

  /**
   * Parses as far as there are bytes, and says what kind of byte is missing where they end too early.
   */
  private long attempt(byte[] code, int at, int limit) {
    int end = Math.min(limit, at + Layout.MAX_LENGTH);
    int p = at;
    int row = 0;
    int prefixes = 0;
    int rexAt = -1;
    int space = Layout.LEGACY;
    int opcode;
    int kind;
    while (true) {
      if (p >= end) {
        return STRUCTURE_MISSING;
      }
      opcode = code[p++] & 0xff;
      kind = kinds[opcode];
      if (kind == PLAIN) {
        break;
      }
      if (kind == PREFIX) {
        row = row(row, opcode);
        prefixes = prefixes(prefixes, opcode);
        continue;
      }
      if (kind == REX) {
        int rex = opcode;
        if (p >= end) {
          return STRUCTURE_MISSING;
        }
        opcode = code[p++] & 0xff;
        kind = kinds[opcode];
        if (kind == PREFIX || kind == REX) {
          // Void: it is not right before the opcode.
          p--;
          continue;
        }
        rexAt = p - 2 - at;
        row |= rex & 8 | (rex & 4) << 2 | (rex & 1) << 5;
        if (kind == PLAIN) {
          break;
        }
      }
      if (kind == ESCAPE) {
        if (p >= end) {
          return STRUCTURE_MISSING;
        }
        opcode = code[p++] & 0xff;
        space = 1;
        if (opcode == 0x38 || opcode == 0x3a) {
          space = opcode == 0x38 ? 2 : 3;
          if (p >= end) {
            return STRUCTURE_MISSING;
          }
          opcode = code[p++] & 0xff;
        } else if (opcode == 0x0f) {
          return threeDNow(code, at, p, end, row, prefixes, rexAt);
        }
        break;
      }
      // XOP, VEX, EVEX, or what these bytes mean without them.
      if (p >= end) {
        return STRUCTURE_MISSING;
      }
      int next = code[p] & 0xff;
      if (kind == XOP ? (next & 0x1f) < 8 : !mode64 && next < 0xc0) {
        break;
      }
      return (row & NOT_BEFORE_VECTOR) != 0 || rexAt >= 0
          ? Layout.INVALID
          : vector(code, at, p, end, prefixes, kind);
    }
    int form = form(roots[(space << 8) + opcode], row, code, p, end);
    return form <= 0
        ? form == MISSING ? STRUCTURE_MISSING : Layout.INVALID
        : complete(code, at, p, end, form, space, p - 1 - at, rexAt, prefixes);
  }

  // Not in the loop: prefixes are rare, and what is hot is to be small.

  private static int row(int row, int prefix) {
    return switch (prefix) {
      case 0x66 -> row | OPERAND_SIZE_ROW;
      case 0x67 -> row | ADDRESS_SIZE_ROW;
      case 0xf0 -> row | LOCK_ROW;
      case 0xf2 -> row & ~REP_ROW | REPNE_ROW;
      case 0xf3 -> row & ~REPNE_ROW | REP_ROW;
      default -> row;
    };
  }

  private int prefixes(int prefixes, int prefix) {
    return switch (prefix) {
      case 0x67 -> prefixes | ADDRESS_SIZE;
      case 0x64 -> prefixes & ~(SEGMENT | NOTRACK) | 5;
      case 0x65 -> prefixes & ~(SEGMENT | NOTRACK) | 6;
      // In 64-bit code these have no effect, not even on an fs or gs before them.
      case 0x3e -> (mode64 ? prefixes : prefixes & ~SEGMENT | 4) | NOTRACK;
      case 0x26 -> mode64 ? prefixes : prefixes & ~(SEGMENT | NOTRACK) | 1;
      case 0x2e -> mode64 ? prefixes : prefixes & ~(SEGMENT | NOTRACK) | 2;
      case 0x36 -> mode64 ? prefixes : prefixes & ~(SEGMENT | NOTRACK) | 3;
      default -> prefixes;
    };
  }

  private int firstCell(long root, int row) {
    return ((int) root & 0xffffff)
        + (rowMaps[((int) (root >>> 33) & 0xffff) * ROW_UNIT + row] & 0xff) * columns(root);
  }

  private static int columns(long root) {
    return (int) (root >>> 24) & 511;
  }

  private int column(long root, int modrm) {
    return columnMaps[(int) (root >>> 49) * 256 + modrm] & 0xff;
  }

  /**
   * What is in a cell: a form, 0 if there is no instruction, or {@link #MISSING} if that depends on a modrm
   * byte which is not there.
   */
  private int form(long root, int row, byte[] code, int modrmAt, int end) {
    if (root == 0) {
      return 0;
    }
    int cell = firstCell(root, row);
    if (modrmAt < end) {
      return cells[cell + column(root, code[modrmAt] & 0xff)];
    }
    int columns = columns(root);
    return columns == 1 ? cells[cell] : isEmpty(cell, columns) ? 0 : MISSING;
  }

  private boolean isEmpty(int cell, int columns) {
    for (int i = 0; i < columns; i++) {
      if (cells[cell + i] != 0) {
        return false;
      }
    }
    return true;
  }

  /** The rest, from the modrm byte on, of an instruction that is known. */
  private long complete(byte[] code, int at, int start, int end, int form, int space, int opcodeAt,
      int prefixAt, int prefixes) {
    int p = start;
    int modrm = p < end ? code[p] & 0xff : 0;
    int i = info[form];
    int modrmAt = 0;
    int displacementAt = 0;
    int displacementSize = 0;
    if ((i & MODRM) != 0) {
      modrmAt = p++ - at;
      int tail = (i & REGISTER) != 0
          ? 0
          : !mode64 && (prefixes & ADDRESS_SIZE) != 0 ? TAIL_16[modrm] : TAIL[modrm];
      if (tail != 0) {
        if (tail >= SIB) {
          if (p >= end) {
            return STRUCTURE_MISSING;
          }
          tail = (code[p++] & 7) == 5 && modrm < 0x40 ? 4 : tail & SIB - 1;
        }
        displacementSize = tail;
        if (tail != 0) {
          displacementAt = p - at;
          p += tail;
        }
      }
    } else if ((i & MOFFS) != 0) {
      displacementAt = p - at;
      displacementSize = mode64
          ? (prefixes & ADDRESS_SIZE) != 0 ? 4 : 8
          : (prefixes & ADDRESS_SIZE) != 0 ? 2 : 4;
      p += displacementSize;
    }
    int immediates = i >> IMMEDIATE_BYTES & 15;
    int immediateAt = immediates == 0 ? 0 : p - at;
    p += immediates;
    if (p > end) {
      return p - at > Layout.MAX_LENGTH ? Layout.TOO_LONG : DATA_MISSING;
    }
    return Layout.pack(form, p - at, space, opcodeAt, modrmAt, displacementAt, displacementSize, immediateAt,
        prefixAt, addressSize(i, prefixes), prefixes & SEGMENT, (prefixes & NOTRACK) != 0);
  }

  private int addressSize(int i, int prefixes) {
    boolean narrow = (prefixes & ADDRESS_SIZE) != 0 && (i & WIDE) == 0;
    return mode64 ? narrow ? 32 : 64 : narrow ? 16 : 32;
  }

  /** 3DNow!: the opcode is the last byte. */
  private long threeDNow(byte[] code, int at, int start, int end, int row, int prefixes, int rexAt) {
    if (start >= end) {
      return STRUCTURE_MISSING;
    }
    int modrm = code[start] & 0xff;
    int p = start + 1;
    int tail = !mode64 && (prefixes & ADDRESS_SIZE) != 0 ? TAIL_16[modrm] : TAIL[modrm];
    if (tail >= SIB) {
      if (p >= end) {
        return STRUCTURE_MISSING;
      }
      tail = (code[p++] & 7) == 5 && modrm < 0x40 ? 4 : tail & SIB - 1;
    }
    int opcodeAt = p + tail;
    if (opcodeAt - at >= Layout.MAX_LENGTH) {
      return Layout.TOO_LONG;
    }
    if (opcodeAt >= end) {
      for (int opcode = 0; opcode < OPCODES; opcode++) {
        if (threeDNowForm(opcode, row, modrm) != 0) {
          return DATA_MISSING;
        }
      }
      return Layout.INVALID;
    }
    int form = threeDNowForm(code[opcodeAt] & 0xff, row, modrm);
    if (form == 0) {
      return Layout.INVALID;
    }
    return Layout.pack(form, opcodeAt + 1 - at, Layout.THREE_DNOW, opcodeAt - at, start - at,
        tail == 0 ? 0 : p - at, tail, 0, rexAt, addressSize(info[form], prefixes), prefixes & SEGMENT,
        (prefixes & NOTRACK) != 0);
  }

  private int threeDNowForm(int opcode, int row, int modrm) {
    long root = roots[(Layout.THREE_DNOW << 8) + opcode];
    return root == 0 ? 0 : cells[firstCell(root, row) + column(root, modrm)];
  }

  /** XOP, VEX and EVEX, from the byte behind the first on. */
  private long vector(byte[] code, int at, int start, int end, int prefixes, int kind) {
    int p = start;
    int address = (prefixes & ADDRESS_SIZE) != 0 ? 1 : 0;
    int p0 = code[p++] & 0xff;
    int r = ~p0 >> 7 & 1;
    int rm;
    int v;
    int row;
    int space;
    if (kind == VEX2) {
      rm = 0;
      v = ~p0 >> 3 & 15;
      row = p0 & 3 | (p0 & 4) << 1 | address << 4;
      space = Layout.VEX + 1;
    } else {
      rm = ~p0 >> 5 & 3;
      space = space(kind, p0);
      if (space < 0) {
        return Layout.INVALID;
      }
      if (p >= end) {
        return STRUCTURE_MISSING;
      }
      int p1 = code[p++] & 0xff;
      v = ~p1 >> 3 & 15;
      row = p1 & 3 | p1 >> 7 << 2;
      if (kind == EVEX) {
        if ((p1 & 4) == 0) {
          return Layout.INVALID;
        }
        if (p >= end) {
          return STRUCTURE_MISSING;
        }
        int p2 = code[p++] & 0xff;
        r |= (~p0 >> 4 & 1) << 1;
        v |= (~p2 >> 3 & 1) << 4;
        row |= (p2 >> 5 & 3) << 3 | (p2 >> 4 & 1) << 5 | p2 >> 7 << 6 | ((p2 & 7) != 0 ? 128 : 0)
            | address << 8;
      } else {
        row |= (p1 & 4) << 1 | address << 4;
      }
    }
    if (p >= end) {
      return STRUCTURE_MISSING;
    }
    int form = form(roots[(space << 8) + (code[p++] & 0xff)], row, code, p, end);
    if (form <= 0) {
      return form == MISSING ? STRUCTURE_MISSING : Layout.INVALID;
    }
    int constraint = info[form] >>> CONSTRAINT & 255;
    if (constraint != 0 && !isAccepted(constraint, r, rm, v, kind == EVEX, code, p, end)) {
      return Layout.INVALID;
    }
    return complete(code, at, p, end, form, space, p - 1 - at, start - 1 - at, prefixes);
  }

  /** Where the opcode is looked up; -1 if there is no such map, or nothing in it. */
  private int space(int kind, int p0) {
    int space = switch (kind) {
      case EVEX -> (p0 & 8) != 0 ? -1 : Layout.EVEX + (p0 & 7);
      case XOP -> (p0 & 31) > 10 ? -1 : Layout.XOP + (p0 & 31) - 8;
      default -> (p0 & 31) > 3 ? -1 : Layout.VEX + (p0 & 31);
    };
    return space < 0 || (used >>> space & 1) == 0 ? -1 : space;
  }

  private boolean isAccepted(int constraint, int r, int rmExtension, int vvvv, boolean evex, byte[] code,
      int modrmAt, int end) {
    int[] constraints = tables.constraints();
    if (!Constraint.accepts(constraints, constraint, r, rmExtension, vvvv)) {
      return false;
    }
    int distinct = Constraint.distinct(constraints, constraint);
    if (distinct == 0) {
      return true;
    }
    if (modrmAt >= end) {
      // Found out once it is there, and so below.
      return true;
    }
    int modrm = code[modrmAt] & 0xff;
    int sibAt = modrmAt + 1;
    int all = mode64 ? 31 : 7;
    int v = vvvv & all;
    int reg = (modrm >> 3 & 7 | (r & 1) << 3 | r >> 1 << 4) & all;
    if (modrm >= 0xc0) {
      int rm = (modrm & 7 | (rmExtension & 1) << 3 | (evex ? rmExtension >> 1 << 4 : 0)) & all;
      return Constraint.differ(distinct, reg, rm, v);
    }
    if (sibAt >= end) {
      return true;
    }
    int index = (code[sibAt] >> 3 & 7 | rmExtension >> 1 << 3 | (evex ? v & 16 : 0)) & all;
    return Constraint.differInMemory(distinct, reg, index, v);
  }

  /** Truncated is what some bytes behind it would make an instruction. */
  private long whyMissing(byte[] code, int at, int limit, long missing) {
    int available = limit - at;
    if (available >= Layout.MAX_LENGTH) {
      return Layout.TOO_LONG;
    }
    if (missing == DATA_MISSING) {
      return Layout.TRUNCATED;
    }
    byte[] continued = Arrays.copyOf(Arrays.copyOfRange(code, at, limit), Layout.MAX_LENGTH);
    return canContinue(continued, available) ? Layout.TRUNCATED : Layout.INVALID;
  }

  /**
   * Tries the bytes that may follow. Bytes that may be anything are not tried, and what cannot become an
   * instruction shows at an early byte, so that this ends soon.
   */
  private boolean canContinue(byte[] code, int length) {
    for (int next = 0; next < 256; next++) {
      code[length] = (byte) next;
      long layout = attempt(code, 0, length + 1);
      if (layout >= 0 || layout == DATA_MISSING
          || layout == STRUCTURE_MISSING && length + 1 < code.length && canContinue(code, length + 1)) {
        return true;
      }
    }
    return false;
  }

  @Override
  public Form form(byte[] code, int offset, long layout) {
    int number = Layout.form(layout);
    Form form = forms[number];
    if (form == null) {
      form = newForm(number);
      forms[number] = form;
    }
    return form;
  }

  private Form newForm(int form) {
    int flags = tables.flags()[form] & 0xff;
    return new Form(tables.mnemonics()[form], tables.categories()[form] & 0xff, tables.isaSets()[form] & 0xff,
        tables.branchKinds()[form], tables.operandWidths()[form] & 0xff, tables.attributes()[form],
        tables.flagsRead()[flags], tables.flagsWritten()[flags], (info[form] & Tables.FIRST_RELATIVE) != 0);
  }

  @Override
  public List<RawOperand> operands(byte[] code, int offset, long layout) {
    return operands.of(code, offset, layout);
  }

  @Override
  public int generalMask(byte[] code, int offset, long layout) {
    return operands.generalMask(code, offset, layout);
  }

  @Override
  public String text(byte[] code, int offset, long layout, long address) {
    return IntelSyntax.text(tables, operands, Shared.NAMES, mode64, code, offset, layout, address);
  }
}
