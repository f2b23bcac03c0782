package io.xolotl.decoder;

/** What happens to an instruction that is moved out of line. */
public sealed interface Classification {

  /**
   * Says what happens to an instruction. The answer depends on nothing but the arguments, and there always is
   * one.
   *
   * @param decoding an instruction; what is undecodable is refused
   * @param policy whether copies may be changed
   * @return what happens to it
   */
  static Classification of(Decoding decoding, RelocationPolicy policy) {
    return switch (decoding) {
      case DecodedInstruction instruction -> Classifier.classify(instruction, policy);
      case Undecodable undecodable -> new Refuse(undecodable.reason().refusal());
    };
  }

  /** {@return which of the six this is} */
  Outcome outcome();

  /**
   * It can be probed.
   *
   * @param effect what it does
   */
  record Accept(Effect effect) implements Classification {
    @Override
    public Outcome outcome() {
      return effect.outcome();
    }
  }

  /**
   * No probe; nothing is written.
   *
   * @param reason why not
   */
  record Refuse(Refusal reason) implements Classification {
    @Override
    public Outcome outcome() {
      return Outcome.REFUSE;
    }
  }
}
