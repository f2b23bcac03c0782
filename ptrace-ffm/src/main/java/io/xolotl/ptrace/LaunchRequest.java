package io.xolotl.ptrace;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A program to start under control. Immutable: each method returns a changed copy.
 */
public final class LaunchRequest {

  /** Where a standard stream comes from or goes to. */
  public sealed interface Stream {

    /** The stream of this JVM. */
    record Inherited() implements Stream {}

    /**
     * A file: read for the input; for the others created, and emptied unless {@code append}.
     *
     * @param path the file
     * @param append whether to write behind what is there
     */
    record File(Path path, boolean append) implements Stream {

      /** Refuses null. */
      public File {
        Objects.requireNonNull(path, "path");
      }
    }

    /**
     * A file descriptor of this JVM, for instance 2 to send the output where errors go.
     *
     * @param number the descriptor
     */
    record Descriptor(int number) implements Stream {}
  }

  private final List<String> command;
  private final Map<String, String> environment;
  private final @Nullable Path directory;
  private final Stream input;
  private final Stream output;
  private final Stream error;

  private LaunchRequest(List<String> command, Map<String, String> environment, @Nullable Path directory,
      Stream input, Stream output, Stream error) {
    this.command = List.copyOf(command);
    this.environment = Map.copyOf(environment);
    this.directory = directory;
    this.input = Objects.requireNonNull(input, "input");
    this.output = Objects.requireNonNull(output, "output");
    this.error = Objects.requireNonNull(error, "error");
    if (command.isEmpty()) {
      throw new IllegalArgumentException("a command needs at least the program's name");
    }
    command.forEach(LaunchRequest::requireNoZero);
    environment.forEach((name, value) -> {
      requireNoZero(name);
      requireNoZero(value);
      if (name.isEmpty() || name.contains("=")) {
        throw new IllegalArgumentException("\"" + name + "\" is no name of an environment variable");
      }
    });
  }

  private static void requireNoZero(String string) {
    if (string.indexOf(0) >= 0) {
      throw new IllegalArgumentException("a string with a zero byte cannot be passed to a program");
    }
  }

  /**
   * {@return the program and its arguments} A program without a slash is searched for in the environment's
   * PATH.
   */
  public List<String> command() {
    return command;
  }

  /** {@return the whole environment of the program} */
  public Map<String, String> environment() {
    return environment;
  }

  /** {@return its working directory; empty for that of this JVM} */
  public Optional<Path> directory() {
    return Optional.ofNullable(directory);
  }

  /** {@return its standard input} */
  public Stream input() {
    return input;
  }

  /** {@return its standard output} */
  public Stream output() {
    return output;
  }

  /** {@return its standard error} */
  public Stream error() {
    return error;
  }

  /**
   * {@return a program with this JVM's environment, directory and streams}
   *
   * @param command the program and its arguments
   */
  public static LaunchRequest of(List<String> command) {
    var inherited = new Stream.Inherited();
    return new LaunchRequest(command, System.getenv(), null, inherited, inherited, inherited);
  }

  /**
   * {@return the same with another environment}
   *
   * @param replacement all of it; names are not empty and contain no equals sign
   */
  public LaunchRequest withEnvironment(Map<String, String> replacement) {
    return new LaunchRequest(command, replacement, directory, input, output, error);
  }

  /**
   * {@return the same in another directory}
   *
   * @param replacement the working directory
   */
  public LaunchRequest withDirectory(Path replacement) {
    return new LaunchRequest(command, environment, replacement, input, output, error);
  }

  /**
   * {@return the same with other standard streams}
   *
   * @param in its standard input
   * @param out its standard output
   * @param err its standard error
   */
  public LaunchRequest withStreams(Stream in, Stream out, Stream err) {
    return new LaunchRequest(command, environment, directory, in, out, err);
  }

  @Override
  public String toString() {
    return "launch of " + command;
  }
}
