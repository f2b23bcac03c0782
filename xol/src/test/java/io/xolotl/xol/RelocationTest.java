package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What relocated code is made of; that it does what the original does is found out by fuzzing. */
class RelocationTest {

  private static final long FROM = 0x5555_0000_1000L;
  private static final long NEAR = FROM + 0x10_0000;
  private static final long FAR = 0x7fff_0000_0000L;
  private static final HexFormat HEX = HexFormat.of();

  private static DecodedInstruction decode(String hex) {
    return (DecodedInstruction) Decoder.forThisCpu().decode(HEX.parseHex(hex.replace(" ", "")), FROM);
  }

  /** The instructions of some code, as they are decoded where it is. */
  private static String text(Relocation relocation) {
    byte[] code = relocation.code();
    var text = new StringBuilder();
    int offset = 0;
    while (offset < code.length) {
      Decoding decoding = Decoder.forThisCpu().decode(code, offset, code.length - offset,
          relocation.address() + offset);
      assertThat(decoding).isInstanceOf(DecodedInstruction.class);
      var instruction = (DecodedInstruction) decoding;
      text.append(text.isEmpty() ? "" : "; ").append(instruction.text());
      offset += decoding.length();
      long behind = instruction.ripRelativeTarget().orElse(0) - relocation.address() - offset;
      if (behind >= 0 && behind < 8) {
        // jmp [rip+n], behind which the address is, aligned: a checked access would fault otherwise.
        offset += (int) behind;
        assertThat(relocation.address() + offset).as("%s", text).matches(at -> at % 8 == 0, "aligned");
        text.append(" -> 0x").append(Long.toHexString(
            ByteBuffer.wrap(code, offset, 8).order(ByteOrder.LITTLE_ENDIAN).getLong()).toUpperCase());
        offset += 8;
      }
    }
    return text.toString();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "48 01 d8                | add rax, rbx; jmp 0x0000555500001003",
      "90                      | jmp 0x0000555500001001",
      "48 8b 05 10 00 00 00    | mov rax, [0x0000555500001017]; jmp 0x0000555500001007",
      "48 8d 05 10 00 00 00    | mov rax, 0x555500001017; jmp 0x0000555500001007",
      "8d 05 10 00 00 00       | mov eax, 0x1016; jmp 0x0000555500001006",
      "eb 10                   | jmp 0x0000555500001012",
      "74 10                   | jz 0x0000555500001012; jmp 0x0000555500001002",
      "e8 10 00 00 00          | push 0x1005; mov dword ptr [rsp+0x04], 0x5555; jmp 0x0000555500001015",
      "ff d0                   | push 0x1002; mov dword ptr [rsp+0x04], 0x5555; jmp rax",
      "41 ff d4                | push 0x1003; mov dword ptr [rsp+0x04], 0x5555; jmp r12",
      "ff 54 24 08             | push 0x1004; mov dword ptr [rsp+0x04], 0x5555; jmp [rsp+0x10]",
      "ff 14 d5 00 10 00 00    | push 0x1007; mov dword ptr [rsp+0x04], 0x5555; jmp [rdx*8+0x1000]",
      "64 ff 14 25 10 00 00 00 | push 0x1008; mov dword ptr [rsp+0x04], 0x5555; jmp fs:[0x0000000000000010]",
      "ff 15 10 00 00 00       | push 0x1006; mov dword ptr [rsp+0x04], 0x5555; jmp [0x0000555500001016]",
      "67 41 ff 54 8d 08       | push 0x1006; mov dword ptr [rsp+0x04], 0x5555; jmp [r13d+ecx*4+0x08]",
      "c3                      | ret",
      "c2 08 00                | ret 0x08",
      "ff 25 10 00 00 00       | jmp [0x0000555500001016]",
      "3e ff e0                | notrack jmp rax",
      "e2 10                   | loop 0x0000555500101004; jmp 0x0000555500101009; jmp 0x0000555500001012; jmp 0x0000555500001002",
      "67 e3 10                | jecxz 0x00101005; jmp 0x000055550010100A; jmp 0x0000555500001013; jmp 0x0000555500001003",
      "66 8d 05 10 00 00 00    | mov ax, 0x1017; jmp 0x0000555500001007",
      "4c 8d 05 10 00 00 00    | mov r8, 0x555500001017; jmp 0x0000555500001007",
      "9d                      | popfq; jmp 0x0000555500001001",
      "54                      | push rsp; jmp 0x0000555500001001",
      "9c                      | pushfq; jmp 0x0000555500001001",
      "f3 a4                   | rep movsb; jmp 0x0000555500001002",
      "67 8b 05 10 00 00 00    | mov eax, [0x00001017]; jmp 0x0000555500001007",
      "67 4a 8b 05 10 00 00 00 | mov rax, [0x00001018]; jmp 0x0000555500001008",
      "67 4a 40 8b 05 10 00 00 00          | mov eax, [0x00001019]; jmp 0x0000555500001009",
      "67 c4 a1 78 10 05 10 00 00 00       | vmovups xmm0, [0x0000101A]; jmp 0x000055550000100A",
      "67 62 b1 7c 48 10 05 10 00 00 00    | vmovups zmm0, zmmword ptr [0x0000101B]; jmp 0x000055550000100B",
      "0f 05                   | syscall; mov rcx, 0x555500001002; jmp 0x0000555500001002"})
  void isMadeOfWhatTheEffectNeeds(String hex, String expected) {
    assertThat(text(Relocation.of(decode(hex), NEAR).orElseThrow()).replace("+0x00000", "+0x"))
        .isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "74 10        | jnz 0x00007FFF00000010; jmp [0x00007FFF00000008] -> 0x555500001012; jmp [0x00007FFF00000018] -> 0x555500001002",
      "48 01 d8     | add rax, rbx; jmp [0x00007FFF00000010] -> 0x555500001003"})
  void jumpsGoAnywhere(String hex, String expected) {
    assertThat(text(Relocation.of(decode(hex), FAR).orElseThrow())).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({"48 8b 05 10 00 00 00", "ff 25 10 00 00 00", "ff 15 10 00 00 00"})
  void memoryMustBeInReach(String hex) {
    DecodedInstruction instruction = decode(hex);
    Relocation.Reach reach = Relocation.of(instruction, NEAR).orElseThrow().reach();
    for (long at : List.of(reach.lowest(), reach.highest())) {
      Relocation relocation = Relocation.of(instruction, at).orElseThrow();
      assertThat(relocation.code()).hasSameSizeAs(Relocation.of(instruction, NEAR).orElseThrow().code());
    }
    assertThat(Relocation.of(instruction, FAR)).isEmpty();
    assertThat(reach.contains(FAR)).isFalse();
    assertThat(reach.contains(NEAR)).isTrue();
  }

  @ParameterizedTest
  @CsvSource({"ff d4, call rsp", "ff 54 24 f8, what the call overwrites", "ff 54 24 f1, a part of that",
      "ff 54 44 08, perhaps what the call overwrites", "64 ff 54 24 08, perhaps that in a segment",
      "67 d9 05 10 00 00 00, relative to eip and of the x87",
      "2e 2e 2e 2e 2e 2e 2e 2e 67 8b 05 10 00 00 00, relative to eip and of 15 bytes",
      "cc, refused"})
  void someHaveNoSuchCode(String hex, String why) {
    Decoding decoding = Decoder.forThisCpu().decode(HEX.parseHex(hex.replace(" ", "")), FROM);
    assertThat(Relocation.of((DecodedInstruction) decoding, NEAR)).as(why).isEmpty();
  }

  /** On each side of the distance at which the long form begins, which skips what it says. */
  @ParameterizedTest
  @CsvSource({"74 10, 6", "e2 10, 9"})
  void longFormsBeginWhereShortOnesEnd(String hex, int shortBytes) {
    DecodedInstruction instruction = decode(hex);
    long target = instruction.branchTarget().orElseThrow();
    for (long edge : List.of(target - shortBytes - Integer.MAX_VALUE,
        target - shortBytes - Integer.MIN_VALUE)) {
      for (long at = edge - 4; at <= edge + 4; at++) {
        Relocation relocation = Relocation.of(instruction, at).orElseThrow();
        String text = text(relocation);
        // Whatever is not taken goes to the last jump, which is the way back.
        assertThat(text).as("at 0x%x", at).containsAnyOf("jmp 0x" + "%016X".formatted(FROM + 2),
            "-> 0x%X".formatted(FROM + 2));
        assertThat(text.split("; ")).as("at 0x%x", at).hasSizeBetween(2, 4);
      }
    }
  }

  @Test
  void faultsAreTranslated() {
    // push imm32 has 5 bytes; behind it rsp is lower.
    for (String hex : List.of("ff 10", "e8 10 00 00 00")) {
      DecodedInstruction instruction = decode(hex);
      Relocation call = Relocation.of(instruction, NEAR).orElseThrow();
      assertThat(call.fault(0)).isEqualTo(new Relocation.Fault(FROM, 0));
      assertThat(call.fault(5)).isEqualTo(new Relocation.Fault(FROM, 8));
      assertThat(call.fault(13)).isEqualTo(new Relocation.Fault(FROM, 8));
    }
    Relocation load = Relocation.of(decode("48 8b 00"), NEAR).orElseThrow();
    assertThat(load.fault(0)).isEqualTo(new Relocation.Fault(FROM, 0));
    assertThat(load.fault(3)).isEqualTo(new Relocation.Fault(FROM + 3, 0));
  }
}
