package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** A command in a JVM of its own, as the launcher starts it. */
final class CliProcess implements AutoCloseable {

  private final Path directory;
  private final Process process;

  private final boolean unread;

  private CliProcess(Path directory, Process process, boolean unread) {
    this.directory = directory;
    this.process = process;
    this.unread = unread;
  }

  static CliProcess start(String... args) throws IOException {
    return start(List.of(), modulePath(), args);
  }

  /** The modules that the command line consists of, as they are on the class path of the tests. */
  static String modulePath() {
    Path[] classPath = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(Path::of)
        .toArray(Path[]::new);
    return ModuleLayer.boot().configuration()
        .resolve(ModuleFinder.of(classPath), ModuleFinder.of(), Set.of("io.xolotl.cli")).modules().stream()
        .map(module -> Path.of(module.reference().location().orElseThrow()).toString())
        .collect(Collectors.joining(File.pathSeparator));
  }

  /** Starts it behind another program, for instance setpriv with its options. */
  static CliProcess start(List<String> prefix, String modulePath, String... args) throws IOException {
    return start(prefix, modulePath, false, args);
  }

  /** Starts it with a pipe as its output that nobody reads before the {@link #result}. */
  static CliProcess startUnread(String... args) throws IOException {
    return start(List.of(), modulePath(), true, args);
  }

  private static CliProcess start(List<String> prefix, String modulePath, boolean unread, String... args)
      throws IOException {
    Path directory = Files.createTempDirectory("xolotl-cli");
    // A shell that runs the tests in the background lets them ignore SIGINT, and their children too.
    var command = new ArrayList<>(List.of("env", "--default-signal=INT,HUP"));
    command.addAll(prefix);
    if (unread) {
      // What nobody reads is written for seconds, as fast as can be: other tests have the CPU first.
      command.addAll(List.of("nice", "-n", "10"));
    }
    command.addAll(
        List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=io.xolotl.ptrace,io.xolotl.lab,io.xolotl.bench",
            "--illegal-native-access=deny", "--module-path", modulePath, "--module",
            "io.xolotl.cli/io.xolotl.cli.Main"));
    command.addAll(List.of(args));
    var builder = new ProcessBuilder(command).redirectInput(new File("/dev/null"))
        .redirectOutput(unread
            ? ProcessBuilder.Redirect.PIPE
            : ProcessBuilder.Redirect.to(directory.resolve("out").toFile()))
        .redirectError(directory.resolve("err").toFile());
    // What these make a JVM print is not the command's.
    builder.environment().keySet()
        .removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"));
    return new CliProcess(directory, builder.start(), unread);
  }

  long pid() {
    return process.pid();
  }

  boolean isAlive() {
    return process.isAlive();
  }

  /** Sends a signal, named as kill(1) takes it. */
  void signal(String name) throws IOException, InterruptedException {
    assertThat(new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor())
        .isZero();
  }

  /**
   * Sends a signal if there is somebody to get it.
   *
   * @param to a process, or with a minus sign a process group, as a terminal does
   */
  void trySignal(String name, long to) throws IOException, InterruptedException {
    assertThat(new ProcessBuilder("kill", "-" + name, "--", Long.toString(to)).start().waitFor()).isIn(0, 1);
  }

  /** Waits for the end. */
  Cli result() throws InterruptedException {
    assertThat(process.waitFor(Await.PATIENCE.toMillis(), TimeUnit.MILLISECONDS)).as("the command ends")
        .isTrue();
    return new Cli(process.exitValue(), output(), read("err"));
  }

  /** The standard output so far; of one that nobody read before, all of it. */
  String output() {
    if (!unread) {
      return read("out");
    }
    try {
      return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The standard error so far. */
  String messages() {
    return read("err");
  }

  private String read(String name) {
    try {
      return Files.readString(directory.resolve(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    // Not by force, which would leave breakpoints in what it probes.
    process.destroy();
    try {
      process.waitFor(Await.PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    process.destroyForcibly();
    Files.deleteIfExists(directory.resolve("out"));
    Files.deleteIfExists(directory.resolve("err"));
    Files.delete(directory);
  }
}
