package io.xolotl.decoder.reference;

import static java.lang.foreign.MemoryLayout.PathElement.groupElement;
import static java.lang.foreign.MemoryLayout.PathElement.sequenceElement;

import io.xolotl.decoder.zydis.ZydisAccessedFlags_;
import io.xolotl.decoder.zydis.ZydisDecodedInstruction_;
import io.xolotl.decoder.zydis.ZydisDecodedOperand_;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.util.stream.Stream;

/**
 * Offsets of the members of Zydis' structures that are read here, taken from the bindings by name.
 *
 * <p>Reading by offset from one segment costs no slice for an inner structure.
 */
final class ZydisStructs {

  /** {@code ZydisDecoder} is smaller in every release of version 4; only Zydis looks into it. */
  static final long DECODER_SIZE = 64;
  /** {@code ZydisDecoderContext}, twice its size of version 4.0. */
  static final long CONTEXT_SIZE = 64;
  /** {@code ZydisFormatter}, 584 bytes in 4.0 and 4.1; only Zydis looks into it. */
  static final long FORMATTER_SIZE = 1024;

  static final long INSTRUCTION_SIZE = ZydisDecodedInstruction_.sizeof();
  static final long MNEMONIC = instruction("mnemonic");
  static final long LENGTH = instruction("length");
  static final long ENCODING = instruction("encoding");
  static final long OPCODE_MAP = instruction("opcode_map");
  static final long OPCODE = instruction("opcode");
  static final long OPERAND_WIDTH = instruction("operand_width");
  static final long ADDRESS_WIDTH = instruction("address_width");
  static final long OPERAND_COUNT = instruction("operand_count");
  static final long ATTRIBUTES = instruction("attributes");
  static final long CPU_FLAGS = instruction("cpu_flags");
  static final long CATEGORY = instruction("meta", "category");
  static final long ISA_SET = instruction("meta", "isa_set");
  static final long BRANCH_TYPE = instruction("meta", "branch_type");
  static final long REX_W = raw("rex", "W");
  static final long REX_OFFSET = raw("rex", "offset");
  static final long XOP_OFFSET = raw("xop", "offset");
  static final long VEX_OFFSET = raw("vex", "offset");
  static final long EVEX_OFFSET = raw("evex", "offset");
  static final long MODRM_MOD = instruction("raw", "modrm", "mod");
  static final long MODRM_REG = instruction("raw", "modrm", "reg");
  static final long MODRM_RM = instruction("raw", "modrm", "rm");
  static final long MODRM_OFFSET = instruction("raw", "modrm", "offset");
  static final long SIB_BASE = instruction("raw", "sib", "base");
  static final long DISPLACEMENT = instruction("raw", "disp", "value");
  static final long DISPLACEMENT_SIZE = instruction("raw", "disp", "size");
  static final long DISPLACEMENT_OFFSET = instruction("raw", "disp", "offset");
  static final long IMMEDIATE_IS_RELATIVE = immediate("is_relative");
  static final long IMMEDIATE = immediate("value");
  static final long IMMEDIATE_SIZE = immediate("size");
  static final long IMMEDIATE_OFFSET = immediate("offset");

  static final long OPERAND_SIZE = ZydisDecodedOperand_.sizeof();
  static final long OPERAND_VISIBILITY = operand("visibility");
  static final long OPERAND_ACTIONS = operand("actions");
  static final long OPERAND_BITS = operand("size");
  static final long OPERAND_TYPE = operand("type");
  static final long REGISTER = operand("reg", "value");
  static final long MEMORY_TYPE = operand("mem", "type");
  static final long MEMORY_SEGMENT = operand("mem", "segment");
  static final long MEMORY_BASE = operand("mem", "base");
  static final long MEMORY_INDEX = operand("mem", "index");
  static final long MEMORY_SCALE = operand("mem", "scale");
  static final long MEMORY_HAS_DISPLACEMENT = operand("mem", "disp", "has_displacement");
  static final long MEMORY_DISPLACEMENT = operand("mem", "disp", "value");
  static final long POINTER_SEGMENT = operand("ptr", "segment");
  static final long POINTER_OFFSET = operand("ptr", "offset");
  static final long OPERAND_IS_RELATIVE = operand("imm", "is_relative");
  static final long OPERAND_VALUE = operand("imm", "value");

  static final long FLAGS_SIZE = ZydisAccessedFlags_.sizeof();
  static final long FLAGS_TESTED = flags("tested");
  static final long FLAGS_MODIFIED = flags("modified");
  static final long FLAGS_SET_0 = flags("set_0");
  static final long FLAGS_SET_1 = flags("set_1");
  static final long FLAGS_UNDEFINED = flags("undefined");

  private ZydisStructs() {}

  private static long instruction(String... path) {
    return offset(ZydisDecodedInstruction_.layout(), path);
  }

  /** A member of one of the prefixes, which share their place in an unnamed union within {@code raw}. */
  private static long raw(String... path) {
    MemoryLayout raw = ZydisDecodedInstruction_.layout().select(groupElement("raw"));
    return instruction("raw") + throughUnion(raw, path);
  }

  private static long operand(String... path) {
    MemoryLayout layout = ZydisDecodedOperand_.layout();
    return path.length == 1 ? offset(layout, path) : throughUnion(layout, path);
  }

  private static long flags(String name) {
    return offset(ZydisAccessedFlags_.layout(), name);
  }

  private static long immediate(String name) {
    return ZydisDecodedInstruction_.layout().byteOffset(groupElement("raw"), groupElement("imm"),
        sequenceElement(0),
        groupElement(name));
  }

  private static long throughUnion(MemoryLayout layout, String... path) {
    String union = ((GroupLayout) layout).memberLayouts().stream()
        .map(member -> member.name().orElse("")).filter(name -> name.startsWith("$anon$")).findFirst()
        .orElseThrow();
    return offset(layout, Stream.concat(Stream.of(union), Stream.of(path)).toArray(String[]::new));
  }

  private static long offset(MemoryLayout layout, String... path) {
    return layout.byteOffset(Stream.of(path).map(PathElement::groupElement).toArray(PathElement[]::new));
  }
}
