package io.xolotl.xol.site;

import io.xolotl.decoder.Refusal;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** An address cannot be probed, or not any more. The message is one sentence for people. */
public final class SiteException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /** Why, for programs. */
  public enum Reason {
    ADDRESS_NOT_MAPPED, NOT_EXECUTABLE, SHARED_MEMORY, NOT_AN_INSTRUCTION_BOUNDARY, BOUNDARY_UNVERIFIED,
    BREAKPOINT_EXISTS, INSTRUCTION_REFUSED, CODE_CHANGED, RESTARTABLE_SEQUENCE, SIGNAL_TRAMPOLINE,
    TECHNIQUE_NOT_APPLICABLE, NO_XOL_SPACE, BREAKPOINT_LEFT, UNREADABLE
  }

  private final Reason reason;
  private final long address;
  private final @Nullable Refusal refusal;

  private SiteException(Reason reason, long address, @Nullable Refusal refusal, String message) {
    super(message);
    this.reason = reason;
    this.address = address;
    this.refusal = refusal;
  }

  SiteException(Reason reason, long address, String message) {
    this(reason, address, null, message);
  }

  /** The instruction at an address cannot be displaced. */
  static SiteException refused(long address, String what, Refusal refusal) {
    return new SiteException(
        refusal == Refusal.BREAKPOINT_EXISTS ? Reason.BREAKPOINT_EXISTS : Reason.INSTRUCTION_REFUSED, address,
        refusal, what + " at " + hex(address) + " cannot be probed: " + refusal.description());
  }

  public Reason reason() {
    return reason;
  }

  public long address() {
    return address;
  }

  public Optional<Refusal> refusal() {
    return Optional.ofNullable(refusal);
  }

  /** An address as messages print it. */
  public static String hex(long address) {
    return "0x" + Long.toHexString(address);
  }
}
