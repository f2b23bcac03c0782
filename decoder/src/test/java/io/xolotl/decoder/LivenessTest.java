package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is not needed at the first instruction of some code. */
class LivenessTest {

  private static final long START = 0x5555_0000_1000L;
  private static final String[] FLAGS = {"CF", "", "PF", "", "AF", "", "ZF", "SF", "", "", "", "OF"};

  private static String dead(String hex) {
    Liveness liveness = Liveness.at(HexFormat.of().parseHex(hex.replace(" ", "")), START, START);
    var names = new ArrayList<String>();
    for (int i = 0; i < FLAGS.length; i++) {
      if ((liveness.deadFlags() >> i & 1) != 0) {
        names.add(FLAGS[i]);
      }
    }
    List<String> registers = liveness.deadRegisters().stream().sorted()
        .map(gpr -> gpr.name().toLowerCase(Locale.ROOT)).toList();
    names.addAll(registers);
    return String.join(" ", names);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "c3                            | ret                        | ",
      "48 89 c8 c3                   | mov rax, rcx; ret          | rax",
      "89 c8 c3                      | mov eax, ecx               | rax",
      "66 89 c8 c3                   | mov ax, cx                 | ",
      "88 c8 c3                      | mov al, cl                 | ",
      "48 8b 00 c3                   | mov rax, [rax]             | ",
      "48 01 c8 c3                   | add rax, rcx               | CF PF AF ZF SF OF",
      "48 85 c0 c3                   | test rax, rax              | CF PF ZF SF OF",
      "48 ff c0 c3                   | inc rax                    | PF AF ZF SF OF",
      "48 ff c0 48 01 c8 c3          | inc rax; add rax, rcx      | CF PF AF ZF SF OF",
      "48 11 c8 c3                   | adc rax, rcx               | PF AF ZF SF OF",
      "48 d3 e0 c3                   | shl rax, cl: by 0 perhaps  | ",
      "31 c0 c3                      | xor eax, eax               | CF PF ZF SF OF rax",
      "48 29 d2 c3                   | sub rdx, rdx               | CF PF AF ZF SF OF rdx",
      "31 c8 c3                      | xor eax, ecx               | CF PF ZF SF OF",
      "48 0f 44 c1 c3                | cmovz rax, rcx             | ",
      "48 0f bc c1 c3                | bsf rax, rcx: not of 0     | ",
      "9c c3                         | pushf                      | ",
      "9d c3                         | popf                       | CF PF AF ZF SF OF",
      "0f 94 c0 48 39 c8 c3          | setz al; cmp rax, rcx      | CF PF AF SF OF",
      "74 03 48 89 c8 c3             | jz over mov rax, rcx       | ",
      "74 03 48 89 c8 48 89 d0 c3    | jz over mov; mov rax, rdx  | rax",
      "eb 03 48 89 c8 c3             | jmp over mov rax, rcx      | ",
      "eb fe                         | jmp to itself              | CF PF AF ZF SF OF rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15",
      "eb 10                         | jmp out of the code        | ",
      "48 89 c8                      | mov rax, rcx and the end   | rax",
      "e8 01 00 00 00 c3 48 89 c8 c3 | call of mov rax, rcx       | rax",
      "ff d0                         | call rax                   | ",
      "48 89 c8 ff e1                | mov rax, rcx; jmp rcx      | rax",
      "0f 05 48 89 c8                | syscall                    | ",
      "cc 48 89 c8                   | int3                       | ",
      "0f ff                         | no instruction             | "})
  void isWhatIsOverwrittenOnEachWay(String hex, String text, String expected) {
    assertThat(dead(hex)).as(text).isEqualTo(expected == null ? "" : expected);
  }

  @Test
  void tooMuchIsLive() {
    assertThat(dead("90".repeat(200) + "4889c8c3")).isEqualTo("rax");
    assertThat(dead("90".repeat(300) + "4889c8c3")).isEmpty();
  }

  @Test
  void addressesMustBeInTheCode() {
    byte[] code = {(byte) 0x90};
    assertThatThrownBy(() -> Liveness.at(code, START, START - 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> Liveness.at(code, START, START + 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThat(Liveness.at(code, START, START)).isEqualTo(new Liveness(0, Set.of()));
  }
}
