package io.xolotl.decoder.reference;

import static io.xolotl.decoder.tables.Tables.CONSTRAINT;
import static io.xolotl.decoder.tables.Tables.FIRST_BYTES;
import static io.xolotl.decoder.tables.Tables.FIRST_RELATIVE;
import static io.xolotl.decoder.tables.Tables.FIRST_SIGNED;
import static io.xolotl.decoder.tables.Tables.IMMEDIATE_BYTES;
import static io.xolotl.decoder.tables.Tables.MODRM;
import static io.xolotl.decoder.tables.Tables.MOFFS;
import static io.xolotl.decoder.tables.Tables.OPCODES;
import static io.xolotl.decoder.tables.Tables.REGISTER;
import static io.xolotl.decoder.tables.Tables.ROW_UNIT;
import static io.xolotl.decoder.tables.Tables.SCALE;
import static io.xolotl.decoder.tables.Tables.SECOND_BYTES;
import static io.xolotl.decoder.tables.Tables.SECOND_RELATIVE;
import static io.xolotl.decoder.tables.Tables.SECOND_SIGNED;
import static io.xolotl.decoder.tables.Tables.VARIANTS;
import static io.xolotl.decoder.tables.Tables.VARIANT_SPACES;
import static io.xolotl.decoder.tables.Tables.WIDE;

import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.tables.Constraint;
import io.xolotl.decoder.tables.OperandCode;
import io.xolotl.decoder.tables.RegisterClass;
import io.xolotl.decoder.tables.TableBackend;
import io.xolotl.decoder.tables.Tables;
import io.xolotl.decoder.zydis.Zydis;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Asks Zydis about everything that can tell one instruction from another, and keeps its answers as
 * {@link Tables}: every opcode of every space, behind every row of prefixes, with every modrm byte, and for
 * XOP, VEX and EVEX with the registers that might not be accepted.
 *
 * <p>It knows no instruction. What it does know is how an answer can depend on the bytes, and it stops where
 * an answer cannot be described so: a new extension that brings a new kind of operand ends the build, not
 * the correctness.
 *
 * <p>The answers come in a fixed order, and all maps keep theirs, so the same library gives the same bytes.
 */
final class TableBuilder {

  /** Numbers that are equal if their contents are. */
  private record Key(List<Long> numbers) {
    static Key of(long... numbers) {
      return new Key(Arrays.stream(numbers).boxed().toList());
    }
  }

  /** What an instruction is whatever registers it accepts. */
  private record Meaning(int mnemonic, int category, int isaSet, int branchKind, int operandWidth,
      int attributes, int text, int flagsRead, int flagsWritten, int info, List<Long> operands) {

    Meaning named() {
      return new Meaning(mnemonic, category, isaSet, branchKind, operandWidth, attributes, text, flagsRead,
          flagsWritten, info | REGISTER, operands);
    }
  }

  private record FinalForm(Meaning meaning, int constraint) {}

  /** A list of distinct things, each with its number. */
  private static final class Numbers<T> {
    private final Map<T, Integer> numbers = new LinkedHashMap<>();

    int of(T thing) {
      Integer known = numbers.putIfAbsent(thing, numbers.size());
      return known == null ? numbers.size() - 1 : known;
    }

    List<T> all() {
      return List.copyOf(numbers.keySet());
    }

    int size() {
      return numbers.size();
    }
  }

  private static final int SIB = 0x2b;
  /** The same without an index, which the vector instructions take for vector register 7. */
  private static final int SIB_7 = SIB & ~0x38 | 7 << 3;
  private static final int FS = 0x64;
  /** The displacement of one that is not multiplied. */
  private static final int ONE = 1;
  private static final int ANY_FILLER = 0x91;
  private static final int SAMPLES = 5;

  private static final int ENCODING_REG = 1;
  private static final int ENCODING_MODRM_RM = 2;
  private static final int ENCODING_MASK = 6;
  private static final int ENCODING_IS4 = 5;

  private final boolean mode64;
  private final RegisterClass classes;
  private final List<String> mnemonics;
  private final List<String> registers;
  private final Numbers<FinalForm> forms = new Numbers<>();
  private final Numbers<Key> constraints = new Numbers<>();
  private final Numbers<Key> rowMaps = new Numbers<>();
  private final List<byte[]> rowMapBytes = new ArrayList<>();
  private final List<Integer> rowMapStarts = new ArrayList<>();
  private int rowUnits;
  private final Numbers<Key> columnMaps = new Numbers<>();
  private final List<byte[]> columnMapBytes = new ArrayList<>();
  private final Map<Key, Integer> blocks = new HashMap<>();
  private char[] cells = new char[1 << 16];
  /** Cell 0 is no one's: a root that begins there would be 0, which says that nothing is valid. */
  private int cellCount = 1;
  private long questions;
  private Question question;
  private Encoder encoder;

  private TableBuilder(boolean mode64) {
    this.mode64 = mode64;
    var names = ZydisLibrary.names().names();
    classes = new RegisterClass(names);
    mnemonics = names.mnemonics();
    registers = names.registers().stream().map(r -> r.name()).toList();
    question = new Question(mode64, false, false);
    encoder = new Encoder(mode64, question);
    // Number 0 of both: no instruction, and no constraint.
    forms.of(new FinalForm(new Meaning(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, List.of()), 0));
    constraints.of(Key.of(15, 15, -1, 0));
  }

  /** Asks everything about a mode, which takes a minute or two. */
  static Tables build(boolean mode64) {
    return new TableBuilder(mode64).build();
  }

  private Tables build() {
    int baseSize = Layout.SPACES * OPCODES;
    long[] roots = new long[baseSize + (VARIANTS - 1) * VARIANT_SPACES * OPCODES];
    for (int variant = 0; variant < VARIANTS; variant++) {
      question = new Question(mode64, (variant & 1) != 0, (variant & 2) != 0);
      encoder = new Encoder(mode64, question);
      int spaces = variant == 0 ? Layout.SPACES : VARIANT_SPACES;
      int start = variant == 0 ? 0 : baseSize + (variant - 1) * VARIANT_SPACES * OPCODES;
      for (int i = 0; i < spaces * OPCODES; i++) {
        if (isOpcode(i / OPCODES, i % OPCODES)) {
          roots[start + i] = opcode(i / OPCODES, i % OPCODES);
        }
      }
    }
    return tables(roots);
  }

  /** Returns false for prefixes and escapes. */
  boolean isOpcode(int space, int opcode) {
    return isOpcode(mode64, space, opcode);
  }

  static boolean isOpcode(boolean mode64, int space, int opcode) {
    return switch (space) {
      case 0 -> opcode != 0x0f && !TableBackend.isPrefix(opcode) && !(mode64 && (opcode & 0xf0) == 0x40);
      case 1 -> opcode != 0x0f && opcode != 0x38 && opcode != 0x3a;
      default -> true;
    };
  }

  /** A row that says the same as another: that one, or itself. */
  static int canonicalRow(boolean mode64, int space, int row) {
    if (space >= Layout.XOP) {
      return row;
    }
    // Only the last of F2 and F3 counts, so there is no row with both; and REX is of 64-bit code.
    int single = (row & 3) == 3 ? row & ~1 : row;
    return mode64 ? single : single & ~0x38;
  }

  /** Returns true for a modrm byte behind which the opcode is the first byte of XOP, VEX or EVEX. */
  static boolean isVectorPrefix(boolean mode64, int space, int opcode, int modrm) {
    return space == 0 && switch (opcode) {
      case 0x8f -> (modrm & 0x1f) >= 8;
      case 0xc4, 0xc5, 0x62 -> mode64 || modrm >= 0xc0;
      default -> false;
    };
  }

  private boolean ask() {
    questions++;
    return question.ask();
  }

  private IllegalStateException unknown(String what) {
    return new IllegalStateException(what + ": " + mnemonics.get(question.mnemonic()) + " in "
        + HexFormat.of().formatHex(question.bytes(15)));
  }

  // One opcode.

  private long opcode(int space, int opcode) {
    char[][] table = new char[1 << Tables.rowBits(space)][];
    boolean any = false;
    for (int row = 0; row < table.length; row++) {
      int same = canonicalRow(mode64, space, row);
      table[row] = same == row ? row(space, opcode, row) : table[same];
      for (char form : table[row]) {
        any |= form != 0;
      }
    }
    return any ? compress(table) : 0;
  }

  private char[] row(int space, int opcode, int row) {
    char[] forms = new char[256];
    Meaning[] meanings = meanings(space, opcode, row);
    if (space < Layout.XOP) {
      for (int modrm = 0; modrm < 256; modrm++) {
        forms[modrm] = meanings[modrm] == null ? 0 : form(meanings[modrm], 0);
      }
      return forms;
    }
    int distinctInMemory = distinctInMemory(space, opcode, row);
    int distinct = distinct(space, opcode, row);
    var cellsOf = new LinkedHashMap<List<Object>, List<Integer>>();
    for (int modrm = 0; modrm < 256; modrm++) {
      if (meanings[modrm] != null) {
        cellsOf.computeIfAbsent(List.of(meanings[modrm], modrm >= 0xc0), _ -> new ArrayList<>()).add(modrm);
      }
    }
    cellsOf.forEach((what, cells) -> {
      // At more than one cell: where registers must differ, one cell cannot have what another can.
      var accepted = new Accepted();
      int last = cells.size() - 1;
      for (int i = 0; i < SAMPLES && i <= last; i++) {
        ask(space, opcode, row, cells.get(last - i * last / SAMPLES), accepted);
      }
      int constraint = constraints.of(Key.of(accepted.r, accepted.rm, accepted.v,
          cells.getFirst() >= 0xc0 ? distinct : distinctInMemory));
      for (int modrm : cells) {
        forms[modrm] = form((Meaning) what.getFirst(), constraint);
      }
    });
    return forms;
  }

  private char form(Meaning meaning, int constraint) {
    int number = forms.of(new FinalForm(meaning, constraint));
    if (number > 0xffff || constraint > 255) {
      throw new IllegalStateException("more forms or constraints than the tables have numbers for");
    }
    return (char) number;
  }

  private Meaning[] meanings(int space, int opcode, int row) {
    var meanings = new Meaning[256];
    Meaning whatever = space < Layout.THREE_DNOW ? withoutModrm(space, opcode, row) : null;
    for (int modrm = 0; modrm < 256; modrm++) {
      if (isVectorPrefix(mode64, space, opcode, modrm)) {
        continue;
      }
      if (whatever != null) {
        meanings[modrm] = whatever;
      } else if (space == Layout.THREE_DNOW && (modrm & 0x38) != 0) {
        meanings[modrm] = meanings[modrm & ~0x38];
      } else if (space >= Layout.EVEX && modrm >> 6 == 2) {
        // As with 8 bits of displacement, which alone tell what they are multiplied with.
        meanings[modrm] = meanings[modrm & 0x3f | 0x40];
      } else {
        meanings[modrm] = cell(space, opcode, row, modrm);
      }
    }
    return meanings;
  }

  /** Without a modrm byte the byte behind the opcode cannot matter. Null if there is one. */
  private @Nullable Meaning withoutModrm(int space, int opcode, int row) {
    Meaning meaning = null;
    for (int modrm : new int[]{0, 0x3c, 0x55, 0xc7, 0xff}) {
      if (isVectorPrefix(mode64, space, opcode, modrm)) {
        return null;
      }
      Meaning here = cell(space, opcode, row, modrm);
      if (here == null || (here.info() & MODRM) != 0) {
        return null;
      }
      meaning = meaning == null ? here : meaning;
    }
    return meaning;
  }

  private @Nullable Meaning cell(int space, int opcode, int row, int modrm) {
    if (space < Layout.XOP) {
      encoder.encode(Encoder.NONE, space, opcode, row, modrm, 0, 0, 0, SIB, ANY_FILLER);
      return ask() ? meaning(space, row) : null;
    }
    // Some accept no vvvv but 0, some no two equal registers, some want a vector index that differs.
    int other = otherRegister(modrm);
    int extended = modrm >> 6 == 3 ? 1 : 2;
    for (int attempt = 0; attempt < 4; attempt++) {
      int v = (attempt & 1) == 0 ? 0 : other;
      int x = attempt >= 2 && mode64 ? extended : 0;
      int sib = attempt < 2 ? SIB : SIB_7;
      int filler = space >= Layout.EVEX ? ONE : ANY_FILLER;
      encoder.encode(Encoder.NONE, space, opcode, row, modrm, 0, x, v, sib, filler);
      questions++;
      int status = question.ask(15);
      if (status == Zydis.ZYDIS_STATUS_BAD_REGISTER()) {
        continue;
      }
      if (status < 0) {
        return null;
      }
      if (space >= Layout.EVEX && modrm < 0x40) {
        // Only with 8 bits of displacement does it show what they are multiplied with.
        encoder.encode(Encoder.NONE, space, opcode, row, modrm | 0x40, 0, x, v, sib, filler);
        if (!ask()) {
          throw unknown("accepted without, refused with 8 bits of displacement");
        }
      }
      return meaning(space, row);
    }
    return null;
  }

  /** A register that a modrm byte does not name, and that is no base without displacement. */
  private static int otherRegister(int modrm) {
    int other = 0;
    while (other == (modrm >> 3 & 7) || other == (modrm & 7) || other == 5) {
      other++;
    }
    return other;
  }

  // What was answered.

  private Meaning meaning(int space, int row) {
    boolean[] overridable = overridable();
    int count = question.operandCount();
    if (!question.askOperands()) {
      throw unknown("operands refused");
    }
    boolean hasModrm = question.hasModrm();
    int first = question.immediateSize(0);
    int second = question.immediateSize(1);
    int info = (hasModrm ? MODRM : question.displacementSize() != 0 ? MOFFS : 0)
        | first + second << IMMEDIATE_BYTES | first << FIRST_BYTES | second << SECOND_BYTES
        | (question.isImmediateRelative(0) && first > 0 ? FIRST_RELATIVE : 0)
        | (question.isImmediateSigned(0) && first > 0 ? FIRST_SIGNED : 0)
        | (question.isImmediateRelative(1) && second > 0 ? SECOND_RELATIVE : 0)
        | (question.isImmediateSigned(1) && second > 0 ? SECOND_SIGNED : 0) | width(space, row);
    var operands = new ArrayList<Long>();
    boolean memory = false;
    long displacement = 0;
    for (int i = 0; i < count; i++) {
      boolean byModrm = question.operandType(i) == Zydis.ZYDIS_OPERAND_TYPE_MEMORY()
          && question.operandEncoding(i) == ENCODING_MODRM_RM;
      memory |= byModrm;
      if (byModrm && space >= Layout.EVEX && question.mod() == 1) {
        displacement = question.displacement(i);
      }
      operands.add(OperandCode.common(question.visibility(i), question.actions(i), question.width(i))
          | operand(i, first, second, overridable[i]));
    }
    if (displacement > 0) {
      info |= Long.numberOfTrailingZeros(displacement) << SCALE;
    }
    var meaning = new Meaning(question.mnemonic(), question.category(), question.isaSet(),
        question.branchKind(), question.operandWidth(), question.attributes(), question.text(),
        question.flagsRead(), question.flagsWritten(), info, List.copyOf(operands));
    return hasModrm && !memory && question.mod() != 3 && isRegisterAnyway() ? meaning.named() : meaning;
  }

  private int width(int space, int row) {
    int bit = space < Layout.XOP ? 0x40 : space < Layout.EVEX ? 16 : 0x100;
    int full = mode64 ? 64 : 32;
    int expected = (row & bit) != 0 ? full / 2 : full;
    if (question.addressWidth() == expected) {
      return 0;
    }
    if (question.addressWidth() != full) {
      throw unknown("an address of " + question.addressWidth() + " bits");
    }
    return WIDE;
  }

  /** Returns true if a modrm byte that would address memory has no displacement. */
  private boolean isRegisterAnyway() {
    int at = question.modrmOffset();
    question.put(at, question.get(at) & 0x3f | 0x40);
    return ask() && question.displacementSize() == 0;
  }

  /** Finds which hidden operands in memory follow a segment prefix; leaves the answer to what was asked. */
  private boolean[] overridable() {
    int count = question.operandCount();
    boolean[] overridable = new boolean[count];
    if (!question.askOperands()) {
      return overridable;
    }
    boolean any = false;
    for (int i = 0; i < count; i++) {
      any |= isHiddenMemory(i);
    }
    if (any) {
      question.prepend(FS);
      if (!ask() || !question.askOperands()) {
        throw unknown("refused behind a segment prefix");
      }
      for (int i = 0; i < count; i++) {
        overridable[i] = isHiddenMemory(i) && registers.get(question.segment(i)).equals("fs");
      }
      question.dropFirst();
      ask();
    }
    return overridable;
  }

  private boolean isHiddenMemory(int operand) {
    return question.operandType(operand) == Zydis.ZYDIS_OPERAND_TYPE_MEMORY()
        && question.operandEncoding(operand) == 0;
  }

  private long operand(int i, int first, int second, boolean overridable) {
    int type = question.operandType(i);
    int encoding = question.operandEncoding(i);
    if (type == Zydis.ZYDIS_OPERAND_TYPE_REGISTER()) {
      int register = question.register(i);
      return encoding >= ENCODING_REG && encoding <= ENCODING_MASK && classes.of(register) >= 0
          ? OperandCode.register(encoding, classes.of(register))
          : OperandCode.fixedRegister(register);
    }
    if (type == Zydis.ZYDIS_OPERAND_TYPE_MEMORY()) {
      return memory(i, encoding, overridable);
    }
    if (type == Zydis.ZYDIS_OPERAND_TYPE_POINTER()) {
      return OperandCode.FAR_POINTER;
    }
    long value = question.value(i);
    if (encoding == 0 || first == 0) {
      return OperandCode.constant(value);
    }
    if (value == question.immediate(0)) {
      return OperandCode.immediate(0, false, question.isRelative(i));
    }
    if (second > 0 && value == question.immediate(1)) {
      return OperandCode.immediate(1, false, question.isRelative(i));
    }
    if (encoding == ENCODING_IS4 && value == (question.immediate(0) & 15)) {
      return OperandCode.immediate(0, true, question.isRelative(i));
    }
    throw unknown("an immediate from nowhere");
  }

  private long memory(int i, int encoding, boolean overridable) {
    int kind = question.memoryKind(i);
    if (encoding == ENCODING_MODRM_RM) {
      return OperandCode.memory(kind,
          kind == Zydis.ZYDIS_MEMOP_TYPE_VSIB() ? classes.of(question.index(i)) : 0);
    }
    if (encoding != 0) {
      return OperandCode.moffs(kind);
    }
    if (question.displacement(i) != 0) {
      throw unknown("hidden memory with a displacement");
    }
    int base = question.base(i);
    int registerClass = base == 0 ? -1 : classes.of(base);
    boolean addressWide = registerClass >= RegisterClass.GENERAL_16
        && registerClass <= RegisterClass.GENERAL_64
        && 8 << registerClass == question.addressWidth();
    return OperandCode.fixedMemory(kind, addressWide ? classes.number(base) : base, addressWide,
        question.index(i), question.scale(i), question.segment(i) - classes.first(RegisterClass.SEGMENT),
        overridable);
  }

  // Which registers are accepted.

  /** Bits of what is accepted somewhere. */
  private static final class Accepted {
    int r;
    int rm;
    int v;
  }

  private boolean isAccepted(int space, int opcode, int row, int modrm, int r, int x, int v, int sib) {
    if (!mode64 && ((r & 1) != 0 || (x & 2) != 0)) {
      // These bytes are then lds, les or bound.
      return true;
    }
    encoder.encode(Encoder.NONE, space, opcode, row, modrm, r, x, v, sib, ONE);
    return ask();
  }

  /** Adds what is accepted at a cell, with whatever else. */
  private void ask(int space, int opcode, int row, int modrm, Accepted accepted) {
    boolean evex = space >= Layout.EVEX;
    int other = otherRegister(modrm);
    int[] vs = {0, other, 8 | other};
    int[] sibs = {SIB, SIB_7};
    int[] xs = mode64 ? new int[]{0, 1, 2} : new int[]{0, 1};
    int[] rs = mode64 ? new int[]{0, 1} : new int[]{0};
    for (int r = 0; r < (evex ? 4 : 2); r++) {
      accepted.r |= isAccepted(space, opcode, row, modrm, new int[]{r}, xs, vs, sibs) ? 1 << r : 0;
    }
    for (int x = 0; x < 4; x++) {
      accepted.rm |= isAccepted(space, opcode, row, modrm, rs, new int[]{x}, vs, sibs) ? 1 << x : 0;
    }
    for (int v = 0; v < (evex ? 32 : 16); v++) {
      accepted.v |= isAccepted(space, opcode, row, modrm, rs, xs, new int[]{v}, sibs) ? 1 << v : 0;
    }
    if (!evex) {
      // The bits that these encodings do not have are 0.
      accepted.r |= 12;
      accepted.v |= accepted.v << 16;
    }
  }

  private boolean isAccepted(int space, int opcode, int row, int modrm, int[] rs, int[] xs, int[] vs,
      int[] sibs) {
    for (int r : rs) {
      for (int v : vs) {
        for (int x : xs) {
          for (int sib : sibs) {
            if (isAccepted(space, opcode, row, modrm, r, x, v, sib)) {
              return true;
            }
          }
        }
      }
    }
    return false;
  }

  /** Which registers must differ where modrm addresses memory: 2 is reg, 7 the index. */
  private int distinctInMemory(int space, int opcode, int row) {
    int modrm = 0x40 | 2 << 3 | 4;
    boolean three = isAccepted(space, opcode, row, modrm, 0, 0, 1, SIB_7);
    if (!three && !isAccepted(space, opcode, row, modrm, 0, 0, 0, SIB_7)) {
      return 0;
    }
    int v = three ? 1 : 0;
    int index2 = 2 << 3 | 3;
    int index1 = 1 << 3 | 3;
    return (three && !isAccepted(space, opcode, row, modrm, 0, 0, 2, SIB_7) ? Constraint.REG_V : 0)
        | (isAccepted(space, opcode, row, modrm, 0, 0, v, index2) ? 0 : Constraint.REG_INDEX)
        | (three && !isAccepted(space, opcode, row, modrm, 0, 0, 1, index1) ? Constraint.V_INDEX : 0);
  }

  /** Which registers must differ where modrm names a register: 2 is reg, 3 is rm. */
  private int distinct(int space, int opcode, int row) {
    int modrm = 0xc0 | 2 << 3 | 3;
    boolean three = isAccepted(space, opcode, row, modrm, 0, 0, 1, SIB);
    if (!three && !isAccepted(space, opcode, row, modrm, 0, 0, 0, SIB)) {
      return 0;
    }
    int v = three ? 1 : 0;
    return (isAccepted(space, opcode, row, 0xc0 | 2 << 3 | 2, 0, 0, v, SIB) ? 0 : Constraint.REG_RM)
        | (three && !isAccepted(space, opcode, row, modrm, 0, 0, 2, SIB) ? Constraint.REG_V : 0)
        | (three && !isAccepted(space, opcode, row, modrm, 0, 0, 3, SIB) ? Constraint.RM_V : 0);
  }

  // Equal rows and columns once.

  private long compress(char[][] table) {
    byte[] columnMap = new byte[256];
    var columns = new Numbers<Key>();
    var firstColumns = new ArrayList<Integer>();
    for (int modrm = 0; modrm < 256; modrm++) {
      int at = modrm;
      int number = columns.of(Key.of(Arrays.stream(table).mapToLong(row -> row[at]).toArray()));
      columnMap[modrm] = (byte) number;
      if (number == firstColumns.size()) {
        firstColumns.add(modrm);
      }
    }
    byte[] rowMap = new byte[table.length];
    var rows = new Numbers<Key>();
    for (int i = 0; i < table.length; i++) {
      char[] row = table[i];
      rowMap[i] = (byte) rows.of(Key.of(firstColumns.stream().mapToLong(c -> row[c]).toArray()));
    }
    if (rows.size() > 256) {
      throw new IllegalStateException("more different rows of an opcode than a byte has numbers for");
    }
    long[] block = rows.all().stream().flatMap(row -> row.numbers().stream()).mapToLong(Long::longValue)
        .toArray();
    int start = blocks.computeIfAbsent(Key.of(block), _ -> addCells(block));
    int column = columnMaps.of(key(columnMap));
    if (column == columnMapBytes.size()) {
      columnMapBytes.add(columnMap);
    }
    int row = rowMaps.of(key(rowMap));
    if (row == rowMapBytes.size()) {
      rowMapBytes.add(rowMap);
      rowMapStarts.add(rowUnits);
      rowUnits += rowMap.length / ROW_UNIT;
    }
    return start | (long) firstColumns.size() << 24 | (long) rowMapStarts.get(row) << 33
        | (long) column << 49;
  }

  private static Key key(byte[] bytes) {
    long[] numbers = new long[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      numbers[i] = bytes[i];
    }
    return Key.of(numbers);
  }

  private int addCells(long[] block) {
    int start = cellCount;
    if (start + block.length > cells.length) {
      cells = Arrays.copyOf(cells, Math.max(cells.length * 2, start + block.length));
    }
    for (long form : block) {
      cells[cellCount++] = (char) form;
    }
    return start;
  }

  private Tables tables(long[] roots) {
    byte[] rowBytes = new byte[rowUnits * ROW_UNIT];
    for (int i = 0; i < rowMapBytes.size(); i++) {
      byte[] map = rowMapBytes.get(i);
      System.arraycopy(map, 0, rowBytes, rowMapStarts.get(i) * ROW_UNIT, map.length);
    }
    byte[] columnBytes = new byte[columnMapBytes.size() * 256];
    for (int i = 0; i < columnMapBytes.size(); i++) {
      System.arraycopy(columnMapBytes.get(i), 0, columnBytes, i * 256, 256);
    }
    List<FinalForm> all = forms.all();
    int count = all.size();
    char[] mnemonics = new char[count];
    byte[] categories = new byte[count];
    byte[] isaSets = new byte[count];
    byte[] branchKinds = new byte[count];
    byte[] operandWidths = new byte[count];
    byte[] attributes = new byte[count];
    byte[] flags = new byte[count];
    char[] texts = new char[count];
    int[] info = new int[count];
    char[] lists = new char[count];
    var flagSets = new Numbers<List<Integer>>();
    var operands = new Numbers<Long>();
    var operandLists = new Numbers<List<Long>>();
    for (int i = 0; i < count; i++) {
      Meaning meaning = all.get(i).meaning();
      mnemonics[i] = (char) meaning.mnemonic();
      categories[i] = (byte) meaning.category();
      isaSets[i] = (byte) meaning.isaSet();
      branchKinds[i] = (byte) meaning.branchKind();
      operandWidths[i] = (byte) meaning.operandWidth();
      attributes[i] = (byte) meaning.attributes();
      flags[i] = (byte) flagSets.of(List.of(meaning.flagsRead(), meaning.flagsWritten()));
      texts[i] = (char) meaning.text();
      info[i] = meaning.info() | all.get(i).constraint() << CONSTRAINT;
      lists[i] = (char) operandLists.of(meaning.operands());
    }
    var starts = new ArrayList<Integer>();
    var items = new ArrayList<Integer>();
    for (List<Long> list : operandLists.all()) {
      starts.add(items.size());
      items.add(list.size());
      list.forEach(operand -> items.add(operands.of(operand)));
    }
    if (flagSets.size() > 256 || items.size() > 0xffff) {
      throw new IllegalStateException("more sets of flags or operands than the tables have numbers for");
    }
    return new Tables(PinnedZydis.VERSION, roots, rowBytes, columnBytes, Arrays.copyOf(cells, cellCount),
        mnemonics, categories, isaSets, branchKinds, operandWidths, attributes, flags, texts, info, lists,
        flagSets.all().stream().mapToInt(List::getFirst).toArray(),
        flagSets.all().stream().mapToInt(List::getLast).toArray(), chars(starts), chars(items),
        operands.all().stream().mapToLong(Long::longValue).toArray(), constraints.all().stream()
            .flatMap(key -> key.numbers().stream()).mapToInt(Long::intValue).toArray());
  }

  private static char[] chars(List<Integer> numbers) {
    char[] chars = new char[numbers.size()];
    for (int i = 0; i < chars.length; i++) {
      chars[i] = (char) (int) numbers.get(i);
    }
    return chars;
  }

  /** How often Zydis was asked. */
  long questions() {
    return questions;
  }
}
