package io.xolotl.xol.displacement;

import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import org.jspecify.annotations.Nullable;

/**
 * Relocated code of a site's instruction, which needs no tracer: where a thread goes on that nobody stops at
 * the site's breakpoint any more.
 *
 * @param lease its slot; null if that is the displacement's
 * @param start where it begins
 * @param behind the part of it that is left for a thread which has executed a copy of the instruction; 0 if
 *     the instruction leads elsewhere
 */
@TracerThread
public record WayOut(@Nullable Lease lease, long start, long behind) {}
