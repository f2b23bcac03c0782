package io.xolotl.ptrace;

/**
 * A process could not be controlled as asked. The message is one sentence for people that names the operation
 * and what to do about it; {@link #reason()} and {@link #errno()} are for programs.
 */
public sealed class PtraceException extends RuntimeException permits ThreadGoneException {

  private static final long serialVersionUID = 1L;

  /** What kept the operation from being done. */
  public enum Reason {
    /** The JVM runs without {@code --enable-native-access} for this module. */
    NATIVE_ACCESS_DENIED,
    /** There is no process with this id. */
    NO_SUCH_PROCESS,
    /** The kernel does not let this user trace the process. */
    NOT_PERMITTED,
    /** The process is a kernel thread, which has no user memory. */
    KERNEL_THREAD,
    /** The process has ended, and its parent has not waited for it yet. */
    ZOMBIE,
    /** Another debugger or tracer traces the process. */
    ALREADY_TRACED,
    /** A process cannot trace itself. */
    OWN_PROCESS,
    /** The JDK waits for this child of the JVM and would take its stops away. */
    CHILD_OF_THIS_JVM,
    /** Another process runs in the same memory, and cannot be traced, or may do so. */
    ADDRESS_SPACE_SHARED,
    /** The program could not be started. */
    LAUNCH_FAILED,
    /**
     * The thread or process has ended, or was killed, meanwhile; the exception is
     * {@link ThreadGoneException}.
     */
    THREAD_GONE,
    /** The thread did not stop within ten seconds. */
    NOT_STOPPING,
    /** The memory is not mapped, or not with the permission that the access needs. */
    MEMORY_INACCESSIBLE,
    /** A system call made in the target failed. */
    REMOTE_CALL_FAILED,
    /** The thread is under seccomp, and the system call to be made in it could do harm; it was not made. */
    SECCOMP,
    /** The tracer has been closed. */
    CLOSED,
    /** The kernel refused an operation for a reason this library does not know. */
    SYSTEM_ERROR
  }

  /** What {@link #reason()} returns. */
  private final Reason reason;
  /** What {@link #errno()} returns. */
  private final int errno;

  PtraceException(Reason reason, int errno, String message) {
    super(message);
    this.reason = reason;
    this.errno = errno;
  }

  PtraceException(Reason reason, String message) {
    this(reason, 0, message);
  }

  /** {@return what kept the operation from being done} */
  public Reason reason() {
    return reason;
  }

  /** {@return true if the thread can be asked nothing: it has ended, or does not stop} */
  public boolean isBeyondReach() {
    return reason == Reason.THREAD_GONE || reason == Reason.NOT_STOPPING;
  }

  /** {@return the kernel's errno, or 0 if no system call failed} */
  public int errno() {
    return errno;
  }

  /** A ptrace request on a thread failed. */
  static PtraceException ofRequest(int request, int tid, int errno) {
    return errno == Libc.ESRCH
        // ptrace(2): ESRCH also when the thread is not stopped; the callers here know that it was.
        ? new ThreadGoneException(errno,
            Ptrace.name(request) + " of thread " + tid + ": the thread has ended meanwhile (ESRCH)")
        : new PtraceException(Reason.SYSTEM_ERROR, errno,
            Ptrace.name(request) + " of thread " + tid + " failed with " + Errno.name(errno));
  }
}
