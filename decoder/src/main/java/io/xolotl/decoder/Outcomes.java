package io.xolotl.decoder;

import io.xolotl.decoder.backend.Layout;
import java.util.List;

/**
 * What happens out of line to the instructions of each form of the tables, found out once for each. The
 * {@link Classifier} decides; this only remembers, where nothing but the form matters.
 *
 * <p>Any thread may ask at any time: each entry is one byte, and whoever writes it writes the same.
 */
final class Outcomes {

  private static final List<Outcome> OUTCOMES = List.of(Outcome.values());
  /** Bits of an outcome's number, which counts from 1; that under STRICT is above that under FULL. */
  private static final int BITS = 3;
  /** The form does not say it all. */
  private static final byte LOOK_CLOSER = 1 << 2 * BITS;

  private final Decoder decoder;
  /** By form, and whether the operand is relative to rip; 0 where nobody has asked. */
  private final byte[] known;

  Outcomes(Decoder decoder) {
    this.decoder = decoder;
    known = new byte[decoder.backend().formCount() * 2];
  }

  /** What happens to what is in some code, of which the layout is known. */
  Outcome of(byte[] code, int offset, long layout, RelocationPolicy policy) {
    int form = Layout.form(layout);
    boolean relative = layout >= 0 && DecodedInstruction.isRipRelative(decoder.mode(), code, offset, layout);
    if (layout < 0 || form == 0 || relative && Layout.addressSize(layout) == 32) {
      return classify(code, offset, policy).outcome();
    }
    int index = form * 2 + (relative ? 1 : 0);
    int outcome = known[index];
    if (outcome == 0) {
      outcome = learn(new DecodedInstruction(decoder, code, offset, layout, 0));
      known[index] = (byte) outcome;
    }
    if (outcome == LOOK_CLOSER) {
      return classify(code, offset, policy).outcome();
    }
    return OUTCOMES
        .get(((policy == RelocationPolicy.FULL ? outcome : outcome >> BITS) & (1 << BITS) - 1) - 1);
  }

  private Classification classify(byte[] code, int offset, RelocationPolicy policy) {
    return decoder.classify(code, offset, code.length - offset, 0, policy);
  }

  private static int learn(DecodedInstruction instruction) {
    return Classifier.looksBeyondForm(instruction)
        ? LOOK_CLOSER
        : number(instruction, RelocationPolicy.FULL) | number(instruction, RelocationPolicy.STRICT) << BITS;
  }

  private static int number(DecodedInstruction instruction, RelocationPolicy policy) {
    return Classifier.classify(instruction, policy).outcome().ordinal() + 1;
  }
}
