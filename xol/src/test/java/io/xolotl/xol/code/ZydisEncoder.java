package io.xolotl.xol.code;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.zydis.Zydis;
import io.xolotl.decoder.zydis.ZydisEncoderOperand_;
import io.xolotl.decoder.zydis.ZydisEncoderOperand_.ZydisEncoderOperandImm_;
import io.xolotl.decoder.zydis.ZydisEncoderOperand_.ZydisEncoderOperandMem_;
import io.xolotl.decoder.zydis.ZydisEncoderOperand_.ZydisEncoderOperandReg_;
import io.xolotl.decoder.zydis.ZydisEncoderRequest_;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntFunction;

/** Zydis' encoder, which is told what is wanted and knows nothing of our bytes. */
final class ZydisEncoder {

  /** Where the build of the decoder stages it. */
  private static final Path LIBRARY = Path
      .of("../decoder/target/zydis/io/xolotl/zydis/linux-x86-64/libZydis.so").toAbsolutePath().normalize();
  private static final int MOST_NAMES = 4096;
  private static final Map<String, Integer> MNEMONICS;
  private static final Map<String, Integer> REGISTERS;

  static {
    System.load(LIBRARY.toString());
    // Their numbers are not the same in each version.
    MNEMONICS = names(Zydis::ZydisMnemonicGetString);
    REGISTERS = names(Zydis::ZydisRegisterGetString);
  }

  /** How wide the displacement of a branch is. */
  enum Width {
    NONE, BITS_8, BITS_16, BITS_32, BITS_64
  }

  private final Arena arena = Arena.ofAuto();
  private final MemorySegment request = arena.allocate(ZydisEncoderRequest_.layout());
  private int operands;

  private ZydisEncoder(String mnemonic) {
    ZydisEncoderRequest_.machine_mode(request, Zydis.ZYDIS_MACHINE_MODE_LONG_64());
    ZydisEncoderRequest_.mnemonic(request, number(MNEMONICS, mnemonic));
  }

  static ZydisEncoder of(String mnemonic) {
    return new ZydisEncoder(mnemonic);
  }

  private static Map<String, Integer> names(IntFunction<MemorySegment> name) {
    var names = new HashMap<String, Integer>();
    for (int i = 0; i < MOST_NAMES; i++) {
      MemorySegment text = name.apply(i);
      if (text.address() != 0) {
        names.putIfAbsent(text.reinterpret(64).getString(0), i);
      }
    }
    return names;
  }

  private static int number(Map<String, Integer> names, String name) {
    assertThat(names).containsKey(name);
    return names.get(name);
  }

  /** The name of a general register of 64, 32 or 16 bits. */
  static String name(Gpr gpr, int width) {
    String name = gpr.name().toLowerCase(Locale.ROOT);
    if (gpr.index() >= 8) {
      return width == 64 ? name : name + (width == 32 ? "d" : "w");
    }
    return width == 64 ? name : (width == 32 ? "e" : "") + name.substring(1);
  }

  private MemorySegment operand(int type) {
    MemorySegment operand = ZydisEncoderRequest_.operands(request, operands++);
    ZydisEncoderRequest_.operand_count(request, (byte) operands);
    ZydisEncoderOperand_.type(operand, type);
    return operand;
  }

  ZydisEncoder register(String name) {
    MemorySegment operand = operand(Zydis.ZYDIS_OPERAND_TYPE_REGISTER());
    ZydisEncoderOperandReg_.value(ZydisEncoderOperand_.reg(operand), number(REGISTERS, name));
    return this;
  }

  ZydisEncoder number(long value) {
    MemorySegment operand = operand(Zydis.ZYDIS_OPERAND_TYPE_IMMEDIATE());
    ZydisEncoderOperandImm_.s(ZydisEncoderOperand_.imm(operand), value);
    return this;
  }

  /** Registers by their names, or none. */
  ZydisEncoder memory(String base, String index, int scale, long displacement, int bytes) {
    MemorySegment memory = ZydisEncoderOperand_.mem(operand(Zydis.ZYDIS_OPERAND_TYPE_MEMORY()));
    if (!base.isEmpty()) {
      ZydisEncoderOperandMem_.base(memory, number(REGISTERS, base));
    }
    if (!index.isEmpty()) {
      ZydisEncoderOperandMem_.index(memory, number(REGISTERS, index));
      ZydisEncoderOperandMem_.scale(memory, (byte) scale);
    }
    ZydisEncoderOperandMem_.displacement(memory, displacement);
    ZydisEncoderOperandMem_.size(memory, (short) bytes);
    return this;
  }

  ZydisEncoder branch(Width width) {
    ZydisEncoderRequest_.branch_width(request, width.ordinal());
    return this;
  }

  ZydisEncoder prefixes(long attributes) {
    ZydisEncoderRequest_.prefixes(request, attributes);
    return this;
  }

  /** The number of its hint: 0 for none, 1 to 3 for 16, 32 and 64 bits. */
  ZydisEncoder addressSize(int bits) {
    ZydisEncoderRequest_.address_size_hint(request, List.of(0, 16, 32, 64).indexOf(bits));
    return this;
  }

  byte[] encode() {
    MemorySegment code = arena.allocate(15);
    MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_LONG, 15L);
    assertThat(Zydis.ZydisEncoderEncodeInstruction(request, code, length)).as("the encoder's status")
        .isNotNegative();
    return code.asSlice(0, length.get(ValueLayout.JAVA_LONG, 0)).toArray(ValueLayout.JAVA_BYTE);
  }
}
