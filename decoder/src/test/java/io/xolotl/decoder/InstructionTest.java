package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(WithZydis.class)
class InstructionTest {

  private static final long CF = 1;
  private static final long ZF = 1 << 6;
  private static final long DF = 1 << 10;

  private static final Decoder DECODER = Decoder.of(MachineMode.LONG_64, CpuVendor.AMD, false);

  private static DecodedInstruction instruction(String hex) {
    return (DecodedInstruction) DECODER.decode(HexFormat.ofDelimiter(" ").parseHex(hex), 0x401000);
  }

  @Test
  void describesItself() {
    // mov qword ptr [rip+0x10], 0x12345678
    DecodedInstruction mov = instruction("48 c7 05 10 00 00 00 78 56 34 12 90 90");
    assertThat(mov.address()).isEqualTo(0x401000);
    assertThat(mov.length()).isEqualTo(11);
    assertThat(mov.nextAddress()).isEqualTo(0x40100b);
    assertThat(mov.bytes()).isEqualTo(HexFormat.of().parseHex("48c7051000000078563412"));
    assertThat(mov.mnemonic()).isEqualTo("mov");
    assertThat(mov.category()).isEqualTo("dataxfer");
    assertThat(mov.isaSet()).isEqualTo("i86");
    assertThat(mov.encoding()).isEqualTo(Encoding.LEGACY);
    assertThat(mov.mode()).isEqualTo(MachineMode.LONG_64);
    assertThat(mov.isRipRelative()).isTrue();
    assertThat(mov.ripRelativeTarget()).hasValue(0x40101b);
    assertThat(mov.displacementOffset()).hasValue(3);
    assertThat(mov.immediateOffset()).hasValue(7);
    assertThat(mov.addressSize()).isEqualTo(64);
    assertThat(mov.operandSize()).isEqualTo(64);
    assertThat(mov.branchKind()).isEqualTo(BranchKind.NONE);
    assertThat(mov.branchTarget()).isEmpty();
    assertThat(mov.text()).isEqualTo("mov qword ptr [0x000000000040101B], 0x12345678");
    assertThat(mov).hasToString("0x401000: mov qword ptr [0x000000000040101B], 0x12345678");
  }

  @Test
  void mnemonicsAreShared() {
    assertThat(instruction("90").mnemonic()).isSameAs(instruction("66 90").mnemonic());
  }

  @Test
  void eipRelativeTargetWrapsAt4Gib() {
    var high = (DecodedInstruction) DECODER.decode(HexFormat.of().parseHex("678b0510000000"), 0xffff_fff0L);
    assertThat(high.addressSize()).isEqualTo(32);
    assertThat(high.ripRelativeTarget()).hasValue(7);
    assertThat(scratch(high).value()).isEqualTo(0xffff_fff7L);
    var above = (DecodedInstruction) DECODER.decode(HexFormat.of().parseHex("678b0510000000"),
        0x7_0000_0000L);
    assertThat(scratch(above).value()).isEqualTo(7);
  }

  private static ScratchRegister scratch(DecodedInstruction instruction) {
    var accepted = (Classification.Accept) Classification.of(instruction, RelocationPolicy.FULL);
    return ((Effect.EipRelative) accepted.effect()).scratch();
  }

  @Test
  void branchesHaveATarget() {
    DecodedInstruction jz = instruction("74 fe");
    assertThat(jz.branchKind()).isEqualTo(BranchKind.SHORT);
    assertThat(jz.branchTarget()).hasValue(0x401000);
    assertThat(jz.isRipRelative()).isFalse();
    assertThat(instruction("c3").branchKind()).isEqualTo(BranchKind.NEAR);
    assertThat(instruction("cb").branchKind()).isEqualTo(BranchKind.FAR);
    assertThat(instruction("ff e0").branchTarget()).isEmpty();
    var xbegin = (DecodedInstruction) DECODER.decode(HexFormat.of().parseHex("c7f800000000"),
        0x7f00_0000_0000L);
    assertThat(xbegin.branchTarget()).hasValue(0x7f00_0000_0006L);
  }

  @Test
  void operandsAreExplicitImplicitAndHidden() {
    // shl byte ptr fs:[rax+rcx*4-0x10], cl
    assertThat(instruction("64 d2 64 88 f0").operands()).satisfiesExactly(
        memory -> assertThat(memory)
            .isEqualTo(new Operand.OfMemory(register("fs", 16), Optional.of(gpr(Gpr.RAX)),
                Optional.of(gpr(Gpr.RCX)), 4, -0x10, false, 8, Operand.Visibility.EXPLICIT, true, true)),
        count -> assertThat(count).isEqualTo(new Operand.OfRegister(
            new Register("cl", 8, Optional.of(Gpr.RCX)), 8, Operand.Visibility.IMPLICIT, true, false)),
        flags -> assertThat(flags.visibility()).isEqualTo(Operand.Visibility.HIDDEN));
  }

  @Test
  void immediatesAreOperands() {
    assertThat(instruction("6a ff").operands().getFirst())
        .isEqualTo(new Operand.OfImmediate(-1, false, 8, Operand.Visibility.EXPLICIT));
    assertThat(instruction("eb fe").operands().getFirst())
        .isEqualTo(new Operand.OfImmediate(-2, true, 8, Operand.Visibility.EXPLICIT));
  }

  @Test
  void farPointersAreOperandsOf32BitCode() {
    Decoder decoder = Decoder.of(MachineMode.COMPAT_32, CpuVendor.INTEL, false);
    var call = (DecodedInstruction) decoder.decode(HexFormat.of().parseHex("9a785634122000"), 0);
    assertThat(call.operands().getFirst())
        .isEqualTo(new Operand.OfFarPointer(0x20, 0x12345678, 48, Operand.Visibility.EXPLICIT));
  }

  @Test
  void leaComputesAnAddressOnly() {
    assertThat(instruction("48 8d 40 08").operands().get(1)).isInstanceOfSatisfying(Operand.OfMemory.class,
        memory -> assertThat(memory.addressOnly()).isTrue());
  }

  @Test
  void registersIncludeTheHiddenOnes() {
    DecodedInstruction push = instruction("50");
    assertThat(push.registersRead()).extracting(Register::name).contains("rax", "rsp");
    assertThat(push.registersWritten()).extracting(Register::name).containsExactly("rsp");
    DecodedInstruction div = instruction("f7 f1");
    assertThat(div.registersRead()).extracting(Register::name).contains("ecx", "eax", "edx");
    assertThat(div.registersWritten()).extracting(Register::name).contains("eax", "edx");
  }

  @Test
  void highByteRegistersArePartsOfTheFirstFour() {
    // mov ah, bh: numbers 4 and 7, which are rsp and rdi elsewhere
    DecodedInstruction mov = instruction("88 fc");
    assertThat(Arrays.stream(Gpr.values()).filter(mov::uses)).containsExactly(Gpr.RAX, Gpr.RBX);
  }

  /** Zydis issue 592: a SIB byte without a base keeps having none under 67 with REX.B. */
  @Test
  void noBaseUnderAnAddressSizePrefixIsNoR13() {
    DecodedInstruction mov = instruction("67 41 8b 04 25 44 33 22 11");
    assertThat(mov.text()).isEqualTo("mov eax, [0x11223344]");
    assertThat(mov.uses(Gpr.R13)).isFalse();
    assertThat(mov.operands().get(1)).isInstanceOfSatisfying(Operand.OfMemory.class, memory -> {
      assertThat(memory.base()).isEmpty();
      assertThat(memory.displacement()).isEqualTo(0x11223344);
    });
  }

  @Test
  void flagsAreBitsOfRflags() {
    DecodedInstruction jz = instruction("74 00");
    assertThat(jz.flagsRead()).isEqualTo(ZF);
    assertThat(jz.flagsWritten()).isZero();
    DecodedInstruction adc = instruction("11 c0");
    assertThat(adc.flagsRead()).isEqualTo(CF);
    assertThat(adc.flagsWritten() & (CF | ZF)).isEqualTo(CF | ZF);
    assertThat(instruction("fc").flagsWritten()).isEqualTo(DF);
    assertThat(instruction("48 89 e5").flagsWritten()).isZero();
  }

  @Test
  void prefixesInEffect() {
    assertThat(instruction("f3 a4").isRepeated()).isTrue();
    assertThat(instruction("a4").isRepeated()).isFalse();
    assertThat(instruction("f3 0f 10 c1").isRepeated()).isFalse();
    assertThat(instruction("f3 c3").isRepeated()).isFalse();
    assertThat(instruction("f0 01 08").isLocked()).isTrue();
    assertThat(instruction("01 08").isLocked()).isFalse();
    assertThat(instruction("f4").isPrivileged()).isTrue();
  }

  @Test
  void equalityIsByBytesAddressAndMode() {
    assertThat(instruction("48 89 e5")).isEqualTo(instruction("48 89 e5 90"))
        .hasSameHashCodeAs(instruction("48 89 e5"));
    assertThat(instruction("48 89 e5")).isNotEqualTo(instruction("48 89 ec"));
    assertThat(instruction("90")).isNotEqualTo(DECODER.decode(new byte[]{(byte) 0x90}, 0x401001));
    Decoder intel = Decoder.of(MachineMode.LONG_64, CpuVendor.INTEL, false);
    assertThat(instruction("90")).isNotEqualTo(intel.decode(new byte[]{(byte) 0x90}, 0x401000));
  }

  @Test
  void longestInstructionKeepsAllItsBytes() {
    String longest = "66 66 66 66 66 66 2e 0f 1f 84 11 12 13 14 15";
    assertThat(HexFormat.ofDelimiter(" ").formatHex(instruction(longest).bytes())).isEqualTo(longest);
  }

  private static Register gpr(Gpr gpr) {
    return new Register(gpr.name().toLowerCase(Locale.ROOT), 64, Optional.of(gpr));
  }

  private static Register register(String name, int width) {
    return new Register(name, width, Optional.empty());
  }
}
