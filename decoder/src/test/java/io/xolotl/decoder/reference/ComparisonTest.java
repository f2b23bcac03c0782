package io.xolotl.decoder.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The tables say what Zydis says, of everything: no difference is left out. Bug 592 of Zydis and MVEX, which
 * differ by intention, are corrected in {@link ZydisBackend}, and have tests of their own.
 */
@ExtendWith(NeedsZydis.class)
@Execution(ExecutionMode.CONCURRENT)
class ComparisonTest {

  private static final long RANDOM_STRINGS = 4_000_000;

  private static Path find(String... places) {
    Path found = Stream.of(places).map(Path::of).filter(Files::isRegularFile).findFirst().orElse(null);
    assumeTrue(found != null, () -> "this system has none of " + String.join(", ", places));
    return found;
  }

  @ParameterizedTest
  @ValueSource(strings = {"/lib/x86_64-linux-gnu/libc.so.6 /lib64/libc.so.6",
      "/usr/lib/x86_64-linux-gnu/libstdc++.so.6 /usr/lib64/libstdc++.so.6",
      "/usr/lib/x86_64-linux-gnu/libcrypto.so.3 /usr/lib64/libcrypto.so.3", "/bin/bash", "/usr/bin/python3",
      "JVM", "/usr/lib32/libc.so.6 /lib32/libc.so.6 /usr/lib/i386-linux-gnu/libc.so.6"})
  void allOfAFile(String places) throws IOException {
    Path file = places.equals("JVM")
        ? Path.of(System.getProperty("java.home"), "lib", "server", "libjvm.so")
        : find(places.split(" "));
    ElfCode code = ElfCode.of(file);
    var comparison = new Comparison(code.mode64(), false, false, true);
    byte[] bytes = code.bytes();
    for (int at = 0; at < bytes.length;) {
      at += comparison.compare(bytes, at, bytes.length);
    }
    assertThat(comparison.differences()).isEmpty();
    assertThat(comparison.equal()).isGreaterThan(bytes.length / 10);
  }

  @ParameterizedTest
  @CsvSource({"true,1_200_000", "false,500_000"})
  void anEighthOfAllCells(boolean mode64, String atLeast) {
    var comparison = new Comparison(mode64, false, false, false);
    var walk = new Walk(mode64, comparison, 1, 8);
    walk.run();
    assertThat(comparison.differences()).isEmpty();
    assertThat(walk.cells()).isGreaterThan(30_000_000);
    assertThat(comparison.equal()).isGreaterThan(Long.parseLong(atLeast.replace("_", "")));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void randomStrings(boolean mode64) {
    assertNoDifference(CompareTables.random(mode64, false, false, false, RANDOM_STRINGS, 2), RANDOM_STRINGS);
  }

  @ParameterizedTest
  @CsvSource({"true,true,false", "true,false,true", "true,true,true", "false,true,false", "false,false,true",
      "false,true,true", "true,false,false", "false,false,false"})
  void randomStringsWithTheirText(boolean mode64, boolean amd, boolean mpx) {
    assertNoDifference(CompareTables.random(mode64, amd, mpx, true, RANDOM_STRINGS / 20, 3),
        RANDOM_STRINGS / 20);
  }

  private static void assertNoDifference(Comparison comparison, long strings) {
    assertThat(comparison.differences()).isEmpty();
    assertThat(comparison.equal()).isGreaterThan(strings / 5);
    assertThat(comparison.equal() + comparison.refused()).isEqualTo(strings);
  }
}
