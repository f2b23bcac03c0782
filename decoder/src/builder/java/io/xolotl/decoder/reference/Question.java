package io.xolotl.decoder.reference;

import static java.lang.foreign.MemoryLayout.PathElement.groupElement;
import static java.lang.foreign.MemoryLayout.PathElement.sequenceElement;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.tables.IntelSyntax;
import io.xolotl.decoder.zydis.Zydis;
import io.xolotl.decoder.zydis.ZydisDecodedInstruction_;
import io.xolotl.decoder.zydis.ZydisDecodedOperand_;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.util.stream.Stream;

/**
 * Bytes about which Zydis is asked, hundreds of millions of times, and its raw answer. Nothing is corrected
 * here: what the tables do differently is done by those who build and compare them.
 *
 * <p>Used by one thread.
 */
final class Question {

  private static final MemorySegment MEMORY = ZydisCalls.MEMORY;

  /** The second immediate, counted from the first. */
  private static final long IMMEDIATE_STRIDE = ZydisDecodedInstruction_.layout()
      .byteOffset(groupElement("raw"), groupElement("imm"), sequenceElement(1))
      - ZydisDecodedInstruction_.layout().byteOffset(groupElement("raw"), groupElement("imm"),
          sequenceElement(0));
  private static final long IMMEDIATE_IS_SIGNED = ZydisDecodedInstruction_.layout().byteOffset(
      groupElement("raw"), groupElement("imm"), sequenceElement(0), groupElement("is_signed"));
  private static final long IS_STATIC_BROADCAST = instruction("avx", "broadcast", "is_static");
  private static final long BROADCAST = instruction("avx", "broadcast", "mode");
  private static final long ROUNDING = instruction("avx", "rounding", "mode");
  private static final long HAS_SAE = instruction("avx", "has_sae");
  private static final long OPERAND_ENCODING = ZydisDecodedOperand_.layout()
      .byteOffset(groupElement("encoding"));

  /** Room for prefixes, an instruction that is too long, and one more prefix. */
  private static final int BUFFER_SIZE = 64;
  private static final int MAX_OPERANDS = 10;
  private static final int ASKED_LENGTH = 15;

  private final long zydis;
  private final long context;
  private final long instruction;
  private final long operands;
  private final long buffer;
  private final long address;

  Question(boolean mode64, boolean amd, boolean mpx) {
    ZydisLibrary.names();
    Arena arena = Arena.global();
    MemorySegment decoder = arena.allocate(ZydisStructs.DECODER_SIZE, 8);
    ZydisNames.requireSuccess(mode64
        ? Zydis.ZydisDecoderInit(decoder, Zydis.ZYDIS_MACHINE_MODE_LONG_64(), Zydis.ZYDIS_STACK_WIDTH_64())
        : Zydis.ZydisDecoderInit(decoder, Zydis.ZYDIS_MACHINE_MODE_LONG_COMPAT_32(),
            Zydis.ZYDIS_STACK_WIDTH_32()));
    ZydisNames.requireSuccess(Zydis.ZydisDecoderEnableMode(decoder, Zydis.ZYDIS_DECODER_MODE_AMD_BRANCHES(),
        (byte) (amd ? 1 : 0)));
    ZydisNames.requireSuccess(
        Zydis.ZydisDecoderEnableMode(decoder, Zydis.ZYDIS_DECODER_MODE_MPX(), (byte) (mpx ? 1 : 0)));
    zydis = decoder.address();
    context = arena.allocate(ZydisStructs.CONTEXT_SIZE, 64).address();
    instruction = arena.allocate(ZydisStructs.INSTRUCTION_SIZE, 64).address();
    operands = arena.allocate(ZydisStructs.OPERAND_SIZE * MAX_OPERANDS, 64).address();
    buffer = arena.allocate(BUFFER_SIZE, 64).address();
    address = buffer;
  }

  private static long instruction(String... path) {
    return ZydisDecodedInstruction_.layout()
        .byteOffset(Stream.of(path).map(PathElement::groupElement).toArray(PathElement[]::new));
  }

  // The bytes.

  void put(int offset, int b) {
    MEMORY.set(JAVA_BYTE, buffer + offset, (byte) b);
  }

  int get(int offset) {
    return MEMORY.get(JAVA_BYTE, buffer + offset) & 0xff;
  }

  void load(byte[] code, int offset, int length) {
    MemorySegment.copy(code, offset, MEMORY, JAVA_BYTE, buffer, length);
  }

  /** The first of the bytes. */
  byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    MemorySegment.copy(MEMORY, JAVA_BYTE, buffer, bytes, 0, length);
    return bytes;
  }

  /** Moves all bytes up and puts one before them. */
  void prepend(int b) {
    for (int i = BUFFER_SIZE - 2; i > 0; i--) {
      put(i, get(i - 1));
    }
    put(0, b);
  }

  /** Undoes {@link #prepend}. */
  void dropFirst() {
    for (int i = 0; i < BUFFER_SIZE - 2; i++) {
      put(i, get(i + 1));
    }
  }

  // The answer.

  /** Asks about as many bytes as an instruction may have. */
  boolean ask() {
    return ask(ASKED_LENGTH) >= 0;
  }

  /** Asks; negative if there is no instruction. */
  int ask(int length) {
    return ZydisCalls.decodeInstruction(zydis, context, address, length, instruction);
  }

  /** Asks for the operands of what was asked about last. */
  boolean askOperands() {
    return ZydisCalls.decodeOperands(zydis, context, instruction, operands, (byte) operandCount()) >= 0;
  }

  private int byteAt(long offset) {
    return MEMORY.get(JAVA_BYTE, instruction + offset) & 0xff;
  }

  private int intAt(long offset) {
    return MEMORY.get(JAVA_INT_UNALIGNED, instruction + offset);
  }

  private long longAt(long offset) {
    return MEMORY.get(JAVA_LONG_UNALIGNED, instruction + offset);
  }

  boolean has(long attribute) {
    return (longAt(ZydisStructs.ATTRIBUTES) & attribute) != 0;
  }

  boolean hasModrm() {
    return has(Zydis.ZYDIS_ATTRIB_HAS_MODRM());
  }

  int mnemonic() {
    return intAt(ZydisStructs.MNEMONIC);
  }

  int category() {
    return intAt(ZydisStructs.CATEGORY);
  }

  int isaSet() {
    return intAt(ZydisStructs.ISA_SET);
  }

  int branchKind() {
    return intAt(ZydisStructs.BRANCH_TYPE);
  }

  int operandWidth() {
    return byteAt(ZydisStructs.OPERAND_WIDTH);
  }

  int addressWidth() {
    return byteAt(ZydisStructs.ADDRESS_WIDTH);
  }

  int operandCount() {
    return byteAt(ZydisStructs.OPERAND_COUNT);
  }

  int mod() {
    return byteAt(ZydisStructs.MODRM_MOD);
  }

  int modrmOffset() {
    return byteAt(ZydisStructs.MODRM_OFFSET);
  }

  int displacementSize() {
    return byteAt(ZydisStructs.DISPLACEMENT_SIZE) / Byte.SIZE;
  }

  int immediateSize(int which) {
    return byteAt(ZydisStructs.IMMEDIATE_SIZE + which * IMMEDIATE_STRIDE) / Byte.SIZE;
  }

  boolean isImmediateSigned(int which) {
    return byteAt(IMMEDIATE_IS_SIGNED + which * IMMEDIATE_STRIDE) != 0;
  }

  boolean isImmediateRelative(int which) {
    return byteAt(ZydisStructs.IMMEDIATE_IS_RELATIVE + which * IMMEDIATE_STRIDE) != 0;
  }

  long immediate(int which) {
    return longAt(ZydisStructs.IMMEDIATE + which * IMMEDIATE_STRIDE);
  }

  /** Those of {@link Form}. */
  int attributes() {
    return (has(Zydis.ZYDIS_ATTRIB_HAS_LOCK()) ? Form.LOCK : 0)
        | (has(Zydis.ZYDIS_ATTRIB_HAS_REP()) ? Form.REP : 0)
        | (has(Zydis.ZYDIS_ATTRIB_HAS_REPE()) ? Form.REPE : 0)
        | (has(Zydis.ZYDIS_ATTRIB_HAS_REPNE()) ? Form.REPNE : 0)
        | (has(Zydis.ZYDIS_ATTRIB_IS_PRIVILEGED()) ? Form.PRIVILEGED : 0)
        | (has(Zydis.ZYDIS_ATTRIB_HAS_OPERANDSIZE()) ? Form.OPERAND_SIZE : 0);
  }

  /** What only the text needs, as {@link IntelSyntax} has it. */
  int text() {
    return (byteAt(IS_STATIC_BROADCAST) == 0 ? (intAt(BROADCAST) & 15) << IntelSyntax.BROADCAST : 0)
        | intAt(ROUNDING) << IntelSyntax.ROUNDING | (byteAt(HAS_SAE) != 0 ? IntelSyntax.SUPPRESSED : 0)
        | (branchKind() == Zydis.ZYDIS_BRANCH_TYPE_FAR() ? IntelSyntax.FAR : 0)
        | (has(Zydis.ZYDIS_ATTRIB_HAS_BND()) ? IntelSyntax.BND : 0)
        | (has(Zydis.ZYDIS_ATTRIB_HAS_XACQUIRE()) ? IntelSyntax.XACQUIRE : 0)
        | (has(Zydis.ZYDIS_ATTRIB_HAS_XRELEASE()) ? IntelSyntax.XRELEASE : 0);
  }

  int flagsRead() {
    long flags = longAt(ZydisStructs.CPU_FLAGS);
    return flags == 0 ? 0 : MEMORY.get(JAVA_INT_UNALIGNED, flags + ZydisStructs.FLAGS_TESTED);
  }

  int flagsWritten() {
    long flags = longAt(ZydisStructs.CPU_FLAGS);
    return flags == 0
        ? 0
        : MEMORY.get(JAVA_INT_UNALIGNED, flags + ZydisStructs.FLAGS_MODIFIED)
            | MEMORY.get(JAVA_INT_UNALIGNED, flags + ZydisStructs.FLAGS_SET_0)
            | MEMORY.get(JAVA_INT_UNALIGNED, flags + ZydisStructs.FLAGS_SET_1)
            | MEMORY.get(JAVA_INT_UNALIGNED, flags + ZydisStructs.FLAGS_UNDEFINED);
  }

  // An operand.

  private long operand(int index, long offset) {
    return operands + index * ZydisStructs.OPERAND_SIZE + offset;
  }

  private int operandInt(int index, long offset) {
    return MEMORY.get(JAVA_INT_UNALIGNED, operand(index, offset));
  }

  private int operandByte(int index, long offset) {
    return MEMORY.get(JAVA_BYTE, operand(index, offset)) & 0xff;
  }

  int operandType(int index) {
    return operandInt(index, ZydisStructs.OPERAND_TYPE);
  }

  int operandEncoding(int index) {
    return operandInt(index, OPERAND_ENCODING);
  }

  int visibility(int index) {
    return operandInt(index, ZydisStructs.OPERAND_VISIBILITY);
  }

  int actions(int index) {
    return operandByte(index, ZydisStructs.OPERAND_ACTIONS) & 15;
  }

  int width(int index) {
    return MEMORY.get(JAVA_SHORT_UNALIGNED, operand(index, ZydisStructs.OPERAND_BITS)) & 0xffff;
  }

  int register(int index) {
    return operandInt(index, ZydisStructs.REGISTER);
  }

  int memoryKind(int index) {
    return operandInt(index, ZydisStructs.MEMORY_TYPE);
  }

  int segment(int index) {
    return operandInt(index, ZydisStructs.MEMORY_SEGMENT);
  }

  int base(int index) {
    return operandInt(index, ZydisStructs.MEMORY_BASE);
  }

  int index(int index) {
    return operandInt(index, ZydisStructs.MEMORY_INDEX);
  }

  int scale(int index) {
    return operandByte(index, ZydisStructs.MEMORY_SCALE);
  }

  long displacement(int index) {
    return MEMORY.get(JAVA_LONG_UNALIGNED, operand(index, ZydisStructs.MEMORY_DISPLACEMENT));
  }

  boolean isRelative(int index) {
    return operandByte(index, ZydisStructs.OPERAND_IS_RELATIVE) != 0;
  }

  long value(int index) {
    return MEMORY.get(JAVA_LONG_UNALIGNED, operand(index, ZydisStructs.OPERAND_VALUE));
  }
}
