package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Who runs in the memory of a traced process: its own threads, and those of other processes, which clone(2)
 * with CLONE_VM makes without CLONE_THREAD. These need be no children of it: with CLONE_PARENT they are
 * siblings, and the creator of the process may itself be one of them.
 *
 * <p>While everybody in the memory is traced, nobody comes unseen: each newcomer is announced by its
 * creator's stop, except one made with CLONE_UNTRACED, for which kernel_clone() in kernel/fork.c asks for
 * none. Nothing tells of that. So ids are looked at that were given out since the last look, at each moment
 * that calls for one: that costs microseconds.
 *
 * <p>Tracer thread only.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
final class AddressSpace {

  /** What is known of another process. */
  private enum Sharing {
    YES, NO,
    /** The kernel does not let this JVM compare, and nothing that every user may read speaks against it. */
    POSSIBLE
  }

  private static final long SYS_KCMP = 312;
  private static final long KCMP_VM = 1;

  /** Those who come faster than they can be attached to are given up after this time, in nanoseconds. */
  private static final long DEADLINE = 10_000_000_000L;

  /** After this time ids may have been given out in more than a full circle, in nanoseconds. */
  private static final long CIRCLE = 10_000_000_000L;

  /** The parent of all kernel threads, in the first pid namespace: rest_init() in init/main.c. */
  private static final int KTHREADD = 2;

  /** How many are named in one message. */
  private static final int NAMED = 5;

  /** So often must memory look different to be another's, where it may look so between two changes. */
  private static final int ROUNDS = 16;

  /** So often must a command line look different. */
  private static final int COMMAND_ROUNDS = 3;

  /** Between looks at what is in doubt: a child of vfork(2) executes its program, in nanoseconds. */
  private static final long PAUSE = 1_000_000;

  private final TracedProcess process;
  private final Tracer tracer;

  /** The id that was given out last when everybody was looked at, or known to be nobody; 0 before that. */
  private int lastId;
  private long lookedAt;
  /** kcmp(2) works here. */
  private boolean comparable;
  /** A living thread of the process. */
  private int owner;
  /** Size of the program's code. */
  private String code = "";
  /** A kernel thread, which has no memory; 0 where none is seen. */
  private int memoryless;

  AddressSpace(TracedProcess process) {
    this.process = process;
    tracer = process.tracer();
  }

  /** The process's memory is new, and nobody else's. */
  void isNew() {
    lastId = lastIdGiven();
    lookedAt = System.nanoTime();
  }

  /** Returns true if a process is known to run in this memory. */
  boolean isSharedWith(int other) {
    return isShared(tracer.scratch().state, process.memory().owner(), other);
  }

  /** Returns true if two processes are known to run in one memory. */
  static boolean isShared(MemorySegment state, int one, int other) {
    return Libc.kcmp(state, one, other, KCMP_VM) == 0;
  }

  /**
   * Attaches to everybody in this memory who is not traced.
   *
   * <p>Processes come and go while /proc is read. Whoever is there all the time of a pass is seen by it. One
   * that has been created during a pass is seen by the next, or its creator was: so passes are made until one
   * finds nobody, and behind it one over the ids that were given out since before the first. What was being
   * created then, with its id and not visible yet, is visible in the last.
   *
   * @param found is told of each process that was attached to, before it is waited for
   * @param interrupting as for {@link TracedProcess#completeAttach}
   * @throws PtraceException {@link Reason#ADDRESS_SPACE_SHARED} if somebody cannot be attached to
   */
  void attachAll(Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    int before = lastIdGiven();
    passOverAll(found, interrupting);
    passSince(before, found, interrupting);
  }

  /** The same for those only that may have come since the last look. */
  void attachNewcomers(Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    int now = lastIdGiven();
    if (lastId == 0 || now < lastId || System.nanoTime() - lookedAt > CIRCLE) {
      attachAll(found, interrupting);
    } else if (now != lastId) {
      passSince(lastId, found, interrupting);
    }
  }

  /** Ids are given out upwards, up to a limit, and then from the beginning: alloc_pid() in kernel/pid.c. */
  private void passSince(int id, Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    int now = lastIdGiven();
    if (id == 0 || now < id
        || attach(look(false, IntStream.rangeClosed(id + 1, now).toArray()), found, interrupting)) {
      passOverAll(found, interrupting);
    }
    lastId = now;
    lookedAt = System.nanoTime();
  }

  private void passOverAll(Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    long start = System.nanoTime();
    while (attach(look(true, everybody()), found, interrupting)) {
      if (System.nanoTime() - start > DEADLINE) {
        throw new PtraceException(Reason.ADDRESS_SPACE_SHARED, "processes that share the memory of "
            + named(process.pid()) + " are created faster than they can be attached to: try again later");
      }
    }
  }

  private static int[] everybody() {
    String[] names = new File("/proc").list();
    return names == null
        ? new int[0]
        : Arrays.stream(names).filter(name -> Character.isDigit(name.charAt(0)))
            .mapToInt(Integer::parseInt).toArray();
  }

  /** The id that was given out last in this pid namespace; 0 if that cannot be read. */
  private int lastIdGiven() {
    Scratch s = tracer.scratch();
    String id = Libc.readFile(s, "/proc/sys/kernel/ns_last_pid");
    if (id.isEmpty()) {
      // A kernel without CONFIG_CHECKPOINT_RESTORE.
      String load = Libc.readFile(s, "/proc/loadavg");
      id = load.substring(load.lastIndexOf(' ') + 1);
    }
    return id.isBlank() ? 0 : Integer.parseInt(id.strip());
  }

  /**
   * The processes in this memory.
   *
   * @param all whether those that are traced are of interest, too, for threads that are not
   * @param ids of processes or threads
   */
  private Map<Integer, Sharing> look(boolean all, int... ids) {
    Scratch s = tracer.scratch();
    int self = (int) ProcessHandle.current().pid();
    // It is not there in every kernel, and forbidden in many containers.
    comparable = Libc.syscall(s.state, SYS_KCMP, self, self, KCMP_VM, 0, 0) == 0;
    owner = process.memory().owner();
    code = code(Libc.readFile(s, "/proc/" + owner + "/statm"));
    ProcessStatus second = all ? ProcessStatus.of(KTHREADD) : null;
    memoryless = second != null && second.kernelThread() ? KTHREADD : 0;
    var sharers = new LinkedHashMap<Integer, Sharing>();
    for (int id : ids) {
      if (tracer.tracees().process(id) != null) {
        if (all) {
          sharers.put(id, Sharing.YES);
        }
      } else if (!tracer.tracees().isTracing(id)) {
        Sharing sharing = sharing(s, id);
        ProcessStatus status = sharing == Sharing.NO ? null : ProcessStatus.of(id);
        // One that is traced already is announced later: its creator's event is on its way.
        if (status != null && status.tracer() != tracer.tid()) {
          sharers.putIfAbsent(status.tgid(), sharing);
        }
      }
    }
    return sharers;
  }

  private Sharing sharing(Scratch s, int id) {
    long order = comparable ? Libc.kcmp(s.state, owner, id, KCMP_VM) : -1;
    if (order == 0) {
      // Those who have no memory are the same, too, when the process has just ended.
      return Libc.readFile(s, "/proc/" + id + "/statm").startsWith("0 ") ? Sharing.NO : Sharing.YES;
    }
    if (order < 0 && comparable && Libc.errno(s.state) == Libc.ESRCH) {
      return Sharing.NO;
    }
    if (order > 0 && memoryless != 0 && Libc.kcmp(s.state, memoryless, id, KCMP_VM) > 0) {
      // It has memory, and another. To be told that by the file below takes several times as long.
      return Sharing.NO;
    }
    String statm = Libc.readFile(s, "/proc/" + id + "/statm");
    if (statm.startsWith("0 ")) {
      // It has none: a kernel thread, or a first thread that has ended before the others.
      int living = livingThread(id);
      return living == 0 ? Sharing.NO : sharing(s, living);
    }
    // They run the same program, at least; the kernel has told of those that it has compared.
    return order > 0 || statm.isEmpty() || !code(statm).equals(code) ? Sharing.NO : judge(s, id);
  }

  /** A thread of a process whose first has ended; 0 if there is none. */
  private static int livingThread(int id) {
    String[] tids = new File("/proc/" + id + "/task").list();
    for (String name : tids == null ? new String[0] : tids) {
      int tid = Integer.parseInt(name);
      ProcessStatus status = tid == id ? null : ProcessStatus.of(tid);
      if (status != null && !status.isDead()) {
        return tid;
      }
    }
    return 0;
  }

  private boolean hasEnded() {
    ProcessStatus status = ProcessStatus.of(process.memory().owner());
    return status == null || status.isDead();
  }

  /** Size of the program's code, {@code end_code − start_code}: set once for a memory, by execve(2). */
  private static String code(String statm) {
    String[] fields = statm.split(" ");
    return fields.length > 3 ? fields[3] : "";
  }

  /**
   * What every user may read of a memory, whichever process it is asked of.
   *
   * @param peak largest size so far, which only rises
   * @param all the fields of {@code /proc/PID/status} on it: {@code task_mem()} in fs/proc/task_mmu.c
   */
  private record Footprint(long peak, String all) {

    static @Nullable Footprint of(int id) {
      try {
        String status = Files.readString(Path.of("/proc/" + id + "/status"), StandardCharsets.ISO_8859_1);
        int from = status.indexOf("\nVmPeak:");
        int to = status.indexOf("\nThreads:");
        return from < 0 || to < from
            ? null
            : new Footprint(Long.parseLong(status.substring(from + 8, status.indexOf(" kB", from)).strip()),
                status.substring(from, to));
      } catch (IOException gone) {
        return null;
      }
    }

    boolean excludes(Footprint other, Footprint later) {
      return all.equals(later.all)
          ? !all.equals(other.all)
          : other.peak < Math.min(peak, later.peak) || other.peak > Math.max(peak, later.peak);
    }
  }

  /**
   * Judges a process that may not be compared. Both are read while they run, so one look can be between two
   * changes of the same memory: what speaks against it must do so every time. Two readings of the target
   * enclose each of the other.
   */
  private Sharing judge(Scratch s, int id) {
    if (isOtherCommand(s, id)) {
      return Sharing.NO;
    }
    boolean excluded = true;
    Footprint before = Footprint.of(owner);
    for (int round = 0; round < ROUNDS; round++) {
      Footprint other = Footprint.of(id);
      Footprint after = Footprint.of(owner);
      if (before == null || other == null || after == null) {
        // One of them has ended.
        return Sharing.NO;
      }
      if (!before.excludes(other, after)) {
        excluded = false;
        LockSupport.parkNanos(PAUSE);
      }
      before = after;
    }
    // Also one that has executed a program in the meantime; what has been in doubt is looked at in peace.
    return excluded || isOtherCommand(s, id) ? Sharing.NO : Sharing.POSSIBLE;
  }

  /** {@code /proc/PID/cmdline} is memory, too: {@code get_mm_cmdline()} in fs/proc/base.c. */
  private boolean isOtherCommand(Scratch s, int id) {
    String before = Libc.readFile(s, "/proc/" + owner + "/cmdline");
    for (int round = 0; round < COMMAND_ROUNDS; round++) {
      String other = Libc.readFile(s, "/proc/" + id + "/cmdline");
      String after = Libc.readFile(s, "/proc/" + owner + "/cmdline");
      if (!before.equals(after) || other.equals(before)) {
        return false;
      }
    }
    return true;
  }

  /** Attaches to those who share; returns true if there was anybody new. */
  private boolean attach(Map<Integer, Sharing> sharers, Consumer<TracedProcess> found,
      Consumer<TracedThread> interrupting) {
    boolean news = false;
    var refusals = new ArrayList<String>();
    for (Map.Entry<Integer, Sharing> sharer : sharers.entrySet()) {
      int id = sharer.getKey();
      if (sharer.getValue() == Sharing.POSSIBLE) {
        refusals.add(named(id) + " may share the memory of " + named(process.pid())
            + ", and a breakpoint would kill it then; this JVM is not permitted to compare them (kcmp(2)): "
            + "run with CAP_SYS_PTRACE (sudo)");
        continue;
      }
      try {
        TracedProcess known = tracer.tracees().process(id);
        news |= known == null
            ? attach(id, found, interrupting)
            // One of its threads may have been made with CLONE_UNTRACED.
            : known.attachThreads(interrupting);
      } catch (ThreadGoneException e) {
        news = true;
      } catch (PtraceException e) {
        switch (e.reason()) {
          case NO_SUCH_PROCESS, ZOMBIE -> news = true;
          case NOT_PERMITTED, ALREADY_TRACED, OWN_PROCESS, CHILD_OF_THIS_JVM, KERNEL_THREAD -> {
            // It may just have executed a program.
            if (sharing(tracer.scratch(), id) != Sharing.NO) {
              refusals.add(named(id) + " shares the memory of " + named(process.pid())
                  + ", and a breakpoint would kill it, since it cannot be traced: " + e.getMessage());
            }
          }
          default -> throw e;
        }
      }
    }
    if (!refusals.isEmpty() && !hasEnded()) {
      int more = refusals.size() - NAMED;
      throw new PtraceException(Reason.ADDRESS_SPACE_SHARED, Libc.EPERM,
          String.join("; ", refusals.subList(0, Math.min(NAMED, refusals.size())))
              + (more > 0 ? "; and " + more + " more" : ""));
    }
    return news;
  }

  private boolean attach(int id, Consumer<TracedProcess> found, Consumer<TracedThread> interrupting) {
    TracedProcess borrower;
    try {
      borrower = TracedProcess.attach(tracer, id, _ -> process.dispatcher().handler());
    } catch (PtraceException e) {
      TracedProcess partly = tracer.tracees().process(id);
      if (partly != null) {
        partly.detach();
      }
      throw e;
    }
    found.accept(borrower);
    borrower.completeAttach(interrupting);
    if (sharing(tracer.scratch(), id) == Sharing.NO && !hasEnded()) {
      // It has executed a program, or was another process with that id already. Where the process has ended
      // it stays, and is let go with all that is in its memory.
      borrower.detach();
    }
    return true;
  }

  private static String named(int id) {
    ProcessStatus status = ProcessStatus.of(id);
    return "process " + id + (status == null ? "" : " (" + status.name() + ")");
  }
}
