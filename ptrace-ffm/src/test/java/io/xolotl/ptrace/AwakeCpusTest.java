package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where CPUs cannot be kept awake nothing happens. */
class AwakeCpusTest {

  /** None; one that cannot be written; one that takes no such number. */
  @ParameterizedTest
  @ValueSource(strings = {"/dev/no/such/file", "/proc", "/proc/self/mem"})
  void aFileThatWillNotDoIsLeftAlone(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      var cpus = new AwakeCpus(arena, file);
      long before = descriptorsOf(file);
      for (int i = 0; i < 3; i++) {
        cpus.keep(true);
        assertThat(descriptorsOf(file)).isEqualTo(before);
        cpus.keep(false);
      }
    }
  }

  private static long descriptorsOf(Path file) throws IOException {
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      return descriptors.filter(descriptor -> leadsTo(descriptor, file)).count();
    }
  }

  private static boolean leadsTo(Path descriptor, Path file) {
    try {
      return Files.readSymbolicLink(descriptor).toString().endsWith(file.getFileName().toString());
    } catch (IOException closedMeanwhile) {
      return false;
    }
  }
}
