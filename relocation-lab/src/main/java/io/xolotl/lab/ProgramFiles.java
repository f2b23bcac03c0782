package io.xolotl.lab;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The directory with the programs of one module: that of the build itself if the class path leads there,
 * otherwise a temporary one that only its owner can look into, filled from the jar and removed when this JVM
 * exits; SIGKILL leaves it. Any thread.
 */
public final class ProgramFiles {

  private final Path directory;
  private final Map<String, Map<String, Long>> symbols = new ConcurrentHashMap<>();

  /**
   * Finds the programs, or unpacks them.
   *
   * @param resources finds a resource of the module, which others cannot see into
   * @param names files in the module's directory {@code programs}
   * @param optional those among them that some machines cannot build
   * @throws UncheckedIOException if one is missing, or cannot be unpacked
   */
  public ProgramFiles(Function<String, @Nullable URL> resources, Collection<String> names,
      Set<String> optional) {
    try {
      String any = names.stream().filter(name -> !optional.contains(name)).findFirst().orElseThrow();
      URL first = resources.apply("programs/" + any);
      if (first == null) {
        throw new FileNotFoundException(
            "programs/" + any + " is missing; build it with Maven, which runs src/main/c/build");
      }
      directory = first.getProtocol().equals("file")
          ? Path.of(URI.create(first.toString())).resolveSibling("")
          : extract(resources, names, optional);
    } catch (IOException e) {
      throw new UncheckedIOException("the bundled programs cannot be used", e);
    }
  }

  /**
   * Unpacks files into a new directory, as the constructor does where they are in a jar.
   *
   * @param resources finds a file by its name
   * @param names of the files
   * @param optional those names whose files need not be there
   * @return the directory
   * @throws IOException if one of the others is not there, or they cannot be written
   */
  public static Path extract(Function<String, @Nullable URL> resources, Collection<String> names,
      Set<String> optional) throws IOException {
    // Mode 0700 whatever the umask: nobody else can replace what is executed from there.
    Path directory = Files.createTempDirectory("xolotl-programs-");
    directory.toFile().deleteOnExit();
    for (String name : names) {
      Path file = directory.resolve(name);
      URL resource = resources.apply("programs/" + name);
      if (resource == null && optional.contains(name)) {
        // It could not be built: BundledProgram.isAvailable.
        continue;
      }
      if (resource == null) {
        throw new FileNotFoundException("programs/" + name);
      }
      try (InputStream content = resource.openStream()) {
        Files.copy(content, file);
      }
      file.toFile().deleteOnExit();
      if (!file.toFile().setExecutable(true)) {
        throw new IOException("cannot make " + file + " executable");
      }
    }
    return directory;
  }

  /**
   * {@return the file of a name, which an optional program may not have}
   *
   * @param name as it was given
   */
  public Path path(String name) {
    return directory.resolve(name);
  }

  /**
   * {@return the symbols that a program defines, and their values}
   *
   * @param name as it was given
   */
  public Map<String, Long> symbols(String name) {
    return symbols.computeIfAbsent(name, this::readSymbols);
  }

  private Map<String, Long> readSymbols(String name) {
    // A line is "value type name"; names of local symbols may occur twice.
    try (var lines = Files.lines(path(name + ".symbols"))) {
      return lines.map(line -> line.split(" ")).collect(Collectors.toUnmodifiableMap(fields -> fields[2],
          fields -> Long.parseUnsignedLong(fields[0], 16), (first, second) -> first));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
