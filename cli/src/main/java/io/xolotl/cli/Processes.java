package io.xolotl.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;

/** Finds the process that a person means. All that is read of processes is theirs to choose. */
final class Processes {

  /** What somebody means as an id, right or wrong. */
  private static final Pattern NUMBER = Pattern.compile("[\\p{Nd}+\\-\\s_]+|0x[0-9a-fA-F]*");
  private static final int MOST_SHOWN = 8;
  private static final int LONGEST_COMMAND = 60;
  /** The kernel cuts the name of a thread (TASK_COMM_LEN). */
  private static final int LONGEST_NAME = 15;

  private record Known(int pid, String command) {}

  private Processes() {}

  /** Whether it is meant as an id. */
  static boolean isNumber(String text) {
    return NUMBER.matcher(text).matches();
  }

  /**
   * The process that is meant.
   *
   * @param process an id, or a name: of the program's file, or what the process calls itself
   * @throws Failure if there is not exactly one of that name
   */
  static int pid(String process) {
    if (isNumber(process)) {
      return Integer.parseInt(process);
    }
    List<Known> found = named(process);
    if (found.isEmpty()) {
      throw new Failure("no process is called '" + process + "'");
    }
    if (found.size() > 1) {
      throw new Failure(found.size() + " processes are called '" + process + "'; name one by its id: "
          + String.join("; ",
              found.stream().limit(MOST_SHOWN).map(each -> each.pid() + " " + each.command()).toList())
          + (found.size() > MOST_SHOWN ? " and " + (found.size() - MOST_SHOWN) + " others" : ""));
    }
    return found.getFirst().pid();
  }

  private static List<Known> named(String name) {
    long self = ProcessHandle.current().pid();
    var found = new ArrayList<Known>();
    try (DirectoryStream<Path> all = Files.newDirectoryStream(Path.of("/proc"), "[1-9]*")) {
      for (Path directory : all) {
        int pid = Integer.parseInt(directory.getFileName().toString());
        // The JVM that asks is not meant.
        if (pid != self && isCalled(directory, name)) {
          String command = read(directory.resolve("cmdline")).replace('\0', ' ').strip();
          found.add(new Known(pid, command.length() > LONGEST_COMMAND
              ? command.substring(0, LONGEST_COMMAND) + "..."
              : command));
        }
      }
    } catch (IOException e) {
      throw new Failure("the processes cannot be listed: " + e.getMessage());
    }
    found.sort(Comparator.comparingInt(Known::pid));
    return found;
  }

  private static boolean isCalled(Path directory, String name) {
    return name.length() <= LONGEST_NAME && read(directory.resolve("comm")).stripTrailing().equals(name)
        || program(directory).equals(name);
  }

  private static String program(Path directory) {
    try {
      Path file = Files.readSymbolicLink(directory.resolve("exe")).getFileName();
      return file == null ? "" : file.toString();
    } catch (IOException e) {
      // Another user's.
      return "";
    }
  }

  private static String read(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      return new String(in.readNBytes(4096), StandardCharsets.UTF_8);
    } catch (IOException e) {
      // It has ended.
      return "";
    }
  }
}
