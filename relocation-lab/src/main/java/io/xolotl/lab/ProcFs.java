package io.xolotl.lab;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * What {@code /proc} says of a process: an account of it that does not come from the code under test.
 *
 * <p>A {@code pid} may be the id of any thread as well. Methods throw {@link UncheckedIOException} if there
 * is no such process or it may not be inspected.
 *
 * @see <a href="https://man7.org/linux/man-pages/man5/proc.5.html">proc(5)</a>
 */
public final class ProcFs {

  private ProcFs() {}

  /**
   * {@return true if a process exists, be it only as a zombie}
   *
   * @param pid the process
   */
  public static boolean exists(int pid) {
    return Files.exists(file(pid, ""));
  }

  /**
   * A field of {@code /proc/PID/status}.
   *
   * @param pid the process or thread
   * @param field its name, for instance {@code SigBlk}
   * @return its value without surrounding white space
   * @throws IllegalArgumentException if the kernel does not report such a field
   */
  public static String status(int pid, String field) {
    for (String line : lines(file(pid, "status"))) {
      if (line.startsWith(field + ":")) {
        return line.substring(field.length() + 1).strip();
      }
    }
    throw new IllegalArgumentException("no field " + field + " in /proc/" + pid + "/status");
  }

  /**
   * {@return the process that traces this one; 0 if none does}
   *
   * @param pid the process
   */
  public static int tracerPid(int pid) {
    return Integer.parseInt(status(pid, "TracerPid"));
  }

  /**
   * {@return the state of a thread in one letter: {@code R} running, {@code S} sleeping, {@code D} in
   * uninterruptible sleep, {@code T} stopped by a signal, {@code t} stopped by its tracer, {@code Z} zombie,
   * {@code X} dead}
   *
   * @param pid the process
   */
  public static char state(int pid) {
    return status(pid, "State").charAt(0);
  }

  /**
   * {@return the ids of the threads of a process: the main thread's, and then the others', which ids given
   * out anew may be below}
   *
   * @param pid the process
   */
  public static List<Integer> threads(int pid) {
    try (var tasks = Files.list(file(pid, "task"))) {
      return tasks.map(task -> Integer.valueOf(task.getFileName().toString()))
          .sorted(Comparator.<Integer, Boolean>comparing(tid -> tid != pid)
              .thenComparing(Comparator.naturalOrder()))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * {@return the lines of {@code /proc/PID/maps}}
   *
   * @param pid the process
   */
  public static List<String> mappings(int pid) {
    return lines(file(pid, "maps"));
  }

  /**
   * Where a file is mapped: the address of its first byte.
   *
   * @param pid the process
   * @param file the program or shared library
   * @return the address
   * @throws IllegalArgumentException if the beginning of the file is not mapped
   */
  public static long loadAddress(int pid, Path file) {
    for (String line : mappings(pid)) {
      String[] fields = line.split(" +", 6);
      if (fields.length == 6 && fields[5].equals(file.toString())
          && Long.parseUnsignedLong(fields[2], 16) == 0) {
        return Long.parseUnsignedLong(line, 0, line.indexOf('-'), 16);
      }
    }
    throw new IllegalArgumentException(file + " is not mapped in process " + pid);
  }

  /**
   * Where in its file an address of a mapped file is.
   *
   * @param pid the process
   * @param address an address in a mapping of a file
   * @return the offset in the file
   * @throws IllegalArgumentException if no file is mapped there
   */
  public static long fileOffset(int pid, long address) {
    for (String line : mappings(pid)) {
      String[] fields = line.split(" +", 6);
      int dash = line.indexOf('-');
      long start = Long.parseUnsignedLong(line, 0, dash, 16);
      long end = Long.parseUnsignedLong(line, dash + 1, line.indexOf(' '), 16);
      if (Long.compareUnsigned(start, address) <= 0 && Long.compareUnsigned(address, end) < 0
          && fields.length == 6 && fields[5].startsWith("/")) {
        return address - start + Long.parseUnsignedLong(fields[2], 16);
      }
    }
    throw new IllegalArgumentException(
        "no file is mapped at 0x" + Long.toHexString(address) + " in process " + pid);
  }

  /**
   * Reads memory through {@code /proc/PID/mem}.
   *
   * @param pid the process
   * @param address the first address
   * @param length the number of bytes
   * @return the bytes as they are in memory, breakpoints of any tracer included
   */
  public static byte[] memory(int pid, long address, int length) {
    var bytes = new byte[length];
    try (var memory = new RandomAccessFile(file(pid, "mem").toFile(), "r")) {
      memory.seek(address);
      memory.readFully(bytes);
    } catch (EOFException e) {
      throw new UncheckedIOException("process " + pid + " has ended", e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes;
  }

  /**
   * Waits until a process has as many threads as wanted, the main thread included.
   *
   * @param pid the process
   * @param count the number of threads
   * @throws AssertionError if that does not happen in time
   */
  public static void awaitThreads(int pid, int count) {
    Await.until(() -> threads(pid).size() == count,
        () -> count + " threads in process " + pid + ", which has " + threads(pid).size());
  }

  /**
   * Waits until the state of a thread is one of some letters.
   *
   * @param pid the process or thread
   * @param states letters as {@link #state} returns them, for instance {@code "Tt"}
   * @throws AssertionError if that does not happen in time
   */
  public static void awaitState(int pid, String states) {
    IntPredicate wanted = state -> states.indexOf(state) >= 0;
    Await.until(() -> wanted.test(state(pid)),
        () -> "process " + pid + " in state " + states + "; it is in " + state(pid));
  }

  /**
   * {@return a line for each thread of a process that tells why it does not go on: its state, where it waits
   * in the kernel, its system call and its signals} For messages; a thread that ends meanwhile is left out.
   *
   * @param pid the process
   */
  public static String describeThreads(int pid) {
    var text = new StringBuilder();
    for (String tid : names(file(pid, "task"))) {
      try {
        Path task = file(pid, "task").resolve(tid);
        text.append("thread ").append(tid);
        for (String line : lines(task.resolve("status"))) {
          if (line.matches("(State|TracerPid|SigPnd|ShdPnd|SigBlk|SigIgn|SigCgt):.*")) {
            text.append(' ').append(line.replaceAll("\\s+", " "));
          }
        }
        text.append(" wchan ").append(String.join("", lines(task.resolve("wchan")))).append(" syscall ")
            .append(String.join("", lines(task.resolve("syscall")))).append('\n');
      } catch (UncheckedIOException ended) {
        text.append(" has ended\n");
      }
    }
    return text.toString();
  }

  private static List<String> names(Path directory) {
    try (var entries = Files.list(directory)) {
      return entries.map(entry -> entry.getFileName().toString()).toList();
    } catch (IOException ended) {
      return List.of();
    }
  }

  /**
   * Waits until a process is gone, reaped by its parent and by its tracer.
   *
   * @param pid the process
   */
  public static void awaitGone(int pid) {
    Await.until(() -> !exists(pid), () -> "process " + pid + " is gone");
  }

  private static Path file(int pid, String name) {
    return Path.of("/proc", Integer.toString(pid), name);
  }

  private static List<String> lines(Path file) {
    try {
      // Paths in it may be of any bytes, and one read is consistent while several need not be.
      return Arrays.asList(Files.readString(file, StandardCharsets.ISO_8859_1).split("\n"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
