package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The C library's functions that this module calls, under their C names, with the C library's conventions: −1
 * is a failure, and {@code errno} is then in the capture segment that the caller passed in. A capture segment
 * belongs to one thread at a time.
 *
 * <p>The class is initialized, and so the functions are linked, with the first call: everything else in the
 * module loads where native access is denied.
 */
final class Libc {

  static final int EPERM = 1;
  static final int ESRCH = 3;
  static final int ENOENT = 2;
  static final int EINTR = 4;
  static final int EIO = 5;
  static final int E2BIG = 7;
  static final int ENOEXEC = 8;
  static final int ECHILD = 10;
  static final int EACCES = 13;
  static final int EFAULT = 14;
  static final int ETXTBSY = 26;
  static final int ENOSYS = 38;

  static final int WNOHANG = 1;
  static final int WUNTRACED = 2;
  static final int WNOTHREAD = 0x20000000;
  static final int WALL = 0x40000000;

  private static final long SYS_READ = 0;
  private static final long SYS_OPEN = 2;
  private static final long SYS_CLOSE = 3;
  private static final long SYS_IOCTL = 16;
  private static final long SYS_KCMP = 312;
  private static final long SYS_OPENAT2 = 437;

  static final int O_RDONLY = 0;
  static final int O_RDWR = 2;
  static final int O_CLOEXEC = 0x80000;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final Linker.Option ERRNO = Linker.Option.captureCallState("errno");
  private static final StructLayout CALL_STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO_HANDLE = CALL_STATE
      .varHandle(MemoryLayout.PathElement.groupElement("errno"));

  /*
   * Calls that can block (waitpid, pread of memory that another process must page in) are never "critical":
   * a thread in a critical call holds up every safepoint of the JVM.
   */
  private static final MethodHandle WAITPID = link("waitpid",
      FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT), ERRNO);
  private static final MethodHandle PTRACE = link("ptrace",
      FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG), ERRNO,
      Linker.Option.firstVariadicArg(1), Linker.Option.critical(false));
  private static final MethodHandle SYSCALL = link("syscall",
      FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
      ERRNO,
      Linker.Option.firstVariadicArg(1));
  private static final MethodHandle OPEN = link("open", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
      ERRNO, Linker.Option.firstVariadicArg(2));
  private static final MethodHandle CLOSE = link("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT), ERRNO);
  private static final MethodHandle PREAD = link("pread",
      FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG), ERRNO);
  private static final MethodHandle PWRITE = link("pwrite",
      FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG), ERRNO);
  private static final FunctionDescriptor PROCESS_VM = FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS,
      JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle PROCESS_VM_READV = link("process_vm_readv", PROCESS_VM, ERRNO);
  private static final MethodHandle PROCESS_VM_WRITEV = link("process_vm_writev", PROCESS_VM, ERRNO);
  private static final MethodHandle SIGACTION = link("sigaction",
      FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS), ERRNO);
  private static final MethodHandle PTHREAD_SIGMASK = link("pthread_sigmask",
      FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
  private static final MethodHandle POSIX_SPAWN = link("posix_spawn",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS));
  private static final MethodHandle FILE_ACTIONS_INIT = link("posix_spawn_file_actions_init",
      FunctionDescriptor.of(JAVA_INT, ADDRESS));
  private static final MethodHandle FILE_ACTIONS_DESTROY = link("posix_spawn_file_actions_destroy",
      FunctionDescriptor.of(JAVA_INT, ADDRESS));
  private static final MethodHandle FILE_ACTIONS_ADDOPEN = link("posix_spawn_file_actions_addopen",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
  private static final MethodHandle FILE_ACTIONS_ADDDUP2 = link("posix_spawn_file_actions_adddup2",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
  private static final MethodHandle FILE_ACTIONS_ADDCLOSE = link("posix_spawn_file_actions_addclose",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
  private static final MethodHandle FILE_ACTIONS_ADDCHDIR = link("posix_spawn_file_actions_addchdir_np",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
  private static final MethodHandle SPAWNATTR_INIT = link("posix_spawnattr_init",
      FunctionDescriptor.of(JAVA_INT, ADDRESS));
  private static final MethodHandle SPAWNATTR_DESTROY = link("posix_spawnattr_destroy",
      FunctionDescriptor.of(JAVA_INT, ADDRESS));
  private static final MethodHandle SPAWNATTR_SETFLAGS = link("posix_spawnattr_setflags",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_SHORT));
  private static final MethodHandle SPAWNATTR_SETSIGDEFAULT = link("posix_spawnattr_setsigdefault",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
  private static final MethodHandle SPAWNATTR_SETSIGMASK = link("posix_spawnattr_setsigmask",
      FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));

  /**
   * For tests of what happens when a call fails, and null otherwise: given a call's name, for ptrace the
   * request's, it returns the errno to fail with, or 0 to make the call. Waits are not asked about: what they
   * report is what the kernel knows.
   */
  static @Nullable ToIntFunction<String> faults;

  private Libc() {}

  private static boolean fails(MemorySegment state, String call) {
    ToIntFunction<String> chosen = faults;
    int errno = chosen == null ? 0 : chosen.applyAsInt(call);
    if (errno == 0) {
      return false;
    }
    ERRNO_HANDLE.set(state, 0L, errno);
    return true;
  }

  private static MethodHandle link(String name, FunctionDescriptor descriptor, Linker.Option... options) {
    return LINKER.downcallHandle(address(name), descriptor, options);
  }

  /** Address of a function of the C library in this process. */
  static MemorySegment address(String name) {
    return LINKER.defaultLookup().findOrThrow(name);
  }

  /** Layout of a capture segment. */
  static MemoryLayout callState() {
    return CALL_STATE;
  }

  /** {@code errno} after a call that failed. */
  static int errno(MemorySegment state) {
    return (int) ERRNO_HANDLE.get(state, 0L);
  }

  /** What {@code invokeExact} throws can only be an error of this class itself. */
  private static AssertionError unexpected(Throwable t) {
    return new AssertionError(t);
  }

  static int waitpid(MemorySegment state, int pid, MemorySegment status, int options) {
    try {
      return (int) WAITPID.invokeExact(state, pid, status, options);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static long ptrace(MemorySegment state, int request, int tid, long address, long data) {
    if (faults != null && fails(state, Ptrace.name(request))) {
      return -1;
    }
    try {
      return (long) PTRACE.invokeExact(state, request, tid, address, data);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static long syscall(MemorySegment state, long number, long a, long b, long c, long d, long e) {
    if (faults != null && fails(state, "system call " + number)) {
      return -1;
    }
    return unfailing(state, number, a, b, c, d, e);
  }

  /**
   * Tests do not let these fail: they are made for each process of the machine, whose number is never the
   * same.
   */
  private static long unfailing(MemorySegment state, long number, long a, long b, long c, long d, long e) {
    try {
      return (long) SYSCALL.invokeExact(state, number, a, b, c, d, e);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  /** With the address of the argument. */
  static long ioctl(MemorySegment state, int descriptor, long request, long argument) {
    return unfailing(state, SYS_IOCTL, descriptor, request, argument, 0, 0);
  }

  static long kcmp(MemorySegment state, int one, int other, long type) {
    return unfailing(state, SYS_KCMP, one, other, type, 0, 0);
  }

  /** The beginning of a small file, some 4,000 bytes; nothing if it cannot be read. */
  static String readFile(Scratch s, String path) {
    s.path.setString(0, path);
    long descriptor = unfailing(s.state, SYS_OPEN, s.path.address(), O_CLOEXEC, 0, 0, 0);
    if (descriptor < 0) {
      return "";
    }
    long length = unfailing(s.state, SYS_READ, descriptor, s.file.address(), s.file.byteSize(), 0, 0);
    // It returns nothing that matters: nothing was written.
    unfailing(s.state, SYS_CLOSE, descriptor, 0, 0, 0, 0);
    return length <= 0
        ? ""
        : new String(s.file.asSlice(0, length).toArray(JAVA_BYTE), StandardCharsets.ISO_8859_1);
  }

  static int open(MemorySegment state, MemorySegment path, int flags) {
    if (faults != null && fails(state, "open")) {
      return -1;
    }
    try {
      return (int) OPEN.invokeExact(state, path, flags);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  /** As {@link #open}; tests do not let it fail, since no process is at stake where it is called. */
  static int openQuietly(MemorySegment state, MemorySegment path, int flags) {
    return (int) unfailing(state, SYS_OPEN, path.address(), flags, 0, 0, 0);
  }

  static long openat2(MemorySegment state, int directory, MemorySegment path, MemorySegment how) {
    return unfailing(state, SYS_OPENAT2, directory, path.address(), how.address(), how.byteSize(), 0);
  }

  static int close(MemorySegment state, int descriptor) {
    try {
      return (int) CLOSE.invokeExact(state, descriptor);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static long pread(MemorySegment state, int descriptor, MemorySegment buffer, long count, long offset) {
    if (faults != null && fails(state, "pread")) {
      return -1;
    }
    try {
      return (long) PREAD.invokeExact(state, descriptor, buffer, count, offset);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static long pwrite(MemorySegment state, int descriptor, MemorySegment buffer, long count, long offset) {
    if (faults != null && fails(state, "pwrite")) {
      return -1;
    }
    try {
      return (long) PWRITE.invokeExact(state, descriptor, buffer, count, offset);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static long process_vm_readv(MemorySegment state, int pid, MemorySegment local, long locals,
      MemorySegment remote,
      long remotes) {
    if (faults != null && fails(state, "process_vm_readv")) {
      return -1;
    }
    try {
      return (long) PROCESS_VM_READV.invokeExact(state, pid, local, locals, remote, remotes, 0L);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static long process_vm_writev(MemorySegment state, int pid, MemorySegment local, long locals,
      MemorySegment remote,
      long remotes) {
    if (faults != null && fails(state, "process_vm_writev")) {
      return -1;
    }
    try {
      return (long) PROCESS_VM_WRITEV.invokeExact(state, pid, local, locals, remote, remotes, 0L);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int sigaction(MemorySegment state, int signal, MemorySegment action, MemorySegment old) {
    try {
      return (int) SIGACTION.invokeExact(state, signal, action, old);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int pthread_sigmask(int how, MemorySegment set, MemorySegment old) {
    try {
      return (int) PTHREAD_SIGMASK.invokeExact(how, set, old);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawn(MemorySegment pid, MemorySegment path, MemorySegment actions,
      MemorySegment attributes,
      MemorySegment argv, MemorySegment envp) {
    ToIntFunction<String> chosen = faults;
    int errno = chosen == null ? 0 : chosen.applyAsInt("posix_spawn");
    if (errno != 0) {
      return errno;
    }
    try {
      return (int) POSIX_SPAWN.invokeExact(pid, path, actions, attributes, argv, envp);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawn_file_actions_init(MemorySegment actions) {
    try {
      return (int) FILE_ACTIONS_INIT.invokeExact(actions);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawn_file_actions_destroy(MemorySegment actions) {
    try {
      return (int) FILE_ACTIONS_DESTROY.invokeExact(actions);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawn_file_actions_addopen(MemorySegment actions, int descriptor, MemorySegment path,
      int flags,
      int mode) {
    try {
      return (int) FILE_ACTIONS_ADDOPEN.invokeExact(actions, descriptor, path, flags, mode);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawn_file_actions_adddup2(MemorySegment actions, int from, int to) {
    try {
      return (int) FILE_ACTIONS_ADDDUP2.invokeExact(actions, from, to);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawn_file_actions_addclose(MemorySegment actions, int descriptor) {
    try {
      return (int) FILE_ACTIONS_ADDCLOSE.invokeExact(actions, descriptor);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawn_file_actions_addchdir_np(MemorySegment actions, MemorySegment path) {
    try {
      return (int) FILE_ACTIONS_ADDCHDIR.invokeExact(actions, path);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawnattr_init(MemorySegment attributes) {
    try {
      return (int) SPAWNATTR_INIT.invokeExact(attributes);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawnattr_destroy(MemorySegment attributes) {
    try {
      return (int) SPAWNATTR_DESTROY.invokeExact(attributes);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawnattr_setflags(MemorySegment attributes, short flags) {
    try {
      return (int) SPAWNATTR_SETFLAGS.invokeExact(attributes, flags);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawnattr_setsigdefault(MemorySegment attributes, MemorySegment set) {
    try {
      return (int) SPAWNATTR_SETSIGDEFAULT.invokeExact(attributes, set);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  static int posix_spawnattr_setsigmask(MemorySegment attributes, MemorySegment set) {
    try {
      return (int) SPAWNATTR_SETSIGMASK.invokeExact(attributes, set);
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }
}
