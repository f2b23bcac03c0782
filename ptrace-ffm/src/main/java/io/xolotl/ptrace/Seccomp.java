package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Decides whether a system call may be made in a thread of the target, which may have shut itself off from
 * most of them (seccomp(2)): one that its filter does not allow kills the process, or raises SIGSYS in it.
 *
 * <p>A thread in strict mode makes no call, whatever the call. One with filters makes a call that all of them
 * allow. Where they cannot be read, which takes CAP_SYS_ADMIN in the initial user namespace and a tracer that
 * is under no filter itself (seccomp_get_filter() in kernel/seccomp.c), it makes one only if it is under no
 * filter that the tracer is not under too: as everything in a container is under that of the container. The
 * JVM maps and unmaps executable memory, and sets signal actions, under these all the time.
 *
 * <p>What a filter does other than allow is never tried out: an errno would do no harm, but makes the call of
 * no use.
 */
final class Seccomp {

  private static final int DISABLED = 0;
  private static final int STRICT = 1;
  private static final int FILTER = 2;

  private Seccomp() {}

  /**
   * Refuses a call that could do harm. The answer holds as long as neither the thread nor another of its
   * process runs: any of them may add a filter to all (SECCOMP_FILTER_FLAG_TSYNC), also to a thread that is
   * stopped.
   *
   * @param registers what the thread makes the call with, rip at the system call instruction
   * @throws PtraceException {@link Reason#SECCOMP}
   */
  static void check(TracedThread thread, Registers registers) {
    ProcessStatus status = ProcessStatus.of(thread.tid());
    if (status == null) {
      throw new ThreadGoneException(Libc.ESRCH, thread + " has ended meanwhile");
    }
    switch (status.seccompMode()) {
      case DISABLED -> {
        // Every call is allowed.
      }
      case FILTER -> checkFilters(thread, status, registers);
      case STRICT -> throw refusal(thread, "seccomp's strict mode, which would kill it");
      // SECCOMP_MODE_DEAD, or one that this library does not know.
      default -> throw refusal(thread, "seccomp in mode " + status.seccompMode());
    }
  }

  private static void checkFilters(TracedThread thread, ProcessStatus status, Registers registers) {
    List<SeccompFilter> filters = SeccompFilter.of(thread.requests());
    if (filters.isEmpty()) {
      if (!isUnderOursOnly(thread, status)) {
        throw refusal(thread, "a seccomp filter that this JVM is not under and cannot read; to read it, run "
            + "with CAP_SYS_ADMIN and without a filter");
      }
      return;
    }
    if (!SeccompFilter.allow(filters, Abi.of(registers).call(registers))) {
      throw refusal(thread, "a seccomp filter that does not allow it");
    }
  }

  /**
   * Returns true if a thread may make restart_syscall(2), which goes on with the call that it was stopped in.
   *
   * @param registers the thread's, in the stop
   */
  static boolean mayRestart(TracedThread thread, Registers registers) {
    Abi abi = Abi.of(registers);
    var restart = new Registers();
    restart.copyFrom(registers);
    restart.rax(abi.restart());
    restart.rip(registers.rip() - abi.systemCall().length);
    try {
      check(thread, restart);
      return true;
    } catch (PtraceException e) {
      if (e.reason() != Reason.SECCOMP) {
        throw e;
      }
      return false;
    }
  }

  private static PtraceException refusal(TracedThread thread, String under) {
    return new PtraceException(Reason.SECCOMP,
        "no system call is made in " + thread + ": it is under " + under);
  }

  /**
   * Filters are inherited and added, and never taken away. So a thread that has as many as a process which it
   * and the tracer both descend from has those of that process, and the tracer has them too. Not if that
   * process added filters to itself after its child was created, and the child as many others: nothing tells.
   *
   * <p>A process that was brought into a container, as by {@code docker exec}, does not descend from the
   * first one there, but is given the same filter. So that is taken for an ancestor of all who see the same
   * files.
   *
   * <p>Once found out it holds for all threads with as many filters, also when the ancestor has ended.
   */
  private static boolean isUnderOursOnly(TracedThread thread, ProcessStatus status) {
    int filters = status.seccompFilters();
    TracedProcess process = thread.process();
    ProcessStatus own = ProcessStatus.of(process.tracer().tid());
    if (filters <= 0 || own == null || filters > own.seccompFilters()) {
      // Linux before 5.9 does not tell how many: a filter that was added would not be noticed.
      return false;
    }
    if (filters != process.sharedFilters() && !hasCommonAncestorWith(filters, process.pid())) {
      return false;
    }
    process.sharedFilters(filters);
    return true;
  }

  private static boolean hasCommonAncestorWith(int filters, int pid) {
    int self = (int) ProcessHandle.current().pid();
    Set<Integer> common = ancestors(pid);
    common.retainAll(ancestors(self));
    if (seesFilesOf(pid)) {
      common.add(1);
    }
    for (int ancestor : common) {
      ProcessStatus status = ProcessStatus.of(ancestor);
      if (status != null && status.seccompFilters() == filters) {
        return true;
      }
    }
    return false;
  }

  /** A process and those that it descends from, as far as they are visible here. */
  private static Set<Integer> ancestors(int pid) {
    var ancestors = new HashSet<Integer>();
    int next = pid;
    // A parent that ends while this goes up may make it see one twice.
    while (next != 0 && ancestors.add(next)) {
      ProcessStatus status = ProcessStatus.of(next);
      next = status == null ? 0 : status.parentPid();
    }
    return ancestors;
  }

  private static boolean seesFilesOf(int pid) {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/ns/mnt"))
          .equals(Files.readSymbolicLink(Path.of("/proc/" + pid + "/ns/mnt")));
    } catch (IOException e) {
      // It has ended, or does not let itself be looked at.
      return false;
    }
  }
}
