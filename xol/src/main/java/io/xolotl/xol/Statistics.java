package io.xolotl.xol;

import java.util.Map;

/**
 * What has happened in the session with a process until now, for all its users together.
 *
 * @param hits the sum of what the probes count, and the entries of the return probes
 * @param stoppedNanos how long threads were kept at breakpoints, in nanoseconds: from when the tracer thread
 *     has seen a thread stop, to when it has told it to go on or to execute a copy. Several threads may be
 *     stopped at a time
 * @param handlerErrors how often a handler, a condition or the executor has thrown
 * @param childrenNotProbed processes that it has created, and that ran, or run a program, without probes
 * @param lost how many probes have ended without being asked to, and why: what arrives there since is not
 *     counted
 */
public record Statistics(long hits, long stoppedNanos, long handlerErrors, long childrenNotProbed,
    Map<ProbeException.Reason, Long> lost) {}
