package io.xolotl.ptrace;

import java.util.List;

/**
 * What a user of this module does when a traced process does something. Every method runs on the tracer
 * thread; the thread that it is about stays stopped until it is resumed, which the method does or arranges
 * for.
 */
public interface TraceHandler {

  /**
   * A thread is about to be stopped while a system call is made in another; the stop is reported as others
   * are.
   *
   * @param thread the thread
   */
  default void interrupting(TracedThread thread) {
    // For most it is a stop like others.
  }

  /**
   * A thread has stopped.
   *
   * @param thread the thread
   * @param status why
   */
  void stopped(TracedThread thread, WaitStatus.Stopped status);

  /**
   * A thread that the process created is traced too, and stopped before its first instruction.
   *
   * @param thread the new thread
   */
  void threadStarted(TracedThread thread);

  /**
   * A traced thread created a process, whose only thread is stopped before its first instruction. The child
   * is handled by this handler until it gets its own.
   *
   * @param parent the process that created it
   * @param child the new process
   * @param thread its thread
   * @param sharesMemory whether parent and child have one address space (vfork, CLONE_VM): what is written to
   *     one is then written to both
   */
  void processCreated(TracedProcess parent, TracedProcess child, TracedThread thread, boolean sharesMemory);

  /**
   * The process has executed another program: its address space is new and all other threads are gone. The
   * thread is still inside the system call.
   *
   * @param thread the one thread left; not the object that it was before
   * @param former all threads that there were, whose ends are no longer reported
   */
  void executed(TracedThread thread, List<TracedThread> former);

  /**
   * A thread has ended; no request can be made of it any longer.
   *
   * @param thread the thread
   * @param status how it ended; for the last thread of a process, how the process ended
   */
  void ended(TracedThread thread, WaitStatus.Ended status);
}
