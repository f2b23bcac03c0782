package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.bench.KernelUprobes;
import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.Outcome;
import io.xolotl.decoder.Refusal;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.UnwindRanges;
import io.xolotl.lab.TargetProcess;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * All that compilers have put into large programs and libraries: every instruction of the functions that the
 * unwind table of the file describes, beside the verdict of the kernel's uprobes on the same instructions.
 *
 * <p>The kernel is asked about one instruction of each shape: prefixes, encoding and opcode, which is all
 * that it looks at (arch_uprobe_analyze_insn in arch/x86/kernel/uprobes.c), and the answer counts for all of
 * that shape. Each question takes it a tenth of a second, so only the most frequent shapes are asked about;
 * {@code -Dkernel.shapes=100000} asks about all. Each result is a row of the table in the README, and is
 * added to {@code target/whole-binaries.md}.
 */
@Timeout(1_800)
class WholeBinariesTest {

  private static final int SHAPES = Integer.getInteger("kernel.shapes", 20);

  /** What no program in user space can execute elsewhere, or at all. */
  private static final Set<Refusal> REASONS_OF_THE_CPU = EnumSet.of(Refusal.PRIVILEGED, Refusal.TRANSACTION,
      Refusal.SHADOW_STACK, Refusal.BREAKPOINT_EXISTS, Refusal.SOFTWARE_INTERRUPT, Refusal.FAR_BRANCH,
      Refusal.IO);

  /** Instructions that the kernel treats alike. */
  private static final class Shape {
    final long offset;
    long count;

    Shape(long offset) {
      this.offset = offset;
    }
  }

  private final Map<Outcome, Long> outcomes = new EnumMap<>(Outcome.class);
  private final Map<Technique, Long> techniques = new EnumMap<>(Technique.class);
  private final Map<Refusal, Long> refusals = new EnumMap<>(Refusal.class);
  private final Map<String, Shape> shapes = new HashMap<>();
  private long instructions;

  static Stream<Path> files() {
    Path java = Path.of(System.getProperty("java.home"));
    return Stream.concat(
        Stream.of("libc.so.6", "libstdc++.so.6", "libcrypto.so.3")
            .flatMap(name -> Stream.of("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")
                .map(directory -> Path.of(directory, name)).filter(Files::exists).limit(1)),
        Stream.of(java.resolve("lib/server/libjvm.so"), Path.of("/bin/bash"), Path.of("/usr/bin/python3"))
            .filter(Files::exists));
  }

  @ParameterizedTest
  @MethodSource("files")
  void almostEveryInstructionCanBeProbed(Path link, TestReporter reporter) throws IOException {
    Path file = link.toRealPath();
    List<UnwindRanges.Range> ranges = UnwindRanges.of(file);
    assumeTrue(!ranges.isEmpty(), file + " has no unwind table");
    try (Arena arena = Arena.ofConfined(); FileChannel channel = FileChannel.open(file)) {
      MemorySegment content = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      for (UnwindRanges.Range range : ranges) {
        Decoder.forThisCpu().stream(content.asSlice(range.offset(), range.size()), range.address())
            .forEach(decoding -> count(decoding, range));
      }
    }
    long refused = outcomes.getOrDefault(Outcome.REFUSE, 0L);
    assertThat(instructions).isGreaterThan(10_000);
    assertThat((double) refused / instructions).as("refused of %s: %s", file, refusals)
        .isLessThanOrEqualTo(0.001);
    assertThat(REASONS_OF_THE_CPU).as("reasons in %s: %s", file, refusals).containsAll(refusals.keySet());
    String row = row(link, refused, kernel(file));
    reporter.publishEntry(row);
    Files.writeString(Path.of("target/whole-binaries.md"), row + "\n", StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }

  private void count(Decoding decoding, UnwindRanges.Range range) {
    Classification classification = Classification.of(decoding, RelocationPolicy.FULL);
    instructions++;
    outcomes.merge(classification.outcome(), 1L, Long::sum);
    if (classification instanceof Classification.Refuse(Refusal reason)) {
      refusals.merge(reason, 1L, Long::sum);
    }
    if (decoding instanceof DecodedInstruction instruction) {
      Technique.chosenFor(classification)
          .ifPresent(technique -> techniques.merge(technique, 1L, Long::sum));
      shapes.computeIfAbsent(shape(instruction),
          _ -> new Shape(decoding.address() - range.address() + range.offset())).count++;
    }
  }

  /** What the kernel looks at: prefixes, encoding, opcode, and what extends the opcode ff. */
  private static String shape(DecodedInstruction instruction) {
    byte[] bytes = instruction.bytes();
    int at = 0;
    while (isPrefix(bytes[at])) {
      at++;
    }
    String prefixes = HexFormat.of().formatHex(bytes, 0, at) + " " + instruction.encoding() + " ";
    return prefixes + switch (instruction.encoding()) {
      case LEGACY -> {
        if ((bytes[at] & 0xf0) == 0x40) {
          prefixes += "rex ";
          at++;
        }
        int length = bytes[at] != 0x0f ? 1 : bytes[at + 1] == 0x38 || bytes[at + 1] == 0x3a ? 3 : 2;
        yield HexFormat.of().formatHex(bytes, at, at + length)
            + (bytes[at] == (byte) 0xff ? " /" + (bytes[at + 1] >> 3 & 7) : "");
      }
      case VEX -> bytes[at] == (byte) 0xc5
          ? "1 %x %x".formatted(bytes[at + 1] & 3, bytes[at + 2])
          : "%x %x %x".formatted(bytes[at + 1] & 0x1f, bytes[at + 2] & 0x83, bytes[at + 3]);
      case EVEX -> "%x %x %x".formatted(bytes[at + 1] & 7, bytes[at + 2] & 0x83, bytes[at + 4]);
      case XOP, THREE_DNOW -> HexFormat.of().formatHex(bytes);
    };
  }

  private static boolean isPrefix(byte b) {
    return switch (b & 0xff) {
      case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 -> true;
      default -> false;
    };
  }

  /** The kernel's verdict on the most frequent shapes, and how many of the instructions these are. */
  private String kernel(Path file) {
    long asked = 0;
    long refused = 0;
    int questions = 0;
    try (TargetProcess target = TargetProcess.start(FixtureProgram.MAPPER, file.toString())) {
      for (Shape shape : shapes.values().stream().sorted(Comparator.comparingLong((Shape s) -> -s.count))
          .limit(SHAPES)
          .toList()) {
        switch (KernelUprobes.open(file, shape.offset, target.pid())) {
          case KernelUprobes.Counter counter -> counter.close();
          case KernelUprobes.Refused _ -> refused += shape.count;
          case KernelUprobes.Unavailable(String reason) -> {
            return reason + " |";
          }
        }
        asked += shape.count;
        questions++;
      }
    }
    assertThat(asked).isPositive();
    return String.format(Locale.ROOT, "%.2f %% | %.1f %% (%d of %d)", 100.0 * refused / asked,
        100.0 * asked / instructions, questions, shapes.size());
  }

  private String row(Path file, long refused, String kernel) {
    return String.format(Locale.ROOT, "| %s | %,d | %s | %s | %s | %s | %s | %d (%.4f %%)%s | %s |",
        file.getFileName(),
        instructions, share(techniques, Technique.EMULATED), share(techniques, Technique.BOOSTED),
        share(techniques, Technique.TRAPPED), share(techniques, Technique.SINGLE_STEPPED),
        share(outcomes, Outcome.RE_DISPLACE), refused, 100.0 * refused / instructions,
        refusals.isEmpty() ? "" : " " + reasons(), kernel);
  }

  private String reasons() {
    var text = new TreeMap<String, Long>();
    refusals.forEach((reason, count) -> text.put(Names.of(reason), count));
    return text.toString();
  }

  private <K> String share(Map<K, Long> counts, K key) {
    return String.format(Locale.ROOT, "%.2f %%", 100.0 * counts.getOrDefault(key, 0L) / instructions);
  }
}
