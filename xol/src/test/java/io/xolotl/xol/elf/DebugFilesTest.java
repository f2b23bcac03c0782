package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A stripped program whose symbols are in another file, in each of the places where that may be. */
class DebugFilesTest {
  @TempDir
  Path directory;

  /** Builds the program without symbols, and the file of its symbols next to it. */
  private Path strippedProgram(boolean debugLink) throws Exception {
    Path program = Toolchain.program(directory, "-pie", "-fPIE", "-Wl,--build-id");
    Path debug = directory.resolve("program.debug");
    Toolchain.run("objcopy", "--only-keep-debug", program.toString(), debug.toString());
    Toolchain.run("strip", "--strip-all", program.toString());
    if (debugLink) {
      Toolchain.run("objcopy", "--add-gnu-debuglink=" + debug, program.toString());
    }
    return debug;
  }

  private void move(Path debug, Path place) throws Exception {
    Files.createDirectories(Objects.requireNonNull(place.getParent()));
    Files.move(debug, place);
  }

  private SymbolResolver resolver(Target target) throws Exception {
    return new SymbolResolver(target.pid(), target.mappings(), target,
        new DebugFiles(Path.of("/proc/" + target.pid() + "/root"), directory + "/debug"));
  }

  private void assertSymbolsAreFound() throws Exception {
    try (Target target = Target.start(directory.resolve("program"))) {
      Map<String, Long> truth = target.truth();
      SymbolResolver resolver = resolver(target);
      for (String name : new String[]{"main", "only_here", "label_last"}) {
        Resolution found = resolver.resolve("program", name);
        assertThat(found.address()).as(name).isEqualTo(truth.get(name));
        assertThat(found.function().sectionEnd()).isGreaterThan(found.address());
      }
      assertThat(resolver.resolve("program", "chosen").function().name()).isEqualTo("second_choice");
    }
  }

  private void assertNoSymbols() throws Exception {
    try (Target target = Target.start(directory.resolve("program"))) {
      target.truth();
      SymbolResolver resolver = resolver(target);
      SymbolException refused = catchThrowableOfType(SymbolException.class,
          () -> resolver.resolve("program", "only_here"));
      assertThat(refused.reason()).isEqualTo(Reason.SYMBOL_NOT_FOUND);
      assertThat(refused).hasMessageContaining("no symbols");
    }
  }

  @Test
  void nextToTheProgram() throws Exception {
    strippedProgram(true);
    assertSymbolsAreFound();
  }

  @Test
  void inTheHiddenDirectory() throws Exception {
    move(strippedProgram(true), directory.resolve(".debug/program.debug"));
    assertSymbolsAreFound();
  }

  @Test
  void belowTheDebugDirectory() throws Exception {
    Path debug = strippedProgram(true);
    move(debug, Path.of(directory + "/debug" + directory.toRealPath() + "/program.debug"));
    assertSymbolsAreFound();
  }

  @Test
  void byBuildId() throws Exception {
    Path debug = strippedProgram(false);
    String buildId = Objects.requireNonNull(image(debug).buildId());
    move(debug, directory
        .resolve("debug/.build-id/" + buildId.substring(0, 2) + '/' + buildId.substring(2) + ".debug"));
    assertSymbolsAreFound();
  }

  /** As Fedora ships its programs: the symbols are in the file, compressed. */
  @Test
  void inTheProgramItself() throws Exception {
    embed(strippedProgram(false));
    assertSymbolsAreFound();
  }

  @Test
  void whatIsDamagedInTheProgramIsSaid() throws Exception {
    Path debug = strippedProgram(false);
    Files.write(debug, new byte[100]);
    embed(debug);
    try (Target target = Target.start(directory.resolve("program"))) {
      target.truth();
      SymbolResolver resolver = resolver(target);
      assertThat(catchThrowableOfType(SymbolException.class, () -> resolver.resolve("program", "only_here")))
          .hasMessageContaining("its .gnu_debugdata cannot be read");
    }
  }

  private void embed(Path symbols) throws Exception {
    Toolchain.run("xz", symbols.toString());
    Toolchain.run("objcopy", "--add-section", ".gnu_debugdata=" + symbols + ".xz",
        directory.resolve("program").toString());
  }

  /** A link in a container means what it means there, also where the host has the same path. */
  @Test
  void absoluteLinksStayBelowTheRoot() throws Exception {
    Path debug = strippedProgram(false);
    String buildId = Objects.requireNonNull(image(debug).buildId());
    Path root = directory.resolve("root");
    Path link = root
        .resolve("debug/.build-id/" + buildId.substring(0, 2) + '/' + buildId.substring(2) + ".debug");
    Files.createDirectories(Objects.requireNonNull(link.getParent()));
    Files.createSymbolicLink(link, debug);
    ElfSource program = Objects.requireNonNull(
        ElfSource.OnDisk.at("program", null, directory.resolve("program").toString()));
    var files = new DebugFiles(root, "/debug");
    assertThat(files.find(ElfImage.of(program), program, "/program")).as("outside of the root").isNull();
    Path inside = root.resolve(debug.toString().substring(1));
    Files.createDirectories(Objects.requireNonNull(inside.getParent()));
    Files.copy(debug, inside);
    assertThat(files.find(ElfImage.of(program), program, "/program")).isNotNull();
  }

  @Test
  void anotherBuildsFileIsRefused() throws Exception {
    String other = Objects.requireNonNull(image(strippedProgram(false)).buildId());
    Path foreign = Toolchain.program(
        directory.resolve("debug").toFile().mkdir() ? directory.resolve("debug") : directory,
        "-no-pie", "-fno-pie", "-O2", "-Wl,--build-id");
    move(foreign,
        directory.resolve("debug/.build-id/" + other.substring(0, 2) + '/' + other.substring(2) + ".debug"));
    assertNoSymbols();
  }

  @Test
  void aWrongChecksumIsRefused() throws Exception {
    Path debug = strippedProgram(true);
    Files.write(debug, new byte[1], StandardOpenOption.APPEND);
    assertNoSymbols();
  }

  @Test
  void withoutItThereAreNoSymbols() throws Exception {
    Files.delete(strippedProgram(true));
    assertNoSymbols();
  }

  @Test
  void aDamagedFileCostsOnlyItsOwnSymbols() throws Exception {
    Path debug = strippedProgram(false);
    String buildId = Objects.requireNonNull(image(debug).buildId());
    Path place = directory
        .resolve("debug/.build-id/" + buildId.substring(0, 2) + '/' + buildId.substring(2) + ".debug");
    move(debug, place);
    byte[] bytes = Files.readAllBytes(place);
    Section symtab = Objects.requireNonNull(image(place).firstOfType(Section.SYMTAB));
    // A symbol whose name lies far outside of the string table.
    bytes[(int) symtab.offset() + 10 * 24 + 3] = 0x7f;
    Files.write(place, bytes);
    assertNoSymbols();
  }

  private static ElfImage image(Path file) {
    return ImageCache
        .image(Objects.requireNonNull(ElfSource.OnDisk.at("fixture", Path.of("/"), file.toString())));
  }
}
