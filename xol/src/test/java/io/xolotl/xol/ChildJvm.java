package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A JVM that runs a class of the tests; it is killed when this is closed.
 *
 * @param process the JVM
 * @param output what it prints, errors and messages too
 */
record ChildJvm(Process process, BufferedReader output) implements AutoCloseable {

  static ChildJvm start(Class<?> main, String... arguments) throws IOException {
    // Tests in the background of a shell ignore SIGINT, and under nohup SIGHUP; so would their children.
    var command = new ArrayList<>(
        List.of("env", "--default-signal=INT,HUP",
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
            "--enable-native-access=ALL-UNNAMED", "-cp",
            classPath(),
            main.getName()));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    return new ChildJvm(process, process.inputReader());
  }

  /** The modules of the tests and the class path alike: the child has only the latter. */
  static String classPath() {
    Stream<String> modules = ModuleLayer.boot().configuration().modules().stream()
        .flatMap(module -> module.reference().location().stream())
        .filter(uri -> uri.getScheme().equals("file"))
        .map(uri -> Path.of(uri).toString());
    Stream<String> own = Stream.of(
        ChildJvm.class.getProtectionDomain().getCodeSource().getLocation().getPath(),
        System.getProperty("java.class.path"));
    Stream<String> tests = Stream.of(Path.of("target/test-classes").toAbsolutePath().toString());
    return Stream.of(tests, modules, own).flatMap(each -> each).filter(each -> !each.isEmpty())
        .collect(Collectors.joining(File.pathSeparator));
  }

  void await(String line) throws IOException {
    for (String next = output.readLine(); !line.equals(next); next = output.readLine()) {
      assertThat(next).as("output before \"%s\"", line).isNotNull();
    }
  }

  /** Reads up to a line that contains a text, and returns all of it. */
  String awaitText(String text) throws IOException {
    var read = new StringBuilder();
    while (read.indexOf(text) < 0) {
      String next = output.readLine();
      assertThat(next).as("\"%s\" in the output:%n%s", text, read).isNotNull();
      read.append(next).append('\n');
    }
    return read.toString();
  }

  /** Reads what it prints until it ends. */
  String rest() {
    return output.lines().collect(Collectors.joining("\n"));
  }

  /** Gives it a line to read. */
  void send(String line) throws IOException {
    var input = process.outputWriter();
    input.write(line + '\n');
    input.flush();
  }

  void signal(String name) throws Exception {
    assertThat(new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor())
        .isZero();
  }

  int status() throws InterruptedException {
    assertThat(process.waitFor(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).as("the JVM exits").isTrue();
    return process.exitValue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
