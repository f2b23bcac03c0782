package io.xolotl.decoder.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.ChildJvm;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.DecoderUnavailableException;
import io.xolotl.decoder.DecoderUnavailableException.Reason;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.RelocationPolicy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Libraries that cannot be used where Zydis is asked for; a JVM loads the library once, so each case needs
 * one of its own.
 */
@ExtendWith(NeedsZydis.class)
class DecoderUnavailableTest {

  /** What the child runs: prints the reason and the message of two attempts, which must not differ. */
  static final class Attempt {

    private Attempt() {}

    public static void main(String[] arguments) {
      System.out.println(RelocationPolicy.FULL + " " + Gpr.RAX + " " + MachineMode.LONG_64);
      for (int i = 0; i < 2; i++) {
        try {
          System.out.println("AVAILABLE " + Decoder.forThisCpu().decode(new byte[]{(byte) 0xc3}, 0));
        } catch (DecoderUnavailableException e) {
          System.out.println(e.reason() + " " + e.getMessage());
        }
      }
    }
  }

  @Test
  void packedLibraryNeedsNoProperty() throws Exception {
    assertThat(attempt("--enable-native-access=ALL-UNNAMED")).isEqualTo("AVAILABLE 0x0: ret");
  }

  @Test
  void givenLibraryIsUsed(@TempDir Path directory) throws Exception {
    Path copy = directory.resolve("given.so");
    try (var packed = Decoder.class.getClassLoader().getResourceAsStream(ZydisLibrary.RESOURCE)) {
      Files.copy(Objects.requireNonNull(packed), copy);
    }
    assertThat(attempt("--enable-native-access=ALL-UNNAMED", "-Dxolotl.zydis.library=" + copy))
        .isEqualTo("AVAILABLE 0x0: ret");
  }

  @Test
  void missingFileIsNamed() throws Exception {
    assertThat(attempt("--enable-native-access=ALL-UNNAMED", "-Dxolotl.zydis.library=/no/such/libZydis.so"))
        .startsWith(Reason.LIBRARY_NOT_FOUND + " ")
        .contains("/no/such/libZydis.so", "-Dxolotl.zydis.library");
  }

  @Test
  void fileThatIsNoLibraryIsNotLoadable(@TempDir Path directory) throws Exception {
    Path text = Files.writeString(directory.resolve("libZydis.so"), "not a library");
    assertThat(attempt("--enable-native-access=ALL-UNNAMED", "-Dxolotl.zydis.library=" + text))
        .startsWith(Reason.NOT_LOADABLE + " ").contains(text.toString(), "libzydis4.0");
  }

  @Test
  void libraryThatIsNotZydisIsRefused() throws Exception {
    assertThat(attempt("--enable-native-access=ALL-UNNAMED", "-Dxolotl.zydis.library=" + someOtherLibrary()))
        .startsWith(Reason.NOT_ZYDIS + " ").contains("ZydisGetVersion", "libzydis4.0");
  }

  @Test
  void deniedNativeAccessNamesTheFlag() throws Exception {
    // The JVM would warn of the first only.
    for (String mode : List.of("warn", "deny")) {
      assertThat(attempt("--illegal-native-access=" + mode)).isEqualTo(Reason.NATIVE_ACCESS_DENIED
          + " Xolotl on the class path may not call native code: start java with "
          + "--enable-native-access=ALL-UNNAMED");
    }
  }

  @Test
  void otherVersionsAreRefused() {
    assertThatThrownBy(() -> ZydisLibrary.checkVersion(5L << 48 | 1L << 32, "libZydis.so.5.1"))
        .isInstanceOfSatisfying(ZydisUnavailableException.class,
            e -> assertThat(e.reason()).isEqualTo(ZydisUnavailableException.Reason.WRONG_VERSION))
        .hasMessageContaining("libZydis.so.5.1 is Zydis 5.1, but only version 4 will do");
  }

  @Test
  void otherLayoutsAreRefused() {
    assertThatThrownBy(() -> ZydisLibrary.checkLayout(336, "libZydis.so.4.2"))
        .isInstanceOfSatisfying(ZydisUnavailableException.class,
            e -> assertThat(e.reason()).isEqualTo(ZydisUnavailableException.Reason.WRONG_LAYOUT))
        .hasMessageContaining("libZydis.so.4.2");
  }

  /** The decoder says with its own reasons what the reference says with these. */
  @Test
  void everyReasonHasItsLike() {
    assertThat(Stream.of(ZydisUnavailableException.Reason.values()).map(Enum::name))
        .isSubsetOf(Stream.of(Reason.values()).map(Enum::name).toList());
  }

  @Test
  void unknownNamesAreRefused() throws Exception {
    assertThat(attempt("-Dxolotl.decoder=iced")).isEqualTo(
        Reason.NO_SUCH_IMPLEMENTATION + " -Dxolotl.decoder=iced names no decoder: it is tables or zydis");
  }

  /** Some library that every Linux JVM has. */
  private static Path someOtherLibrary() {
    return Path.of(System.getProperty("java.home"), "lib", "libzip.so");
  }

  static String attempt(String... options) throws IOException, InterruptedException {
    return attempt(List.of(), options);
  }

  /** The same behind another program, for instance unshare with its options. */
  static String attempt(List<String> prefix, String... options) throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(List.of(options));
    all.addFirst("-Dxolotl.decoder=zydis");
    List<String> lines = ChildJvm.run(prefix, Attempt.class, all.toArray(String[]::new));
    assertThat(lines).hasSize(3).first().isEqualTo("FULL RAX LONG_64");
    assertThat(lines.get(2)).isEqualTo(lines.get(1));
    return lines.get(1);
  }
}
