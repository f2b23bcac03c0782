package io.xolotl.ptrace;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** Builds the C programs next to the tests, each of which only one test needs. */
final class CProgram {

  private CProgram() {}

  /** Builds {@code name.c} as {@code directory/name}. */
  static Path build(Path directory, String name, String... flags) {
    try {
      Path source = directory.resolve(name + ".c");
      try (var in = Objects.requireNonNull(CProgram.class.getResourceAsStream(name + ".c"), name)) {
        Files.copy(in, source);
      }
      Path program = directory.resolve(name);
      List<String> command = Stream.concat(
          Stream.of("gcc", "-O1", "-Wall", "-Werror", "-pthread", "-o", program.toString(),
              source.toString()),
          Stream.of(flags)).toList();
      Process gcc = new ProcessBuilder(command).redirectErrorStream(true).start();
      String output = new String(gcc.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (gcc.waitFor() != 0) {
        throw new AssertionError(command + ": " + output);
      }
      return program;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }
}
