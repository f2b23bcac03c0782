package io.xolotl.xol.code;

import io.xolotl.ptrace.PtraceException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * No thread of the process could do what had to be done in one: each has ended, does not stop, or may not do
 * it. That is about the process; a thread that somebody else is busy with may be well.
 */
public final class ErrandException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final @Nullable PtraceException last;

  /**
   * An errand that failed.
   *
   * @param last why the last thread could not do it; null if there was none
   */
  public ErrandException(@Nullable PtraceException last) {
    super(last == null ? "the process has no thread left" : last.getMessage(), last);
    this.last = last;
  }

  /** Why the last thread could not do it; empty if there was none: the process has ended. */
  public Optional<PtraceException> last() {
    return Optional.ofNullable(last);
  }

  /** Returns true if seccomp forbids it. */
  public boolean isForbidden() {
    return last != null && last.reason() == PtraceException.Reason.SECCOMP;
  }
}
