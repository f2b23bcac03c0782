package io.xolotl.ptrace;

/**
 * Makes ptrace requests on one thread. The kernel knows it by its id alone, which is another thread's soon
 * after this one has ended, been detached or been replaced by an exec.
 *
 * <p>So all requests on a thread go through here, and none reaches the kernel any more when it is known to be
 * gone: that is the same to its user as if the kernel had answered ESRCH, as it does for a thread that was
 * killed in its stop.
 *
 * <p>Tracer thread only.
 */
final class ThreadRequests {

  private final Tracer tracer;
  private final int tid;
  /** Detached, ended, or replaced by exec: the id may be that of another thread by now. */
  private boolean gone;

  ThreadRequests(Tracer tracer, int tid) {
    this.tracer = tracer;
    this.tid = tid;
  }

  /** No request may reach whoever has this id next. */
  void markGone() {
    gone = true;
  }

  boolean isGone() {
    return gone;
  }

  int tid() {
    return tid;
  }

  /** Where arguments and results of a request are. */
  Scratch scratch() {
    return tracer.scratch();
  }

  /**
   * Makes a request.
   *
   * @return what it returns, which is not negative
   * @throws PtraceException if it fails, {@link ThreadGoneException} if the thread is gone
   */
  long make(Scratch s, int request, long address, long data) {
    if (gone) {
      throw PtraceException.ofRequest(request, tid, Libc.ESRCH);
    }
    long result = Libc.ptrace(s.state, request, tid, address, data);
    if (result < 0) {
      throw PtraceException.ofRequest(request, tid, Libc.errno(s.state));
    }
    return result;
  }

  /**
   * Makes a request that may fail, for a caller that goes on then.
   *
   * @return what it returns; −1 if it fails, with the errno in the scratch, or if the thread is gone
   */
  long attempt(Scratch s, int request, long address, long data) {
    return gone ? -1 : Libc.ptrace(s.state, request, tid, address, data);
  }
}
