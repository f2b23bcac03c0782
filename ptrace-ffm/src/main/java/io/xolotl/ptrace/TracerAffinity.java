package io.xolotl.ptrace;

/** On which CPU a tracer thread runs. */
public enum TracerAffinity {

  /** Wherever the kernel puts it. */
  FREE,

  /**
   * On the CPU where the thread that it serves ran. The two never run at the same time, and so neither waits for an idle
   * CPU to wake up, which costs far more than the stop itself, above all in virtual machines. Threads and processes that are
   * started on the tracer thread inherit its CPU (sched_setaffinity(2)): start them elsewhere, or within
   * {@link Tracer#unpinned}.
   */
  FOLLOW
}
