package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Decoding asks nothing of the system but its memory: places where a native library cannot be loaded. */
class NoNativeCodeTest {

  /** Decodes, classifies, prints, and says how much of Zydis has been loaded. */
  static final class Decodes {

    private Decodes() {}

    public static void main(String[] arguments) throws IOException {
      byte[] code = {0x62, (byte) 0xf1, 0x7c, 0x48, 0x28, 0x05, 1, 0, 0, 0};
      Decoding decoding = Decoder.forThisCpu().decode(code, 0x1000);
      System.out.println(decoding + " " + Classification.of(decoding, RelocationPolicy.FULL).outcome());
      try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
        System.out.println(maps.filter(line -> line.contains("Zydis")).count());
      }
      System.out.println(Decodes.class.getClassLoader().getDefinedPackage("io.xolotl.decoder.reference"));
    }
  }

  private static final List<String> DECODED = List
      .of("0x1000: vmovaps zmm0, zmmword ptr [0x000000000000100B] re-displace", "0", "null");

  @TempDir
  private Path directory;

  @Test
  void needsNoNativeAccess() throws Exception {
    assertThat(ChildJvm.run(List.of(), Decodes.class, "--illegal-native-access=deny")).isEqualTo(DECODED);
  }

  @Test
  void needsNoMemoryThatCanBeExecuted() throws Exception {
    List<String> prefix = Namespaces.confined(directory, "noexec");
    assertThat(ChildJvm.run(prefix, Decodes.class, "-Djava.io.tmpdir=" + directory)).isEqualTo(DECODED);
  }

  /** Nor anything that can be written, by a user who is not even root of a namespace. */
  @Test
  void needsNoDirectoryThatCanBeWritten() throws Exception {
    var prefix = new ArrayList<>(Namespaces.confined(directory, "mode=0"));
    prefix.addAll(List.of("setpriv", "--bounding-set=-all", "--inh-caps=-all"));
    assertThat(ChildJvm.run(prefix, Decodes.class, "-Djava.io.tmpdir=" + directory)).isEqualTo(DECODED);
  }

  /** An image that jlink makes of this module and what it requires, and nothing else. */
  @Test
  void isWholeInAnImage() throws Exception {
    Path image = directory.resolve("image");
    // Not in this JVM, whose module is patched.
    String jlink = Path.of(System.getProperty("java.home"), "bin", "jlink").toString();
    assertThat(
        ChildJvm.lines(List.of(jlink, "--module-path", ChildJvm.classes(Decoder.class), "--add-modules",
            "io.xolotl.decoder", "--output", image.toString())))
        .isEmpty();
    assertThat(ChildJvm.lines(List.of(image.resolve("bin/java").toString(), "--list-modules")))
        .anyMatch(line -> line.startsWith("io.xolotl.decoder")).allMatch(line -> line.startsWith("java.base")
            || line.startsWith("io.xolotl.decoder"));
    // The class of the test is in a package of the module, and is patched into it.
    assertThat(ChildJvm.lines(List.of(image.resolve("bin/java").toString(), "--illegal-native-access=deny",
        "--patch-module", "io.xolotl.decoder=" + ChildJvm.classes(Decodes.class), "--module",
        "io.xolotl.decoder/" + Decodes.class.getName()))).isEqualTo(DECODED);
  }
}
