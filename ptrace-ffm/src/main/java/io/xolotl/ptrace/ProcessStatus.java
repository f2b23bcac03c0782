package io.xolotl.ptrace;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The fields of {@code /proc/PID/status} that decide whether and how a process can be traced.
 *
 * @param name what the kernel calls it, at most 15 bytes
 * @param state one letter: R, S, D, T, t, Z, X
 * @param tgid id of the process that the thread belongs to
 * @param parentPid id of its parent process
 * @param tracer id of the thread that traces it, or 0
 * @param uid real user id
 * @param pendingSignals signals that wait for this thread or its process, bit n−1 for signal n
 * @param blockedSignals signals that this thread blocks, likewise
 * @param caughtSignals signals that the process has handlers for, likewise
 * @param kernelThread whether it is a kernel thread
 * @param seccompMode whether and how seccomp(2) restricts this thread: 0 not, 1 in strict mode, 2 by filters
 * @param seccompFilters by how many filters; −1 if the kernel does not tell, before Linux 5.9
 * @see <a href="https://man7.org/linux/man-pages/man5/proc_pid_status.5.html">proc_pid_status(5)</a>
 */
public record ProcessStatus(String name, char state, int tgid, int parentPid, int tracer, int uid,
    long pendingSignals,
    long blockedSignals, long caughtSignals, boolean kernelThread, int seccompMode, int seccompFilters) {

  /** {@code PF_KTHREAD} of include/linux/sched.h, in the flags of {@code /proc/PID/stat}. */
  private static final long PF_KTHREAD = 0x00200000;

  /**
   * Reads the status of a process or thread.
   *
   * @param id a process or thread id
   * @return its status, or null if there is none with this id
   */
  public static @Nullable ProcessStatus of(int id) {
    String status;
    String stat;
    try {
      status = read(id, "status");
      stat = read(id, "stat");
    } catch (IOException gone) {
      // ENOENT or ESRCH: it has ended. Every user may read these files, so there is no other reason.
      return null;
    }
    Map<String, String> fields = new HashMap<>();
    for (String line : status.split("\n")) {
      int colon = line.indexOf(':');
      if (colon > 0) {
        fields.put(line.substring(0, colon), line.substring(colon + 1).strip());
      }
    }
    // The name in parentheses may hold spaces and parentheses itself; flags are the 7th field behind it.
    long flags = Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[6]);
    return new ProcessStatus(field(fields, "Name"), field(fields, "State").charAt(0), number(fields, "Tgid"),
        number(fields, "PPid"), number(fields, "TracerPid"), number(fields, "Uid"),
        hex(fields, "SigPnd") | hex(fields, "ShdPnd"), hex(fields, "SigBlk"), hex(fields, "SigCgt"),
        (flags & PF_KTHREAD) != 0, Integer.parseInt(fields.getOrDefault("Seccomp", "0")),
        Integer.parseInt(fields.getOrDefault("Seccomp_filters", "-1")));
  }

  /** Returns true if there is no such process or thread any more, or only its exit status. */
  static boolean isGone(int id) {
    ProcessStatus status = of(id);
    return status == null || status.isDead();
  }

  /** The ids of all threads of a process; none if it has ended. */
  static List<Integer> threadIds(int pid) {
    var tids = new ArrayList<Integer>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of("/proc/" + pid + "/task"))) {
      for (Path entry : entries) {
        tids.add(Integer.valueOf(entry.getFileName().toString()));
      }
    } catch (IOException | DirectoryIteratorException e) {
      // The process has ended: its threads' ends are reported by waitpid.
      tids.clear();
    }
    return tids;
  }

  /** {@return true if the process has ended and only its exit status is left} */
  public boolean isDead() {
    return state == 'Z' || state == 'X';
  }

  /** {@return true if a thread is in state D, in which it cannot be stopped} */
  public boolean isUninterruptible() {
    return state == 'D';
  }

  private static String read(int id, String file) throws IOException {
    return Files.readString(Path.of("/proc/" + id + "/" + file), StandardCharsets.ISO_8859_1);
  }

  private static String field(Map<String, String> fields, String name) {
    return Objects.requireNonNull(fields.get(name), name);
  }

  private static int number(Map<String, String> fields, String name) {
    return Integer.parseInt(field(fields, name).split("\\s")[0]);
  }

  private static long hex(Map<String, String> fields, String name) {
    return Long.parseUnsignedLong(field(fields, name), 16);
  }
}
