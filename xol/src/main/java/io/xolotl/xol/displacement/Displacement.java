package io.xolotl.xol.displacement;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;
import org.jspecify.annotations.Nullable;

/**
 * How the displaced instruction of one site is executed. One object a site, used by any number of threads at
 * once: what belongs to a thread is in its {@link Tracee}. Tracer thread only.
 */
@TracerThread
public sealed interface Displacement permits Emulated, OutOfLine {

  /** What has become of a thread that was to execute the instruction. */
  enum Outcome {
    /** It is executed. The thread is stopped, with its registers written. */
    DONE,
    /** The thread was resumed in the copy; its {@link Tracee#detour} tells which. */
    IN_COPY,
    /** The thread was resumed with the fault of the instruction. */
    FAULTED,
    /** Nothing is done: only a copy could execute it, and there is none. */
    IMPOSSIBLE
  }

  Technique technique();

  /** The slot that it uses, or null if it uses none. */
  @Nullable
  Lease lease();

  /** Executes the instruction for a thread that is stopped at its site. */
  Outcome execute(Tracee tracee);
}
