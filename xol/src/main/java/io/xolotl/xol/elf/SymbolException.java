package io.xolotl.xol.elf;

import java.util.List;

/** A name could not be turned into an address. The message is one sentence, with what to do about it. */
public final class SymbolException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What a program may branch on. */
  public enum Reason {
    /** No mapped file has that name. */
    MODULE_NOT_FOUND,
    /** Several mapped files, or several copies of one, have that name. */
    MODULE_AMBIGUOUS,
    /** The module defines no such symbol, or not in that version. */
    SYMBOL_NOT_FOUND,
    /** The name stands for functions at different addresses. */
    SYMBOL_AMBIGUOUS,
    /** The symbol is data, thread-local storage or an absolute value. */
    NOT_A_FUNCTION,
    /** The function is chosen at run time, and the process holds no trace of the choice. */
    IFUNC_UNRESOLVED,
    /** The mapped file cannot be opened or read. */
    ELF_UNREADABLE,
    /** The file is no ELF file, or is truncated or contradicts itself. */
    ELF_MALFORMED,
    /** A valid ELF file of a kind that no x86-64 process executes. */
    ELF_UNSUPPORTED,
    /** The thread was interrupted while it read the file. */
    INTERRUPTED
  }

  private static final int MOST_SHOWN = 8;

  private final Reason reason;

  SymbolException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  SymbolException(Reason reason, String message, Throwable cause) {
    super(message, cause);
    this.reason = reason;
  }

  /** What went wrong. */
  public Reason reason() {
    return reason;
  }

  /** The same, with how to wait for what comes later. */
  public SymbolException orWait() {
    return switch (reason) {
      case MODULE_NOT_FOUND, IFUNC_UNRESOLVED -> new SymbolException(reason,
          getMessage() + "; a request with whenItIsMapped() waits for it", this);
      default -> this;
    };
  }

  /** The first of many names for a message: there may be a million, and a sentence is to be read. */
  static String shown(List<String> names) {
    return String.join(", ", names.subList(0, Math.min(names.size(), MOST_SHOWN)))
        + (names.size() > MOST_SHOWN ? " and " + (names.size() - MOST_SHOWN) + " others" : "");
  }
}
