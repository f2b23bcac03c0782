package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Whether a process can be traced, and if not, why not and what to do. */
final class Attachability {

  /**
   * Children of this JVM that {@link Launcher} started, which nobody else waits for, and whose thread is
   * their parent.
   */
  private static final Map<Integer, Tracer> LAUNCHED = new ConcurrentHashMap<>();

  private static final int CAP_SYS_PTRACE = 19;

  private Attachability() {}

  static void launched(int pid, Tracer parent) {
    LAUNCHED.put(pid, parent);
  }

  static void reaped(int pid) {
    LAUNCHED.remove(pid);
  }

  static boolean isLaunched(int pid) {
    return LAUNCHED.containsKey(pid);
  }

  /** Refuses what ptrace would refuse less clearly, or would do to the harm of the process. */
  static void check(Tracer tracer, int pid) {
    ProcessStatus status = pid > 0 ? ProcessStatus.of(pid) : null;
    if (status == null) {
      throw new PtraceException(Reason.NO_SUCH_PROCESS, Libc.ESRCH, "there is no process " + pid);
    }
    int self = (int) ProcessHandle.current().pid();
    if (status.tgid() != pid) {
      throw new PtraceException(Reason.NO_SUCH_PROCESS, Libc.ESRCH,
          pid + " is a thread of process " + status.tgid()
              + " (" + status.name() + "): give the id of the process, all its threads are probed together");
    }
    if (pid == self) {
      throw new PtraceException(Reason.OWN_PROCESS,
          "process " + pid + " is this JVM itself, and a process cannot trace itself");
    }
    if (status.kernelThread()) {
      throw new PtraceException(Reason.KERNEL_THREAD,
          "process " + pid + " (" + status.name() + ") is a kernel thread, which has no user code to probe");
    }
    if (status.isDead() && !hasLivingThread(pid)) {
      throw new PtraceException(Reason.ZOMBIE, "process " + pid + " (" + status.name()
          + ") has ended: it is a zombie until its parent, process " + status.parentPid()
          + ", takes its exit status");
    }
    Tracer parent = LAUNCHED.get(pid);
    if (status.parentPid() == self && parent == null) {
      throw new PtraceException(Reason.CHILD_OF_THIS_JVM, "process " + pid + " (" + status.name()
          + ") is a child of this JVM that Xolotl did not start, and the JDK waits for its stops: start it "
          + "with Xolotl's launch instead, or attach from another JVM");
    }
    if (parent != null && parent != tracer && parent.isRunning()) {
      // wait_consider_task() in kernel/exit.c: a thread sees the stops of its children, whichever thread of
      // the same process traces them.
      throw new PtraceException(Reason.CHILD_OF_THIS_JVM, "process " + pid + " (" + status.name()
          + ") was started by another tracer of this JVM, which would take its stops: attach with that one, "
          + "or close it first");
    }
    if (status.tracer() != 0) {
      throw alreadyTraced(pid, status.tracer());
    }
  }

  private static boolean hasLivingThread(int pid) {
    return ProcessStatus.threadIds(pid).stream().map(ProcessStatus::of).anyMatch(
        status -> status != null && !status.isDead());
  }

  private static PtraceException alreadyTraced(int pid, int tracer) {
    // The kernel names the tracing thread; people know the process.
    ProcessStatus thread = ProcessStatus.of(tracer);
    ProcessStatus holder = thread == null ? null : ProcessStatus.of(thread.tgid());
    String name = holder == null
        ? "thread " + tracer
        : "process " + holder.tgid() + " (" + holder.name() + ")";
    return new PtraceException(Reason.ALREADY_TRACED, Libc.EPERM,
        "process " + pid + " is already traced by " + name
            + ": end that first, since Linux allows one tracer per process");
  }

  /**
   * Turns the errno of a refused attach into what is missing.
   *
   * @param pid the process, or the thread of it that could not be seized
   */
  static PtraceException explain(int pid, int errno) {
    ProcessStatus status = ProcessStatus.of(pid);
    if (status == null || errno == Libc.ESRCH) {
      return new PtraceException(Reason.NO_SUCH_PROCESS, Libc.ESRCH,
          "process " + pid + " has ended meanwhile");
    }
    if (status.tracer() != 0) {
      return alreadyTraced(pid, status.tracer());
    }
    String process = "process " + pid + " (" + status.name() + ")";
    ProcessStatus own = ProcessStatus.of((int) ProcessHandle.current().pid());
    if (own != null && own.uid() != status.uid()) {
      return new PtraceException(Reason.NOT_PERMITTED, errno,
          process + " belongs to user " + user(status.uid())
              + " and this JVM runs as user " + user(own.uid())
              + ": run as that user, or with CAP_SYS_PTRACE (sudo)");
    }
    int scope = yamaScope();
    if (scope > 0 && !hasPtraceCapability()) {
      return new PtraceException(Reason.NOT_PERMITTED, errno,
          process + " may not be traced because kernel.yama.ptrace_scope is " + scope
              + ": run with CAP_SYS_PTRACE (sudo)"
              + (scope < 3
                  ? ", or as root: sysctl kernel.yama.ptrace_scope=0"
                  : ", the setting holds until a reboot"));
    }
    return new PtraceException(Reason.NOT_PERMITTED, errno, process + " may not be traced ("
        + Errno.name(errno)
        + "): it has other capabilities or is not dumpable (prctl PR_SET_DUMPABLE); run with "
        + "CAP_SYS_PTRACE (sudo)");
  }

  private static int yamaScope() {
    try {
      return Integer.parseInt(Files.readString(Path.of("/proc/sys/kernel/yama/ptrace_scope")).strip());
    } catch (IOException noYama) {
      // The file is missing where the kernel is built without Yama, and then nothing is restricted.
      return 0;
    }
  }

  private static boolean hasPtraceCapability() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith("CapEff:")) {
          return (Long.parseUnsignedLong(line.substring(7).strip(), 16) >> CAP_SYS_PTRACE & 1) != 0;
        }
      }
      return false;
    } catch (IOException unreadable) {
      return false;
    }
  }

  private static String user(int uid) {
    try {
      for (String line : Files.readAllLines(Path.of("/etc/passwd"))) {
        String[] fields = line.split(":");
        if (fields.length > 2 && fields[2].equals(Integer.toString(uid))) {
          return uid + " (" + fields[0] + ")";
        }
      }
    } catch (IOException unreadable) {
      // The number alone says it, too.
      return Integer.toString(uid);
    }
    return Integer.toString(uid);
  }
}
