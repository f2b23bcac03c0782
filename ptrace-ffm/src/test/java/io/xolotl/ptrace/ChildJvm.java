package io.xolotl.ptrace;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/** Runs a main class in a JVM of its own, on the class path: what a whole process must do or be. */
final class ChildJvm {

  private ChildJvm() {}

  /**
   * Runs it to its end.
   *
   * @param wrapper a command to run the JVM with
   * @param options options of the JVM
   * @return the lines of its output
   */
  static List<String> run(List<String> wrapper, List<String> options, Class<?> main, String... arguments) {
    String fixtures = origin(FixtureProgram.class) + ":" + origin(TargetProcess.class);
    return run(wrapper, options, classes(Tracer.class) + ":" + classes(main) + ":" + fixtures, main,
        arguments);
  }

  private static String origin(Class<?> type) {
    return type.getProtectionDomain().getCodeSource().getLocation().getPath();
  }

  /** The same with classes from elsewhere. */
  static List<String> run(List<String> wrapper, List<String> options, Path directory, Class<?> main,
      String... arguments) {
    return run(wrapper, options, directory.toString(), main, arguments);
  }

  /**
   * The same as user 65534.
   *
   * @param directory an empty one, which that user may read: the build directory may be below one that only
   *     root can enter
   */
  static List<String> runAsNobody(Path directory, Class<?> main, String... arguments) throws IOException {
    Path readable = Files.createDirectory(directory.resolve("classes"));
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
    for (Class<?> type : List.of(Tracer.class, main)) {
      copy(Path.of(classes(type)), readable);
    }
    return run(List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        List.of("--enable-native-access=ALL-UNNAMED"), readable, main, arguments);
  }

  private static void copy(Path from, Path to) throws IOException {
    Path own = from.resolve("io/xolotl/ptrace");
    Path target = Files.createDirectories(to.resolve("io/xolotl/ptrace"));
    try (var files = Files.list(own)) {
      for (Path file : files.toList()) {
        if (file.toString().endsWith(".class")) {
          Files.copy(file, target.resolve(Objects.requireNonNull(file.getFileName()).toString()));
        }
      }
    }
  }

  private static List<String> run(List<String> wrapper, List<String> options, String path, Class<?> main,
      String... arguments) {
    var command = new ArrayList<>(wrapper);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    // Starts faster, and without files that another user could not write.
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"));
    command.addAll(options);
    command.addAll(List.of("-cp", path, main.getName()));
    command.addAll(List.of(arguments));
    try {
      Process child = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      try {
        List<String> lines = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines()
            .toList();
        if (!child.waitFor(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS) || child.exitValue() != 0) {
          throw new AssertionError(command + ": " + lines);
        }
        return lines;
      } finally {
        child.destroyForcibly();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /**
   * The directory that a class comes from; the tests themselves run in a module, the child on the class path.
   */
  static String classes(Class<?> type) {
    String file = type.getName().replace('.', '/') + ".class";
    var url = Objects.requireNonNull(type.getResource("/" + file));
    return url.getPath().substring(0, url.getPath().length() - file.length());
  }
}
