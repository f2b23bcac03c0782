package io.xolotl.lab.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.lab.arbitraries.InstructionArbitraries;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Assume;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * The decoder and the CPU agree about lengths. What is invalid to this CPU has none: it need not fetch it to
 * its end.
 */
class LengthProperties {

  private static final int LONGEST = 15;

  private static Oracle oracle;

  @BeforeContainer
  static void start() {
    oracle = Oracle.start();
  }

  @AfterContainer
  static void end() {
    oracle.close();
  }

  @Property(tries = 20_000, seed = "1")
  void lengthsAreThoseOfTheCpu(@ForAll("instructions") byte[] instruction, @ForAll byte rest) {
    // What follows must not count, whatever it is.
    byte[] code = Arrays.copyOf(instruction, LONGEST);
    Arrays.fill(code, instruction.length, LONGEST, rest);
    CpuLength length = oracle.lengths(List.of(code)).getFirst();
    assertThat(length.invalid() || length.bytes() == instruction.length)
        .as("%s: %s", InstructionArbitraries.text(instruction), length).isTrue();
  }

  @Property(tries = 20_000, seed = "2", maxDiscardRatio = 10)
  void lengthsOfRandomBytesAreThoseOfTheCpu(@ForAll("bytes") byte[] code) {
    Assume.that(Decoder.forThisCpu().decode(code, 0) instanceof DecodedInstruction);
    var instruction = (DecodedInstruction) Decoder.forThisCpu().decode(code, 0);
    CpuLength length = oracle.lengths(List.of(code)).getFirst();
    assertThat(length.invalid() || length.bytes() == instruction.length()).as("%s: %s", instruction, length)
        .isTrue();
  }

  @Provide
  Arbitrary<byte[]> instructions() {
    return InstructionArbitraries.instructions();
  }

  /** Random bytes behind prefixes. */
  @Provide
  Arbitrary<byte[]> bytes() {
    Arbitrary<byte[]> prefixes = Arbitraries
        .of(0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x40, 0x48, 0x4f, 0x0f, 0xc5, 0xc4, 0x62)
        .map(Integer::byteValue).array(byte[].class).ofMaxSize(4);
    Arbitrary<byte[]> rest = Arbitraries.bytes().withoutEdgeCases().array(byte[].class).ofSize(LONGEST);
    return Combinators.combine(prefixes, rest).as((first, then) -> {
      byte[] code = then.clone();
      System.arraycopy(first, 0, code, 0, first.length);
      return code;
    });
  }
}
