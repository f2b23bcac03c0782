package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/** JVMs of their own, for what a JVM decides once. */
public final class ChildJvm {

  private ChildJvm() {}

  /**
   * Runs a main class, and returns the lines of its output.
   *
   * @param prefix a program that starts the JVM, with its options; empty if none does
   * @param main the class, which is found on the class path
   * @param options of the JVM
   */
  public static List<String> run(List<String> prefix, Class<?> main, String... options)
      throws IOException, InterruptedException {
    var command = new ArrayList<>(prefix);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    // Makes no files but those that are asked for.
    command.add("-XX:-UsePerfData");
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", classes(Decoder.class) + ":" + classes(main), main.getName()));
    return lines(command);
  }

  /** Runs a command, and returns the lines of its output. */
  public static List<String> lines(List<String> command) throws IOException, InterruptedException {
    Process child = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    try {
      List<String> lines = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
          .lines().toList();
      assertThat(child.waitFor(5, TimeUnit.MINUTES)).isTrue();
      return lines;
    } finally {
      child.destroyForcibly();
    }
  }

  /**
   * The directory that a class comes from; the tests themselves run in a module, the child on the class path.
   */
  public static String classes(Class<?> type) {
    String file = type.getName().replace('.', '/') + ".class";
    var url = Objects.requireNonNull(type.getResource("/" + file));
    return url.getPath().substring(0, url.getPath().length() - file.length());
  }
}
