package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** All code of the C library of this system. */
@ExtendWith(WithZydis.class)
class RealCodeTest {

  @Test
  void hardlyAnythingOfTheCLibraryIsRefused() throws IOException {
    Map<Outcome, Integer> full = count(RelocationPolicy.FULL);
    int all = full.values().stream().mapToInt(Integer::intValue).sum();
    assertThat(all).isGreaterThan(100_000);
    assertThat(full.getOrDefault(Outcome.REFUSE, 0)).isLessThanOrEqualTo(all / 1000);
    assertThat(full.getOrDefault(Outcome.COPY, 0)).isGreaterThan(all / 2);
    assertThat(full.getOrDefault(Outcome.FIX_UP, 0)).isPositive();
  }

  @Test
  void strictRefusesExactlyWhatFullWouldChange() throws IOException {
    Map<Outcome, Integer> full = count(RelocationPolicy.FULL);
    Map<Outcome, Integer> strict = count(RelocationPolicy.STRICT);
    int changed = full.getOrDefault(Outcome.RE_DISPLACE, 0) + full.getOrDefault(Outcome.SCRATCH_REGISTER, 0);
    assertThat(strict.getOrDefault(Outcome.REFUSE, 0))
        .isEqualTo(full.getOrDefault(Outcome.REFUSE, 0) + changed);
    assertThat(strict).doesNotContainKeys(Outcome.RE_DISPLACE, Outcome.SCRATCH_REGISTER);
  }

  @Test
  void aCursorSeesTheSame() throws IOException {
    byte[] code = codeOfTheCLibrary();
    for (RelocationPolicy policy : RelocationPolicy.values()) {
      var counts = new EnumMap<Outcome, Integer>(Outcome.class);
      CodeCursor cursor = Decoder.forThisCpu().cursor(code, 0x10_0000);
      for (int offset = 0; offset < code.length; offset += cursor.length()) {
        cursor.moveTo(offset);
        counts.merge(cursor.outcome(policy), 1, Integer::sum);
      }
      assertThat(counts).isEqualTo(count(policy));
    }
  }

  @Test
  void aCursorStaysWithinItsCode() {
    CodeCursor cursor = Decoder.forThisCpu().cursor(new byte[]{(byte) 0x90, 0x48}, 0);
    assertThat(cursor.isInstruction()).isFalse();
    assertThat(cursor.moveTo(0)).isTrue();
    assertThat(cursor.moveTo(1)).isFalse();
    assertThat(cursor.outcome(RelocationPolicy.FULL)).isEqualTo(Outcome.REFUSE);
    assertThatThrownBy(() -> cursor.moveTo(2)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  private static Map<Outcome, Integer> count(RelocationPolicy policy) throws IOException {
    var counts = new EnumMap<Outcome, Integer>(Outcome.class);
    Decoder.forThisCpu().stream(codeOfTheCLibrary(), 0x10_0000)
        .forEach(decoding -> counts.merge(Classification.of(decoding, policy).outcome(), 1, Integer::sum));
    return counts;
  }

  /** The executable mapping of the libc that this JVM uses, read from its file. */
  private static byte[] codeOfTheCLibrary() throws IOException {
    List<String> maps = Files.readAllLines(Path.of("/proc/self/maps"));
    String[] fields = maps.stream().filter(line -> line.contains("/libc") && line.contains(" r-xp "))
        .findFirst()
        .orElseThrow().split(" +", 6);
    String[] range = fields[0].split("-");
    int size = (int) (Long.parseUnsignedLong(range[1], 16) - Long.parseUnsignedLong(range[0], 16));
    int offset = Integer.parseUnsignedInt(fields[2], 16);
    byte[] file = Files.readAllBytes(Path.of(fields[5]));
    byte[] code = Arrays.copyOfRange(file, offset, Math.min(offset + size, file.length));
    // The linker fills the last page with zeros, which are instructions but none of the library.
    int end = code.length;
    while (end > 0 && code[end - 1] == 0) {
      end--;
    }
    return Arrays.copyOf(code, end);
  }
}
