package io.xolotl.decoder.tables;

import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.Names.RegisterName;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * What Zydis answered when it was asked about every opcode, for one mode. {@code docs/decoder.md} has the
 * whole picture; in short:
 *
 * <pre>
 *   space, opcode        --roots-->    first cell, columns, row map, column map
 *   prefixes (the row)   --rowMaps-->  which row of cells
 *   modrm (the column)   --columnMaps--&gt;  which cell of it
 *   cell                 ------------>  form, 0 if there is no such instruction
 * </pre>
 *
 * <p>Equal rows and equal columns of an opcode are there once: what tells two instructions apart is what
 * Zydis answers, not what somebody believes of the architecture. So the look-up is the same for an
 * {@code add}, for a group and for a system instruction.
 *
 * <p>Immutable once read; the arrays are shared and never written.
 *
 * @param zydisVersion who was asked, as in {@code 4.1.1}
 * @param roots by variant, space and opcode: first cell (24 bits), number of columns (9), row map (16),
 *     column map (15); 0 if nothing is valid. Variants but the first have the first two spaces only
 * @param rowMaps in units of {@link #ROW_UNIT}: by row, the number of its row of cells
 * @param columnMaps in units of 256: by modrm byte, the number of its column
 * @param cells forms
 * @param mnemonics by form
 * @param categories by form
 * @param isaSets by form
 * @param branchKinds by form
 * @param operandWidths by form, in bits
 * @param attributes by form, the constants of {@link io.xolotl.decoder.backend.Form}
 * @param flags by form: which of the sets of flags
 * @param texts by form: {@link IntelSyntax} has the constants
 * @param info by form: the constants here
 * @param lists by form: which list of operands
 * @param flagsRead by set of flags
 * @param flagsWritten by set of flags
 * @param listStarts by list of operands: where it starts
 * @param listItems the number of operands of a list, and then which they are
 * @param operands {@link OperandCode}s
 * @param constraints four numbers each: which of the four values of reg's extension bits are accepted, of
 *     rm's, of the 32 of vvvv, and which registers must differ ({@link Constraint})
 */
public record Tables(String zydisVersion, long[] roots, byte[] rowMaps, byte[] columnMaps, char[] cells,
    char[] mnemonics, byte[] categories, byte[] isaSets, byte[] branchKinds, byte[] operandWidths,
    byte[] attributes, byte[] flags, char[] texts, int[] info, char[] lists, int[] flagsRead,
    int[] flagsWritten, char[] listStarts, char[] listItems, long[] operands, int[] constraints) {

  /** Readings of the instruction set: bit 0 for AMD's branches, bit 1 for MPX. */
  public static final int VARIANTS = 4;
  /** How many spaces differ between variants: legacy maps 0 and 0f. */
  public static final int VARIANT_SPACES = 2;
  /** Roots of a space. */
  public static final int OPCODES = 256;

  /** Rows of the smallest row map, that of VEX and XOP. */
  public static final int ROW_UNIT = 32;

  // The bits of info.

  /** There is a modrm byte. */
  public static final int MODRM = 1;
  /** All bytes of immediates: 4 bits from here. */
  public static final int IMMEDIATE_BYTES = 1;
  /** There is an address of memory, as wide as an address is. */
  public static final int MOFFS = 1 << 5;
  /** Bytes of the first immediate: 4 bits from here. */
  public static final int FIRST_BYTES = 6;
  /** The first immediate counts from the end of the instruction. */
  public static final int FIRST_RELATIVE = 1 << 10;
  /** The first immediate is sign-extended. */
  public static final int FIRST_SIGNED = 1 << 11;
  /** Bytes of the second immediate: 4 bits from here. */
  public static final int SECOND_BYTES = 12;
  /** The second immediate counts from the end of the instruction. */
  public static final int SECOND_RELATIVE = 1 << 16;
  /** The second immediate is sign-extended. */
  public static final int SECOND_SIGNED = 1 << 17;
  /** Binary logarithm of what EVEX multiplies a displacement of 8 bits with: 3 bits from here. */
  public static final int SCALE = 18;
  /** Which constraint: 8 bits from here. */
  public static final int CONSTRAINT = 21;
  /** The modrm byte names a register whatever its mod is: mov of control and debug registers. */
  public static final int REGISTER = 1 << 29;
  /** Addresses have their full size whatever prefix 67 says: encls and its kin. */
  public static final int WIDE = 1 << 30;

  /** Numbers of a constraint. */
  public static final int CONSTRAINT_SIZE = 4;

  private static final int MAGIC = 0x584c4431; // XLD1
  private static final int VERSION_SIZE = 16;

  /** How many bits tell what stands before the opcode. */
  public static int rowBits(int space) {
    return space < Layout.XOP ? 8 : space < Layout.EVEX ? 5 : 9;
  }

  /** The roots of a variant, all spaces of it. */
  long[] roots(int variant) {
    long[] all = Arrays.copyOf(roots, Layout.SPACES * OPCODES);
    if (variant > 0) {
      int size = VARIANT_SPACES * OPCODES;
      System.arraycopy(roots, all.length + (variant - 1) * size, all, 0, size);
    }
    return all;
  }

  /**
   * Reads what {@link #bytes} gives.
   *
   * @param name the resource beside this class
   * @throws IllegalStateException if it is missing or damaged, which is a fault of the jar
   */
  static Tables read(String name) {
    ByteBuffer in = ByteBuffer.wrap(resource(name)).order(ByteOrder.LITTLE_ENDIAN);
    if (in.remaining() < Integer.BYTES + VERSION_SIZE || in.getInt() != MAGIC) {
      throw new IllegalStateException("Xolotl's jar is damaged: its " + name + " is no table");
    }
    byte[] version = new byte[VERSION_SIZE];
    in.get(version);
    return new Tables(new String(version, StandardCharsets.US_ASCII).strip(), longs(in), bytes(in), bytes(in),
        chars(in), chars(in), bytes(in), bytes(in), bytes(in), bytes(in), bytes(in), bytes(in), chars(in),
        ints(in), chars(in), ints(in), ints(in), chars(in), chars(in), longs(in), ints(in));
  }

  private static byte[] resource(String name) {
    try (InputStream in = Tables.class.getResourceAsStream(name)) {
      return Objects.requireNonNull(in, name).readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  // Arrays as they lie in memory, so that reading one is one copy. The jar packs them.

  private static byte[] bytes(ByteBuffer in) {
    byte[] array = new byte[in.getInt()];
    in.get(array);
    return array;
  }

  private static char[] chars(ByteBuffer in) {
    char[] array = new char[in.getInt()];
    in.asCharBuffer().get(array);
    in.position(in.position() + array.length * Character.BYTES);
    return array;
  }

  private static int[] ints(ByteBuffer in) {
    int[] array = new int[in.getInt()];
    in.asIntBuffer().get(array);
    in.position(in.position() + array.length * Integer.BYTES);
    return array;
  }

  private static long[] longs(ByteBuffer in) {
    long[] array = new long[in.getInt()];
    in.asLongBuffer().get(array);
    in.position(in.position() + array.length * Long.BYTES);
    return array;
  }

  /** Returns what {@link #read} reads. */
  public byte[] bytes() {
    var out = new TableWriter();
    out.put(MAGIC);
    out.put(zydisVersion, VERSION_SIZE);
    out.put(roots).put(rowMaps).put(columnMaps).put(cells).put(mnemonics).put(categories).put(isaSets)
        .put(branchKinds).put(operandWidths).put(attributes).put(flags).put(texts).put(info).put(lists)
        .put(flagsRead).put(flagsWritten).put(listStarts).put(listItems).put(operands).put(constraints);
    return out.bytes();
  }

  /**
   * Reads names: a line each for mnemonics, categories, instruction sets, and registers as
   * {@code name:width:general}.
   */
  static Names readNames(String name) {
    String[] lines = new String(resource(name), StandardCharsets.US_ASCII).split("\n");
    // No streams, nor lambdas: on the way to a JVM's first instruction they cost as much as all the rest.
    var registers = new ArrayList<RegisterName>();
    for (String register : lines[3].split(" ")) {
      int width = register.indexOf(':') + 1;
      int general = register.indexOf(':', width) + 1;
      registers.add(new RegisterName(register.substring(0, width - 1),
          Integer.parseInt(register, width, general - 1, 10),
          Integer.parseInt(register, general, register.length(), 10)));
    }
    return new Names(List.of(lines[0].split(" ")), List.of(lines[1].split(" ")),
        List.of(lines[2].split(" ")), List.copyOf(registers));
  }

  /** Returns what {@link #readNames} reads. */
  public static byte[] bytes(Names names) {
    List<String> registers = names.registers().stream()
        .map(r -> r.name() + ":" + r.width() + ":" + r.general()).toList();
    String text = String.join(" ", names.mnemonics()) + "\n" + String.join(" ", names.categories()) + "\n"
        + String.join(" ", names.isaSets()) + "\n" + String.join(" ", registers) + "\n";
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
