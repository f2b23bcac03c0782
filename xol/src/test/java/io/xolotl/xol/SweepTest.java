package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.fixtures.UnwindRanges;
import io.xolotl.fixtures.UnwindRanges.Range;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.MemoryMapping;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every instruction of functions of real libraries is probed at once, also those of the functions that they
 * call, while a program uses them on known input: its results are those without probes.
 */
class SweepTest {

  /** How far calls are followed. */
  private static final int DEPTH = 2;

  private record Start(Range range, int depth) {}

  @ParameterizedTest
  @CsvSource({"qsort, libc.so.6, qsort, 100", "memcpy, libc.so.6, memcpy, 50",
      "printf, libc.so.6, printf, 1000",
      "printf, libc.so.6, snprintf, 1000", "strtod, libc.so.6, strtod, 500",
      "sha256, libcrypto.so.3, SHA256, 1000"})
  void everyInstruction(String command, String module, String function, int atLeast,
      @RunsFixture(FixtureProgram.WORKOUT) TargetProcess target)
      throws Exception {
    // The first use binds, loads and allocates; the second is what the others are compared with.
    use(target, command);
    List<String> expected = use(target, command);
    assumeFalse(expected.contains("sha256 skipped"), "there is no libcrypto.so.3");
    Aftermath before;
    List<Probe> probes;
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      List<Long> addresses = instructions(process, module, function);
      before = Aftermath.expectedOf(target.pid(), addresses);
      probes = process.register(addresses.stream()
          .map(address -> ProbeRequest.at(address, hit -> {}).trustingBoundary()).toList());
      assertThat(probes).hasSizeGreaterThan(atLeast);
      assertThat(use(target, command)).isEqualTo(expected);
      assertThat(use(target, command)).isEqualTo(expected);
      assertThat(probes.stream().filter(probe -> probe.hits() > 0)).as("instructions that were executed")
          .hasSizeGreaterThan(20);
    }
    before.assertNoTrace();
    assertThat(use(target, command)).isEqualTo(expected);
  }

  private static List<String> use(TargetProcess target, String command) {
    int from = target.output().size();
    target.send(command);
    target.awaitLine("done"::equals, Await.PATIENCE);
    List<String> output = target.output();
    return output.subList(from, output.size());
  }

  /**
   * The addresses of all instructions of a function and of those that it calls or jumps to, as far as they
   * are direct.
   */
  private static List<Long> instructions(ProbedProcess process, String module, String function)
      throws Exception {
    Probe entry = process.register(ProbeRequest.at(module, function, hit -> {}));
    long address = entry.address();
    entry.unregister();
    MemoryMapping mapping = process.mappings().stream().filter(m -> m.start() <= address && address < m.end())
        .findFirst().orElseThrow();
    Path file = Path.of(mapping.path());
    List<Range> ranges = UnwindRanges.of(file);
    long offset = address - mapping.start() + mapping.offset();
    Range first = ranges.stream()
        .filter(range -> range.offset() <= offset && offset < range.offset() + range.size())
        .findFirst().orElseThrow();
    long bias = address - (first.address() + offset - first.offset());
    byte[] content = Files.readAllBytes(file);
    Map<Range, List<DecodedInstruction>> decoded = new HashMap<>();
    var todo = new ArrayDeque<>(List.of(new Start(first, 0)));
    while (!todo.isEmpty()) {
      Start start = todo.removeFirst();
      if (!decoded.containsKey(start.range())) {
        List<DecodedInstruction> instructions = decode(content, start.range());
        decoded.put(start.range(), instructions);
        if (start.depth() < DEPTH) {
          for (DecodedInstruction instruction : instructions) {
            OptionalLong target = instruction.branchTarget();
            ranges.stream().filter(range -> target.isPresent() && range.contains(target.getAsLong()))
                .findFirst()
                .ifPresent(range -> todo.addLast(new Start(range, start.depth() + 1)));
          }
        }
      }
    }
    var addresses = new TreeMap<Long, DecodedInstruction>();
    decoded.values().forEach(instructions -> instructions.forEach(i -> addresses.put(i.address() + bias, i)));
    return new ArrayList<>(addresses.keySet());
  }

  /** Those that may be probed. */
  private static List<DecodedInstruction> decode(byte[] content, Range range) {
    byte[] code = Arrays.copyOfRange(content, (int) range.offset(),
        (int) range.offset() + range.size());
    var instructions = new ArrayList<DecodedInstruction>();
    for (Decoding decoding : Decoder.forThisCpu().stream(code, range.address()).toList()) {
      if (decoding instanceof DecodedInstruction instruction
          && !(Classification.of(instruction, RelocationPolicy.FULL) instanceof Classification.Refuse)) {
        instructions.add(instruction);
      }
    }
    return instructions;
  }
}
