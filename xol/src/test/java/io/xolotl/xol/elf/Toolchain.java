package io.xolotl.xol.elf;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Builds the fixtures of this package, which are C and assembly next to the tests. */
final class Toolchain {
  private Toolchain() {}

  /** Compiles and links {@code sources} into {@code directory/name}. */
  static Path gcc(Path directory, String name, List<String> sources, String... flags)
      throws IOException, InterruptedException {
    var command = new ArrayList<>(List.of("gcc", "-O1", "-g", "-o", directory.resolve(name).toString()));
    for (String source : sources) {
      command.add(resource(directory, source).toString());
    }
    command.addAll(List.of(flags));
    run(command.toArray(String[]::new));
    return directory.resolve(name);
  }

  static Path program(Path directory, String... flags) throws IOException, InterruptedException {
    return gcc(directory, "program", List.of("program.c", "other.c", "labels.s"), flags);
  }

  /** A library with versions, whose soname differs from its file name. */
  static Path library(Path directory, String... flags) throws IOException, InterruptedException {
    var all = new ArrayList<>(List.of("-shared", "-fPIC", "-Wl,-soname,libfixture.so.7",
        "-Wl,--version-script=" + resource(directory, "library.map")));
    all.addAll(List.of(flags));
    return gcc(directory, "libfixture-1.2.so", List.of("library.c"), all.toArray(String[]::new));
  }

  static Path resource(Path directory, String name) throws IOException {
    Path file = directory.resolve(name);
    try (var in = Objects.requireNonNull(Toolchain.class.getResourceAsStream(name), name)) {
      Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
    }
    return file;
  }

  static void run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    var output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", command) + ": " + output);
    }
  }
}
