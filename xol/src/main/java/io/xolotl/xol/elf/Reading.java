package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.util.function.Supplier;

/**
 * Whether reading files ends when the thread is interrupted. As a rule it does not: nothing of the library's
 * is interruptible, since an interrupt is meant for a handler. The command line asks for it, in its own
 * thread.
 */
public final class Reading {

  private static final ThreadLocal<Boolean> INTERRUPTIBLE = ThreadLocal.withInitial(() -> false);

  private Reading() {}

  /** Does some work in which reading ends when this thread is interrupted. */
  public static <T> T interruptibly(Supplier<T> work) {
    boolean outer = INTERRUPTIBLE.get();
    INTERRUPTIBLE.set(true);
    try {
      return work.get();
    } finally {
      INTERRUPTIBLE.set(outer);
    }
  }

  static boolean isInterrupted() {
    return Thread.currentThread().isInterrupted() && INTERRUPTIBLE.get();
  }

  /**
   * Lets an interrupted thread read no further. Its status stays, so that what it tries next ends as soon;
   * and whoever catches a failure to read asks once more, so that an interrupt never passes for one.
   *
   * @throws SymbolException if the calling thread is interrupted, and its reading may be
   */
  static void check() {
    if (isInterrupted()) {
      throw new SymbolException(Reason.INTERRUPTED, "this thread was interrupted while it read a file");
    }
  }
}
