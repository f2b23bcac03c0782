package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.Await;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleFinder;
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

  private CliProcess(Path directory, Process process) {
    this.directory = directory;
    this.process = process;
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
    Path directory = Files.createTempDirectory("xolotl-cli");
    // A shell that runs the tests in the background lets them ignore SIGINT, and their children too.
    var command = new ArrayList<>(List.of("env", "--default-signal=INT"));
    command.addAll(prefix);
    command.addAll(
        List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=io.xolotl.decoder,io.xolotl.ptrace,io.xolotl.fixtures",
            "--illegal-native-access=deny", "--module-path", modulePath, "--module",
            "io.xolotl.cli/io.xolotl.cli.Main"));
    command.addAll(List.of(args));
    var builder = new ProcessBuilder(command).redirectInput(new File("/dev/null"))
        .redirectOutput(directory.resolve("out").toFile()).redirectError(directory.resolve("err").toFile());
    // What these make a JVM print is not the command's.
    builder.environment().keySet()
        .removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"));
    return new CliProcess(directory, builder.start());
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

  /** Waits for the end. */
  Cli result() throws InterruptedException {
    assertThat(process.waitFor(Await.PATIENCE.toMillis(), TimeUnit.MILLISECONDS)).as("the command ends")
        .isTrue();
    return new Cli(process.exitValue(), output(), read("err"));
  }

  /** The standard output so far. */
  String output() {
    return read("out");
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
