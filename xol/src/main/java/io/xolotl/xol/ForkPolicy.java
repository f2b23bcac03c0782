package io.xolotl.xol;

/** What becomes of a process that a probed process creates. */
public enum ForkPolicy {

  /** It gets its own clean memory and runs free, without probes. */
  DETACH,

  /**
   * It becomes a probed process of its own, before its first instruction, with the same probes and options;
   * the {@link ProcessListener} is given it. Its probes count from 0, and calls that were under way in its
   * parent are not seen to return in it. Probes that are limited to threads are left out: those are its
   * parent's.
   *
   * <p>A child that runs in its parent's memory (vfork, posix_spawn, CLONE_VM) hits its parent's probes. It
   * becomes a process of its own when it executes a program, which has no probes yet.
   */
  FOLLOW,

  /**
   * As {@link #FOLLOW}; and when the process or a child executes a program, the probes on symbols and
   * addresses of files are registered again there, before its first instruction. Those whose module it maps
   * later wait for it; what it has not is left out. The probes of the program before are over, and those of
   * the new one count from 0: {@link ProcessListener#executed} is told when they are there.
   */
  FOLLOW_EXEC
}
