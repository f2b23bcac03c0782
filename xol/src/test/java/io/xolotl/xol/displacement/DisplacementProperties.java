package io.xolotl.xol.displacement;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.ScratchRegister;
import io.xolotl.decoder.Technique;
import io.xolotl.lab.arbitraries.InstructionArbitraries;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Assume;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.LongRange;

/** What holds for the copy of every instruction. The seeds are fixed, so that every run tests the same. */
class DisplacementProperties {

  private static final long ORIGINAL = 0x4000_0000_0000L;
  private static final long REACH = 0x7fff_0000L;

  /**
   * A copy refers to what the original refers to, and a copy of the copy, back in its place, is the original.
   */
  @Property(tries = 20_000, seed = "3", maxDiscardRatio = 10)
  void relocatingThereAndBackChangesNothing(@ForAll("relative") byte[] code,
      @ForAll @LongRange(min = -REACH / 2, max = REACH
          / 2) long distance) {
    DecodedInstruction original = decode(code, ORIGINAL);
    Assume.that(original.addressSize() == 64);
    long slot = ORIGINAL + distance;
    byte[] copy = Relocator.bytes(original, slot);
    long reached = original.ripRelativeTarget().orElse(slot) - slot - code.length;
    assertThat(copy == null).isEqualTo(reached != (int) reached);
    Assume.that(copy != null);
    DecodedInstruction copied = decode(Objects.requireNonNull(copy), slot);
    assertThat(copied.length()).isEqualTo(original.length());
    assertThat(copied.mnemonic()).isEqualTo(original.mnemonic());
    assertThat(copied.ripRelativeTarget()).isEqualTo(original.ripRelativeTarget());
    assertThat(Relocator.bytes(copied, ORIGINAL)).isEqualTo(code);
  }

  /** A scratch register, with the value it is given, stands for what rip stands for. */
  @Property(tries = 20_000, seed = "4", maxDiscardRatio = 10)
  void scratchRegistersReachTheSameAddress(@ForAll("relative") byte[] code) {
    DecodedInstruction original = decode(code, ORIGINAL);
    Optional<ScratchRegister> scratch = ScratchRegister.of(original);
    assertThat(scratch.isPresent()).isEqualTo(original.isRipRelative());
    Assume.that(scratch.isPresent());
    DecodedInstruction copied = decode(scratch.get().bytes(), ORIGINAL);
    assertThat(original.uses(scratch.get().register())).isFalse();
    long address = scratch.get().value()
        + copied.operands().stream().filter(Operand.OfMemory.class::isInstance)
            .map(Operand.OfMemory.class::cast)
            .filter(m -> m.base().flatMap(Register::gpr)
                .equals(Optional.of(scratch.get().register())))
            .findFirst().orElseThrow().displacement();
    assertThat(original.addressSize() == 64 ? address : address & 0xffff_ffffL)
        .isEqualTo(original.ripRelativeTarget().orElseThrow());
  }

  /** Under STRICT whatever is copied is the original's bytes, wherever the slot. */
  @Property(tries = 20_000, seed = "5", maxDiscardRatio = 10)
  void strictNeverEmitsAChangedByte(@ForAll("instructions") byte[] code, @ForAll long slot) {
    DecodedInstruction original = decode(code, ORIGINAL);
    Classification strict = Classification.of(original, RelocationPolicy.STRICT);
    boolean copied = switch (strict) {
      case Classification.Refuse _ -> false;
      case Classification.Accept(Effect effect) -> switch (effect.outcome()) {
        case COPY, FIX_UP -> true;
        case EMULATE -> Arrays.stream(Technique.values()).anyMatch(
            technique -> Displacements.needsCopy(original, effect, technique, RelocationPolicy.STRICT)
                && technique.isApplicable(original, strict, RelocationPolicy.STRICT));
        case RE_DISPLACE, SCRATCH_REGISTER, REFUSE -> throw new AssertionError("changes a copy: " + original);
      };
    };
    if (copied) {
      assertThat(Relocator.bytes(original, slot)).as("%s", original).isEqualTo(code);
    }
  }

  private static DecodedInstruction decode(byte[] code, long address) {
    if (Decoder.forThisCpu().decode(code, address) instanceof DecodedInstruction instruction) {
      return instruction;
    }
    throw new AssertionError("no instruction: " + Arrays.toString(code));
  }

  @Provide
  Arbitrary<byte[]> instructions() {
    return InstructionArbitraries.instructions();
  }

  @Provide
  Arbitrary<byte[]> relative() {
    return Arbitraries.oneOf(instructions(), instructions().filter(code -> decode(code, 0).isRipRelative()));
  }
}
