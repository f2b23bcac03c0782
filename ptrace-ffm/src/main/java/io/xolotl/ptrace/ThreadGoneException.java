package io.xolotl.ptrace;

/**
 * The thread or process has ended, or was killed, meanwhile. That may happen between any two requests, since
 * SIGKILL ends a stopped thread too (ptrace(2), "Death under ptrace"); its end has been reported, or will be.
 */
public final class ThreadGoneException extends PtraceException {

  private static final long serialVersionUID = 1L;

  ThreadGoneException(int errno, String message) {
    super(Reason.THREAD_GONE, errno, message);
  }
}
