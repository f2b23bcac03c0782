package io.xolotl.xol.displacement;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.MachineMode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Situations of relocation as data, a file an instruction family; the head of each file explains its lines.
 */
class RelocationFilesTest {

  private static final HexFormat HEX = HexFormat.ofDelimiter(" ");

  record Line(String situation, DecodedInstruction original, long slot, String copy, String back) {
    @Override
    public String toString() {
      return situation;
    }
  }

  @ParameterizedTest
  @MethodSource("lines")
  void theCopyAndTheWayBackAreAsTheFileSays(Line line) {
    assertThat(text(Relocator.bytes(line.original(), line.slot()))).as("the copy").isEqualTo(line.copy());
    assertThat(text(Relocator.jumpBack(line.original(), line.slot()))).as("the way back")
        .isEqualTo(line.back());
  }

  private static String text(byte @Nullable [] bytes) {
    return bytes == null ? "none" : HEX.formatHex(bytes);
  }

  static List<Line> lines() throws IOException {
    var lines = new ArrayList<Line>();
    for (String name : List.of("rip_relative", "unchanged", "way_back")) {
      String situation = "";
      for (String text : read(name).split("\n")) {
        if (text.startsWith("#")) {
          situation = name + ": " + text.substring(1).strip();
        } else if (!text.isBlank()) {
          lines.add(parse(situation, text.split(" \\| ")));
        }
      }
    }
    assertThat(lines).hasSizeGreaterThan(30);
    return lines;
  }

  private static Line parse(String situation, String[] fields) {
    boolean compat = fields[0].startsWith("compat ");
    byte[] code = HEX.parseHex(compat ? fields[0].substring("compat ".length()) : fields[0]);
    long address = Long.parseLong(fields[1], 16);
    Decoder decoder = Decoder.forThisCpu(compat ? MachineMode.COMPAT_32 : MachineMode.LONG_64);
    if (!(decoder.decode(code, address) instanceof DecodedInstruction original)) {
      throw new AssertionError("no instruction: " + situation);
    }
    assertThat(original.length()).as(situation).isEqualTo(code.length);
    return new Line(situation, original, Long.parseLong(fields[2], 16), fields[3], fields[4]);
  }

  private static String read(String name) throws IOException {
    try (InputStream in = RelocationFilesTest.class.getResourceAsStream("relocations/" + name + ".txt")) {
      return new String(Objects.requireNonNull(in, name).readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
