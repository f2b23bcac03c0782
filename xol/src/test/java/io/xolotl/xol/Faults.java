package io.xolotl.xol;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Makes one call of the C library fail, of those that this JVM's tracers make and the thread that uses this.
 * Waits are left alone, and what cannot fail.
 */
final class Faults {

  private static final VarHandle HOOK = hook();

  private static final int EPERM = 1;
  private static final int EIO = 5;
  private static final int EAGAIN = 11;
  private static final int EMFILE = 24;

  private final int failing;
  private final Runnable before;
  private final Thread user = Thread.currentThread();
  private final AtomicInteger calls = new AtomicInteger();
  private volatile @Nullable String failed;
  private static volatile boolean struck;

  private Faults(int failing, Runnable before) {
    this.failing = failing;
    this.before = before;
  }

  private static VarHandle hook() {
    try {
      Class<?> libc = Class.forName("io.xolotl.ptrace.Libc");
      return MethodHandles.privateLookupIn(libc, MethodHandles.lookup()).findStaticVarHandle(libc, "faults",
          ToIntFunction.class);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  /**
   * Runs an operation in which a call fails.
   *
   * @param failing the number of the call, from 1
   * @return the name of the call that failed, or null if so many were not made
   */
  static @Nullable String during(int failing, Runnable operation) {
    return new Faults(failing, () -> {}).run(operation, true);
  }

  /**
   * Runs an operation, and something just before a call in it.
   *
   * @param number the number of the call, from 1
   * @return the name of the call, or null if so many were not made
   */
  static @Nullable String before(int number, Runnable event, Runnable operation) {
    return new Faults(number, event).run(operation, false);
  }

  /** Tells, in the operation, whether the call was made. */
  static boolean haveStruck() {
    return struck;
  }

  private @Nullable String run(Runnable operation, boolean fail) {
    struck = false;
    ToIntFunction<String> hook = call -> asked(call) && fail ? errno(call) : 0;
    HOOK.setVolatile(hook);
    try {
      operation.run();
    } finally {
      HOOK.setVolatile((ToIntFunction<String>) null);
    }
    return failed;
  }

  private boolean asked(String call) {
    boolean tracer = Thread.currentThread().getName().startsWith("xolotl-tracer");
    if (!tracer && Thread.currentThread() != user || isPointless(call, tracer)
        || calls.incrementAndGet() != failing) {
      return false;
    }
    failed = call;
    before.run();
    struck = true;
    return true;
  }

  /** gettid cannot fail, and the signals that wake a tracer are as many as it takes. */
  private static boolean isPointless(String call, boolean tracer) {
    return call.equals("system call 186") || call.equals("system call 234") && !tracer;
  }

  private static int errno(String call) {
    return switch (call) {
      case "open" -> EMFILE;
      case "PTRACE_SEIZE", "process_vm_readv", "process_vm_writev" -> EPERM;
      case "posix_spawn" -> EAGAIN;
      default -> call.startsWith("system call") ? EAGAIN : EIO;
    };
  }
}
