package io.xolotl.decoder;

import org.jspecify.annotations.Nullable;

/**
 * Thrown if the implementation that was asked for cannot be used. The {@linkplain
 * Decoder.Implementation#TABLES tables}, which are the default, always can.
 */
public final class DecoderUnavailableException extends RuntimeException {

  /** What went wrong. */
  public enum Reason {
    /** The property {@code xolotl.decoder} names none. */
    NO_SUCH_IMPLEMENTATION,
    /** The JVM was not started with native access for this module. */
    NATIVE_ACCESS_DENIED,
    /** There is no library of Zydis: not at the given path, not in a jar, not in the system. */
    LIBRARY_NOT_FOUND,
    /** There is a file, but the dynamic linker does not accept it. */
    NOT_LOADABLE,
    /** It is a library, but not Zydis, or one that lacks functions. */
    NOT_ZYDIS,
    /** It is Zydis, but not version 4. */
    WRONG_VERSION,
    /** It says that it is Zydis 4, but it writes structures of another size. */
    WRONG_LAYOUT
  }

  private static final long serialVersionUID = 1;

  /** What {@link #reason()} returns. */
  private final Reason reason;

  DecoderUnavailableException(Reason reason, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.reason = reason;
  }

  /** {@return what went wrong; the message says what to do about it} */
  public Reason reason() {
    return reason;
  }
}
