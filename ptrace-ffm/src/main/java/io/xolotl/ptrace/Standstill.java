package io.xolotl.ptrace;

/**
 * Keeps a process from executing anything while one of its threads makes a system call for us. Another thread
 * could add a seccomp filter to all of them between the look at the filters and the call, and the call would
 * kill: see {@link RemoteCall}.
 *
 * <p>Every other thread is asked to stop, and what it reports is put back and handed out in its turn, so that
 * this can be done while another stop is being handled. One that is stopped already stays so.
 *
 * <p>Tracer thread only; it has no state.
 */
final class Standstill {

  private Standstill() {}

  /**
   * Stops all threads of a process but one.
   *
   * @param caller the one that makes the call
   */
  static void of(TracedThread caller) {
    TracedProcess process = caller.process();
    for (TracedThread other : process.threads()) {
      if (other != caller && other.stop() == null) {
        hold(other, process.dispatcher().handler());
      }
    }
  }

  /**
   * Has a thread that runs execute nothing of the program until its stop is handed out in its turn. One in
   * state D does not stop now, but on its way to user mode, before the program's next instruction.
   *
   * @param asked is told if it is asked to stop
   */
  private static void hold(TracedThread thread, TraceHandler asked) {
    int tid = thread.tid();
    Tracer tracer = thread.process().tracer();
    try {
      WaitStatus known = tracer.reports().take(tid);
      if (known == null) {
        asked.interrupting(thread);
        thread.interrupt();
        ProcessStatus status = ProcessStatus.of(tid);
        if (status == null || status.isUninterruptible()) {
          return;
        }
        known = tracer.await(tid);
      }
      tracer.reports().defer(tid, known);
    } catch (PtraceException e) {
      if (!e.isBeyondReach()) {
        throw e;
      }
      // It executes nothing any more, or is in state D.
    }
  }
}
