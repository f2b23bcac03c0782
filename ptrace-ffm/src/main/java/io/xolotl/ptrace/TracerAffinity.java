package io.xolotl.ptrace;

/** On which CPU a tracer thread runs. */
public enum TracerAffinity {

  /** Wherever the kernel puts it. */
  FREE,

  /**
   * On the CPU where the thread that it serves ran. Where other CPUs are busy the two then share one, and
   * neither waits for the other's to be free; an idle CPU the kernel gives to the thread that goes on all the
   * same. Threads and processes that are started on the tracer thread inherit its CPU (sched_setaffinity(2)):
   * start them elsewhere, or within {@link Tracer#unpinned}.
   */
  FOLLOW
}
