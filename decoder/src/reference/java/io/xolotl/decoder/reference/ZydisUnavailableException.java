package io.xolotl.decoder.reference;

import org.jspecify.annotations.Nullable;

/** Thrown where Zydis cannot be used. The decoder turns it into an exception of the API. */
public final class ZydisUnavailableException extends RuntimeException {

  /** What went wrong. The API has the same names, and says what they mean. */
  public enum Reason {
    NATIVE_ACCESS_DENIED, LIBRARY_NOT_FOUND, NOT_LOADABLE, NOT_ZYDIS, WRONG_VERSION, WRONG_LAYOUT
  }

  private static final long serialVersionUID = 1;

  private final Reason reason;

  ZydisUnavailableException(Reason reason, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.reason = reason;
  }

  /**
   * The same with the stack of the caller; an exception that is thrown twice misleads whoever reads its
   * stack.
   */
  ZydisUnavailableException again() {
    return new ZydisUnavailableException(reason, String.valueOf(getMessage()), this);
  }

  /** Returns what went wrong. */
  public Reason reason() {
    return reason;
  }
}
