package io.xolotl.ptrace;

import org.jspecify.annotations.Nullable;

/**
 * Whether one thread runs or is stopped, and for what. A thread may be waited for in the middle of other
 * work, and what comes then need not be what was waited for: it may be another stop, an exec, or its end.
 *
 * <p>So a stop that is waited for is the caller's, whichever it is, and everything else is put back into the
 * {@link ReportQueue} and handed out in its turn. A request to run that fails leaves the thread stopped, and
 * known as stopped, unless it is gone.
 *
 * <p>Tracer thread only.
 */
final class RunState {

  private final TracedThread thread;
  private final ThreadRequests requests;
  private final Tracer tracer;
  private WaitStatus.@Nullable Stopped stop;

  RunState(TracedThread thread, ThreadRequests requests) {
    this.thread = thread;
    this.requests = requests;
    tracer = thread.process().tracer();
  }

  /** Why the thread is stopped, or null if it runs. */
  WaitStatus.@Nullable Stopped stop() {
    return stop;
  }

  void markStopped(WaitStatus.Stopped why) {
    stop = why;
  }

  /** No request may reach whoever has this id next. */
  void markGone() {
    stop = null;
    requests.markGone();
  }

  /**
   * Lets the thread run.
   *
   * @param request how far
   * @param signal signal to deliver, or 0
   */
  void resume(int request, int signal) {
    WaitStatus.Stopped before = stop;
    stop = null;
    try {
      requests.make(requests.scratch(), request, 0, signal);
    } catch (ThreadGoneException e) {
      throw e;
    } catch (PtraceException e) {
      stop = before;
      throw e;
    }
  }

  void interrupt() {
    requests.make(requests.scratch(), Ptrace.INTERRUPT, 0, 0);
  }

  /**
   * Stops the thread, if it is not stopped, and waits until it is.
   *
   * @see TracedThread#interruptAndWait
   */
  WaitStatus.Stopped interruptAndWait() {
    if (stop != null) {
      return stop;
    }
    WaitStatus known = tracer.reports().take(requests.tid());
    if (known != null) {
      return stopped(known);
    }
    interrupt();
    return awaitStop();
  }

  /**
   * Waits for the next stop.
   *
   * @see TracedThread#awaitStop
   */
  WaitStatus.Stopped awaitStop() {
    return stopped(tracer.await(requests.tid()));
  }

  private WaitStatus.Stopped stopped(WaitStatus status) {
    return switch (status) {
      case WaitStatus.Executed _ -> throw gone(status, "its process executes a program");
      case WaitStatus.Stopped stopped -> {
        stop = stopped;
        tracer.newcomers().noteCreation(thread, stopped);
        yield stopped;
      }
      case WaitStatus.Ended _ -> throw gone(status, "it has ended meanwhile");
    };
  }

  /** For the launch, which waits for the exec. */
  WaitStatus.Stopped awaitStopOrExec() {
    WaitStatus status = tracer.await(requests.tid());
    return switch (status) {
      case WaitStatus.Stopped stopped -> stop = stopped;
      case WaitStatus.Ended ended -> throw gone(status, "it has ended meanwhile: " + ended);
    };
  }

  /** What came instead of a stop is reported in its turn, when the caller's work is done. */
  private PtraceException gone(WaitStatus status, String why) {
    tracer.reports().defer(requests.tid(), status);
    return new ThreadGoneException(Libc.ESRCH, thread + " does not stop: " + why);
  }
}
