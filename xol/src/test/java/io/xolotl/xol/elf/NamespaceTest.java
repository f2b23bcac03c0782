package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs whose paths mean something else, or nothing, in the file system of the tests. */
class NamespaceTest {
  @TempDir
  Path directory;

  private static void assumePermitted(String... command) throws InterruptedException {
    try {
      Toolchain.run(command);
    } catch (IOException e) {
      assumeTrue(false, "not permitted here: " + e.getMessage());
    }
  }

  private static void assertAgrees(Target target) throws IOException {
    Map<String, Long> truth = target.truth();
    SymbolResolver resolver = target.resolver();
    for (String name : List.of("main", "only_here", "label_last")) {
      assertThat(resolver.resolve("program", name).address()).as(name).isEqualTo(truth.get(name));
    }
  }

  @Test
  void readsFilesOfAnotherMountNamespace() throws Exception {
    assumePermitted("unshare", "-m", "true");
    Path program = Toolchain.program(directory, "-pie", "-fPIE");
    Path hidden = Files.createDirectory(directory.resolve("hidden"));
    // The file system with the program exists only for the program.
    String script = "mount -t tmpfs none " + hidden + " && cp " + program + " " + hidden + "/program && exec "
        + hidden
        + "/program";
    try (Target target = Target.start(List.of("unshare", "-m", "sh", "-c", script))) {
      assertAgrees(target);
      assertThat(hidden).isEmptyDirectory();
    }
  }

  @Test
  void isNotFooledByAnotherFileOfThatName() throws Exception {
    assumePermitted("unshare", "-m", "true");
    Path program = Toolchain.program(directory, "-pie", "-fPIE");
    Path place = Files.createDirectory(directory.resolve("place"));
    Toolchain.run("cp", "/bin/sleep", place + "/program");
    String script = "mount -t tmpfs none " + place + " && cp " + program + " " + place + "/program && exec "
        + place
        + "/program";
    try (Target target = Target.start(List.of("unshare", "-m", "sh", "-c", script))) {
      assertAgrees(target);
    }
  }

  @Test
  void readsFilesOfAChroot() throws Exception {
    assumePermitted("chroot", "/", "true");
    Path root = Files.createDirectory(directory.resolve("root"));
    Path program = Toolchain.program(directory, "-static");
    Files.copy(program, root.resolve("program"), StandardCopyOption.COPY_ATTRIBUTES);
    try (Target target = Target.start(List.of("chroot", root.toString(), "/program"))) {
      assertAgrees(target);
    }
  }
}
