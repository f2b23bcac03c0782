package io.xolotl.decoder;

/**
 * A byte at which no instruction starts.
 *
 * @param address where the byte is
 * @param firstByte the byte, 0 to 255, or -1 if there was none
 * @param reason what is wrong
 */
public record Undecodable(long address, int firstByte, Reason reason) implements Decoding {

  /** What is wrong with bytes that are no instruction. */
  public enum Reason {
    /** There are no bytes, or they end within the instruction. */
    TRUNCATED(Refusal.TRUNCATED),
    /** The CPU would raise an invalid-opcode fault, or the decoder does not know the instruction. */
    INVALID(Refusal.UNDECODABLE),
    /** More than 15 bytes. */
    TOO_LONG(Refusal.TOO_LONG),
    /** It starts like an instruction of Intel APX. */
    APX(Refusal.APX),
    /** It starts like an instruction of Knights Corner. */
    MVEX(Refusal.MVEX);

    private final Refusal refusal;

    Reason(Refusal refusal) {
      this.refusal = refusal;
    }

    /** {@return the reason for which no probe can be there} */
    public Refusal refusal() {
      return refusal;
    }
  }

  @Override
  public int length() {
    return firstByte < 0 ? 0 : 1;
  }

  @Override
  public byte[] bytes() {
    return firstByte < 0 ? new byte[0] : new byte[]{(byte) firstByte};
  }

  @Override
  public String toString() {
    return "0x%x: (bad) %s".formatted(address, reason);
  }
}
