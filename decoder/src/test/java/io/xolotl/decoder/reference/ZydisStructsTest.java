package io.xolotl.decoder.reference;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.zydis.ZydisDecodedInstruction_;
import io.xolotl.decoder.zydis.ZydisDecodedOperand_;
import io.xolotl.decoder.zydis.ZydisEncoderRequest_;
import org.junit.jupiter.api.Test;

/**
 * The binary interface of Zydis 4.0 and 4.1, measured with their own headers. Bindings made with a later
 * libclang lack the members of unnamed unions, or have them elsewhere.
 */
class ZydisStructsTest {

  @Test
  void sizesAreThoseOfZydis4() {
    assertThat(ZydisDecodedInstruction_.sizeof()).isEqualTo(328);
    assertThat(ZydisDecodedOperand_.sizeof()).isEqualTo(80);
    assertThat(ZydisEncoderRequest_.sizeof()).isEqualTo(400);
    assertThat(ZydisStructs.INSTRUCTION_SIZE).isEqualTo(328);
    assertThat(ZydisStructs.OPERAND_SIZE).isEqualTo(80);
    assertThat(ZydisStructs.FLAGS_SIZE).isEqualTo(20);
  }

  @Test
  void opaqueStructuresFitWhatIsAllocatedForThem() {
    assertThat(ZydisStructs.DECODER_SIZE).isGreaterThanOrEqualTo(20);
    assertThat(ZydisStructs.CONTEXT_SIZE).isGreaterThanOrEqualTo(32);
    assertThat(ZydisStructs.FORMATTER_SIZE).isGreaterThanOrEqualTo(584);
  }

  @Test
  void instructionMembersAreWhereZydis4HasThem() {
    assertThat(ZydisStructs.MNEMONIC).isEqualTo(4);
    assertThat(ZydisStructs.LENGTH).isEqualTo(8);
    assertThat(ZydisStructs.ENCODING).isEqualTo(12);
    assertThat(ZydisStructs.OPCODE_MAP).isEqualTo(16);
    assertThat(ZydisStructs.OPCODE).isEqualTo(20);
    assertThat(ZydisStructs.OPERAND_WIDTH).isEqualTo(22);
    assertThat(ZydisStructs.ADDRESS_WIDTH).isEqualTo(23);
    assertThat(ZydisStructs.OPERAND_COUNT).isEqualTo(24);
    assertThat(ZydisStructs.ATTRIBUTES).isEqualTo(32);
    assertThat(ZydisStructs.CPU_FLAGS).isEqualTo(40);
    assertThat(ZydisStructs.CATEGORY).isEqualTo(92);
    assertThat(ZydisStructs.BRANCH_TYPE).isEqualTo(104);
  }

  @Test
  void rawMembersAreWhereZydis4HasThem() {
    assertThat(ZydisStructs.MODRM_OFFSET).isEqualTo(258);
    assertThat(ZydisStructs.DISPLACEMENT).isEqualTo(264);
    assertThat(ZydisStructs.DISPLACEMENT_SIZE).isEqualTo(272);
    assertThat(ZydisStructs.DISPLACEMENT_OFFSET).isEqualTo(273);
    assertThat(ZydisStructs.IMMEDIATE_IS_RELATIVE).isEqualTo(281);
    assertThat(ZydisStructs.IMMEDIATE).isEqualTo(288);
    assertThat(ZydisStructs.IMMEDIATE_SIZE).isEqualTo(296);
    assertThat(ZydisStructs.IMMEDIATE_OFFSET).isEqualTo(297);
  }

  @Test
  void operandMembersAreWhereZydis4HasThem() {
    assertThat(ZydisDecodedOperand_.id$offset()).isEqualTo(0);
    assertThat(ZydisStructs.OPERAND_VISIBILITY).isEqualTo(4);
    assertThat(ZydisStructs.OPERAND_ACTIONS).isEqualTo(8);
    assertThat(ZydisStructs.OPERAND_BITS).isEqualTo(16);
    assertThat(ZydisStructs.OPERAND_TYPE).isEqualTo(32);
    assertThat(ZydisStructs.REGISTER).isEqualTo(40);
    assertThat(ZydisStructs.MEMORY_TYPE).isEqualTo(40);
    assertThat(ZydisStructs.MEMORY_SEGMENT).isEqualTo(44);
    assertThat(ZydisStructs.MEMORY_BASE).isEqualTo(48);
    assertThat(ZydisStructs.MEMORY_INDEX).isEqualTo(52);
    assertThat(ZydisStructs.MEMORY_SCALE).isEqualTo(56);
    assertThat(ZydisStructs.MEMORY_HAS_DISPLACEMENT).isEqualTo(64);
    assertThat(ZydisStructs.MEMORY_DISPLACEMENT).isEqualTo(72);
    assertThat(ZydisStructs.OPERAND_IS_RELATIVE).isEqualTo(41);
    assertThat(ZydisStructs.OPERAND_VALUE).isEqualTo(48);
  }
}
