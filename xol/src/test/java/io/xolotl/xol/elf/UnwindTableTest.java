package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.UnwindRanges;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the unwind tables of files say, beside another reader of them, and what is made of broken ones. */
class UnwindTableTest {

  @TempDir
  private Path directory;

  private static ElfSource source(Path file) {
    return Objects.requireNonNull(
        ElfSource.OnDisk.at(file.toString(), null, file.toAbsolutePath().toString()));
  }

  private static List<UnwindTable.Range> ranges(Path file) {
    ElfSource source = source(file);
    ElfImage image = ElfImage.of(source);
    return ElfImage.guarded(source, reader -> UnwindTable.ranges(image, reader));
  }

  @ParameterizedTest
  @ValueSource(strings = {"/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
      "/bin/bash", "JVM"})
  void piecesAreThoseOfAnotherReader(String name) {
    Path file = name.equals("JVM")
        ? Path.of(System.getProperty("java.home"), "lib", "server", "libjvm.so")
        : Path.of(name);
    assumeTrue(Files.exists(file), "this system has no " + name);
    assertThat(ranges(file)).hasSizeGreaterThan(1_000)
        .map(range -> Long.toHexString(range.start()) + "-" + Long.toHexString(range.end()))
        .containsExactlyElementsOf(
            UnwindRanges.of(file).stream().map(range -> Long.toHexString(range.address())
                + "-" + Long.toHexString(range.address() + range.size())).toList());
  }

  /** The return from a signal handler, which the C library marks as such. */
  @Test
  void signalFramesAreTold() {
    Path libc = Path.of("/lib/x86_64-linux-gnu/libc.so.6");
    assumeTrue(Files.exists(libc), "this system has no " + libc);
    assertThat(ranges(libc)).filteredOn(UnwindTable.Range::signalFrame).hasSize(1);
  }

  @Test
  void functionsOf32BitCodeAreThere() {
    assumeTrue(FixtureProgram.I386.isAvailable(), "this machine cannot build or run 32-bit programs");
    assertThat(CodeFile.open(FixtureProgram.I386.path()).functions())
        .anyMatch(code -> code.address() == FixtureProgram.I386.symbol("work"));
  }

  @Test
  void functionsAreThereOnceWithAndWithoutSymbols() throws Exception {
    Path stripped = directory.resolve("stripped");
    assertThat(new ProcessBuilder("strip", "-o", stripped.toString(), FixtureProgram.CALLS.path().toString())
        .start().waitFor()).isZero();
    for (Path file : List.of(FixtureProgram.CALLS.path(), stripped)) {
      List<CodeFile.Code> functions = CodeFile.open(file).functions();
      assertThat(functions).hasSizeGreaterThan(5);
      long end = 0;
      for (CodeFile.Code function : functions) {
        assertThat(function.address()).isGreaterThanOrEqualTo(end);
        end = function.address() + function.bytes().length;
      }
    }
  }

  /** Whatever is in the table, reading ends soon, with pieces that are within the code or a sentence. */
  @Test
  void brokenTablesDoNoHarm() throws IOException {
    byte[] file = Files.readAllBytes(FixtureProgram.CALLS.path());
    int table = offset(file);
    var random = new SplittableRandom(15);
    for (int round = 0; round < 2_000; round++) {
      byte[] broken = file.clone();
      for (int i = random.nextInt(1, 20); i > 0; i--) {
        broken[table + random.nextInt(600)] = (byte) random.nextInt();
      }
      var source = new ElfSource.InMemory("broken", broken);
      ElfImage image = ElfImage.of(source);
      List<UnwindTable.Range> ranges = ElfImage.guarded(source, reader -> UnwindTable.ranges(image, reader));
      assertThat(ranges).allMatch(range -> {
        Section section = image.executableSection(range.start());
        return section != null && range.end() <= section.end() && range.end() > range.start();
      });
    }
  }

  /** Records that refer to the first as to what they share, which is one like them. */
  @Test
  void recordsThatShareNoneAreLeftOut() throws IOException {
    byte[] file = Files.readAllBytes(FixtureProgram.CALLS.path());
    int start = offset(file);
    ByteBuffer records = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 600; i += 8) {
      records.putInt(start + i, 4);
      records.putInt(start + i + 4, i + 4);
    }
    var source = new ElfSource.InMemory("endless", file);
    ElfImage image = ElfImage.of(source);
    List<UnwindTable.Range> ranges = ElfImage.guarded(source, reader -> UnwindTable.ranges(image, reader));
    assertThat(ranges).isEmpty();
  }

  private static int offset(byte[] file) {
    var source = new ElfSource.InMemory("calls", file);
    Section table = Objects.requireNonNull(ElfImage.of(source).loadedSection(".eh_frame"));
    assertThat(table.size()).isGreaterThan(600);
    return (int) table.offset();
  }
}
