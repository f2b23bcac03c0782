package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The dispatch of a thread's system calls to the program itself (prctl(2), PR_SET_SYSCALL_USER_DISPATCH), as
 * Wine has it. A call that we make in such a thread would not be made but raise SIGSYS.
 *
 * <p>So the dispatch is taken off for the time of the call, and its configuration kept here to be put back.
 *
 * <p>Tracer thread only; the thread is stopped.
 */
final class SyscallDispatch {

  private final ThreadRequests requests;
  private final long[] configuration;

  private SyscallDispatch(ThreadRequests requests, long[] configuration) {
    this.requests = requests;
    this.configuration = configuration;
  }

  /**
   * Lets the thread's next system calls be made.
   *
   * @return what is to be {@linkplain #resume put back}; null if there is nothing to put back
   */
  static @Nullable SyscallDispatch suspend(ThreadRequests requests) {
    Scratch s = requests.scratch();
    long size = s.dispatch.byteSize();
    // EIO: a kernel before 6.4, which cannot tell. ESRCH is told by the next request.
    if (requests.attempt(s, Ptrace.GET_SYSCALL_USER_DISPATCH_CONFIG, size, s.dispatch.address()) < 0
        || s.dispatch.get(JAVA_LONG, 0) == 0) {
      return null;
    }
    long[] configuration = s.dispatch.toArray(JAVA_LONG);
    s.dispatch.fill((byte) 0);
    requests.make(s, Ptrace.SET_SYSCALL_USER_DISPATCH_CONFIG, size, s.dispatch.address());
    return new SyscallDispatch(requests, configuration);
  }

  void resume() {
    Scratch s = requests.scratch();
    MemorySegment.copy(configuration, 0, s.dispatch, JAVA_LONG, 0, configuration.length);
    requests.make(s, Ptrace.SET_SYSCALL_USER_DISPATCH_CONFIG, s.dispatch.byteSize(), s.dispatch.address());
  }
}
