package io.xolotl.decoder;

import io.xolotl.decoder.backend.Backend;
import io.xolotl.decoder.backend.Layout;
import java.util.Objects;

/**
 * A place in code that moves from instruction to instruction, for those who look at very many and keep few:
 * it keeps nothing but where it is, and allocates nothing. {@link #decoding} gives what is worth keeping.
 *
 * {@snippet :
 * CodeCursor cursor = Decoder.forThisCpu().cursor(code, address);
 * for (int offset = 0; offset < code.length; offset += cursor.length()) {
 *   cursor.moveTo(offset);
 *   counts[cursor.outcome(RelocationPolicy.FULL).ordinal()]++;
 * }
 * }
 *
 * <p>Used by one thread at a time.
 */
public final class CodeCursor {

  private final Decoder decoder;
  private final Backend backend;
  private final Outcomes outcomes;
  private final byte[] code;
  private final long start;

  private int offset;
  private long layout = Layout.INVALID;

  CodeCursor(Decoder decoder, byte[] code, long start) {
    this.decoder = decoder;
    backend = decoder.backend();
    outcomes = decoder.outcomes();
    this.code = code;
    this.start = start;
  }

  /**
   * Decodes what is at an offset.
   *
   * @param newOffset where, from the beginning of the code
   * @return whether an instruction starts there
   * @throws IndexOutOfBoundsException if the offset is not within the code
   */
  public boolean moveTo(long newOffset) {
    offset = (int) Objects.checkIndex(newOffset, code.length);
    layout = backend.parse(code, offset, code.length);
    return layout >= 0;
  }

  /** {@return true if an instruction starts here} */
  public boolean isInstruction() {
    return layout >= 0;
  }

  /** {@return the address of the first byte, unsigned} */
  public long address() {
    return start + offset;
  }

  /** {@return how many bytes this takes: 1 to 15; 1 if no instruction starts here} */
  public int length() {
    return layout < 0 ? 1 : Layout.length(layout);
  }

  /** {@return what is here, to be kept: what {@link Decoder#decode} gives} */
  public Decoding decoding() {
    return decoder.decode(code, offset, code.length - offset, address());
  }

  /**
   * {@return what happens to this out of line: what {@link Classification#of} gives for {@link #decoding}}
   * For nearly everything this looks up what is known of the instruction's kind, and allocates nothing.
   *
   * @param policy whether copies may be changed
   */
  public Outcome outcome(RelocationPolicy policy) {
    return outcomes.of(code, offset, layout, policy);
  }
}
