package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is opened at paths that others have named, and may change. */
class RegularFileTest {

  @TempDir
  private Path directory;
  private Path root = Path.of("");

  @BeforeEach
  void build() throws IOException {
    root = Files.createDirectories(directory.resolve("root"));
    Files.createDirectories(root.resolve("lib"));
    Files.writeString(root.resolve("lib/file"), "inside");
    Files.writeString(directory.resolve("file"), "outside");
  }

  private static String content(@Nullable Path root, String path) throws IOException {
    try (RegularFile file = RegularFile.open(root, path)) {
      return file == null ? "none" : Files.readString(file.path(), StandardCharsets.ISO_8859_1);
    }
  }

  /** By openat2(2), and by the walk where there is none. */
  private void assertContent(String path, String expected) throws IOException {
    assertThat(content(root, path)).isEqualTo(expected);
    Path walked = RegularFile.resolve(root, path);
    assertThat(walked != null && Files.isRegularFile(walked) ? Files.readString(walked) : "none")
        .isEqualTo(expected);
  }

  @Test
  void theRootIsNotLeft() throws IOException {
    Files.createSymbolicLink(root.resolve("absolute"), Path.of("/lib/file"));
    Files.createSymbolicLink(root.resolve("upwards"), Path.of("../../../lib/file"));
    Files.createSymbolicLink(root.resolve("far"), Path.of("/other"));
    Files.createSymbolicLink(root.resolve("other"), Path.of("lib"));
    Files.createSymbolicLink(root.resolve("outside"), directory.resolve("file"));
    Files.createSymbolicLink(root.resolve("circle"), Path.of("/circle"));
    assertContent("/lib/file", "inside");
    assertContent("lib/./file", "inside");
    assertContent("/absolute", "inside");
    assertContent("/upwards", "inside");
    assertContent("/far/file", "inside");
    assertContent("/../lib/file", "inside");
    assertContent("/outside", "none");
    assertContent("/circle", "none");
    assertContent("/lib", "none");
    assertContent("/lib/none", "none");
    assertThat(content(null, root.resolve("outside").toString())).isEqualTo("outside");
    assertThat(content(root, "/lib/file\0")).isEqualTo("none");
  }

  @Test
  void whatIsNoRegularFileIsNotOpened() throws Exception {
    Path pipe = root.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    assertThat(content(root, "/pipe")).isEqualTo("none");
    assertThat(content(null, pipe.toString())).isEqualTo("none");
    assertThat(content(null, "/dev/null")).isEqualTo("none");
    assertThat(content(null, "/proc/self/exe")).isNotEqualTo("none");
    assertThat(content(Path.of("/"), "/proc/self/exe")).as("a magic link leads out").isEqualTo("none");
  }

  /** Each look finds the file, or nothing; none waits for who would write into the pipe. */
  @Test
  void aPipeThatTakesThePlaceOfTheFileIsNotWaitedFor() throws Exception {
    Path place = root.resolve("lib/place");
    Path pipe = directory.resolve("pipe");
    Path file = directory.resolve("copy");
    var done = new AtomicBoolean();
    try (ExecutorService other = Executors.newSingleThreadExecutor()) {
      Future<Integer> exchanged = other.submit((Callable<Integer>) () -> {
        int rounds = 0;
        for (; !done.get(); rounds++) {
          assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
          for (int i = 0; i < 100; i++) {
            Files.createLink(file, root.resolve("lib/file"));
            Files.move(file, place, StandardCopyOption.ATOMIC_MOVE);
            Files.createLink(file, pipe);
            Files.move(file, place, StandardCopyOption.ATOMIC_MOVE);
          }
          Files.delete(pipe);
        }
        return rounds;
      });
      int files = 0;
      int others = 0;
      while (files < 1_000 || others < 1_000) {
        // A test that fails ends here, too.
        assertThat(exchanged.isDone()).isFalse();
        String content = content(root, "/lib/place");
        if (content.equals("inside")) {
          files++;
        } else {
          assertThat(content).isEqualTo("none");
          others++;
        }
      }
      done.set(true);
      assertThat(exchanged.get(1, TimeUnit.MINUTES)).isPositive();
    }
  }

  /** The file that was opened stays the one that is read. */
  @Test
  void whatIsOpenIsNotExchanged() throws IOException {
    try (RegularFile file = Objects.requireNonNull(RegularFile.open(root, "/lib/file"))) {
      Files.move(directory.resolve("file"), root.resolve("lib/file"), StandardCopyOption.ATOMIC_MOVE);
      assertThat(Files.readString(file.path())).isEqualTo("inside");
    }
    assertThat(content(root, "/lib/file")).isEqualTo("outside");
  }
}
