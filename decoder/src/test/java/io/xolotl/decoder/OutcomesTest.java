package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.reference.RandomCode;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a cursor remembers of an instruction's form is what the classifier says of each instruction. */
@ExtendWith(WithZydis.class)
class OutcomesTest {

  private static final int STRINGS = 100_000;

  private static byte[] randomCode(long seed) {
    var random = new RandomCode(seed);
    byte[] all = new byte[STRINGS * RandomCode.SIZE];
    byte[] one = new byte[RandomCode.SIZE];
    for (int i = 0; i < STRINGS; i++) {
      random.fill(one);
      System.arraycopy(one, 0, all, i * RandomCode.SIZE, one.length);
    }
    return all;
  }

  @ParameterizedTest
  @CsvSource({"LONG_64,INTEL,false", "LONG_64,AMD,true", "COMPAT_32,INTEL,false", "COMPAT_32,AMD,true"})
  void aCursorAndTheClassifierAgree(MachineMode mode, CpuVendor vendor, boolean mpx) {
    Decoder decoder = Decoder.of(mode, vendor, mpx);
    // Zydis is asked anew for everything, which takes a hundred times as long.
    int rounds = decoder.implementation() == Decoder.Implementation.TABLES ? 25 : 1;
    for (int round = 0; round < rounds; round++) {
      byte[] code = randomCode(round);
      CodeCursor cursor = decoder.cursor(code, 0x1000);
      for (int at = 0; at < code.length; at += RandomCode.SIZE) {
        cursor.moveTo(at);
        Decoding decoding = decoder.decode(code, at, code.length - at, 0x1000 + at);
        for (RelocationPolicy policy : RelocationPolicy.values()) {
          Outcome expected = Classification.of(decoding, policy).outcome();
          if (cursor.outcome(policy) != expected) {
            assertThat(cursor.outcome(policy)).as("%s of %s", policy, decoding).isEqualTo(expected);
          }
        }
      }
    }
  }

  /** MVEX is no instruction, to both of them. */
  @Test
  void mvexIsRefusedByBoth() {
    byte[] vfmadd = {0x62, (byte) 0xd2, 0x11, 0x28, (byte) 0xa4, 0x0b, 0, 0, 0, 0};
    Decoder decoder = Decoder.of(MachineMode.LONG_64, CpuVendor.INTEL, false);
    CodeCursor cursor = decoder.cursor(vfmadd, 0);
    assertThat(cursor.moveTo(0)).isFalse();
    assertThat(cursor.outcome(RelocationPolicy.FULL)).isEqualTo(Outcome.REFUSE);
    assertThat(decoder.classify(vfmadd, 0, vfmadd.length, 0, RelocationPolicy.FULL))
        .isEqualTo(new Classification.Refuse(Refusal.MVEX));
  }

  /** Walks over instructions again and again, and prints how many are copied. */
  static final class Walks {

    private static final int INSTRUCTIONS = 20_000;
    private static final int ROUNDS = 1_000;

    private Walks() {}

    public static void main(String[] arguments) {
      byte[] code = new byte[INSTRUCTIONS * 3];
      for (int i = 0; i < code.length; i += 3) {
        // mov rbp, rsp
        code[i] = 0x48;
        code[i + 1] = (byte) 0x89;
        code[i + 2] = (byte) 0xe5;
      }
      CodeCursor cursor = Decoder.forThisCpu().cursor(code, 0);
      int copies = 0;
      for (int i = 0; i < ROUNDS; i++) {
        for (int at = 0; at < code.length; at += cursor.length()) {
          cursor.moveTo(at);
          copies += cursor.outcome(RelocationPolicy.FULL) == Outcome.COPY ? 1 : 0;
        }
      }
      System.out.println(copies);
    }
  }

  /** A JVM that never gets memory back has none for an object of each of 20 million instructions. */
  @Test
  void aWalkAllocatesNothing() throws Exception {
    assertThat(ChildJvm.run(List.of(), Walks.class, "-XX:+UnlockExperimentalVMOptions", "-XX:+UseEpsilonGC",
        "-Xmx64m")).containsExactly(Integer.toString(Walks.INSTRUCTIONS * Walks.ROUNDS));
  }
}
