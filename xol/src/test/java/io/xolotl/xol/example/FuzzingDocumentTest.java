package io.xolotl.xol.example;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.fuzzing.FuzzReport;
import io.xolotl.lab.fuzzing.Fuzzer;
import io.xolotl.lab.fuzzing.RelocationFuzzer;
import io.xolotl.lab.fuzzing.RelocationReport;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionDealer;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.CodeRelocator;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Oracle;
import io.xolotl.lab.oracle.RelocatedCode;
import io.xolotl.xol.Relocation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The examples of docs/fuzzing.md are compiled, and do what it says: {@link PushAndPopProperties} is the
 * first of them.
 */
class FuzzingDocumentTest {

  private static final Path DOCUMENT = Path.of("../docs/fuzzing.md");

  @Test
  void theExampleIsTheOneThatIsCompiled() throws IOException {
    String source = Files
        .readString(Path.of("src/test/java/io/xolotl/xol/example/PushAndPopProperties.java"));
    String example = source.substring(source.indexOf("import static"));
    assertThat(Files.readString(DOCUMENT)).contains("```java\n" + example + "```\n");
  }

  @Test
  void withoutJqwik() throws IOException {
    Displacer displacer = (pid, addresses) -> Displacer.displacement(Map.of(), () -> {});
    // example
    try (var oracle = Oracle.start()) {
      var cases = new CaseGenerator(InstructionGenerator.of(List.of("push", "pop")), 4);
      FuzzReport report = new Fuzzer(oracle, cases, Map.of("mine", displacer), 42).run(1_000,
          progress -> true);
      assertThat(report.findings()).isEmpty();
    }
    // end
    assertIsInTheDocument("    // example\n", "    // end");
  }

  @Test
  void relocatedCode() throws IOException {
    // relocated
    CodeRelocator relocator = (instruction, address) -> Relocation.of(instruction, address)
        .map(code -> RelocatedCode.of(code.code(), offset -> new RelocatedCode.Fault(
            (int) (code.fault(offset).address() - instruction.address()), code.fault(offset).stackBytes())));
    var dealer = InstructionDealer.of(List.of("push", "pop"));
    try (var fuzzer = new RelocationFuzzer(relocator, dealer, 42, 1)) {
      RelocationReport report = fuzzer.run(100_000, progress -> true);
      assertThat(report.findings()).isEmpty();
    }
    // over
    assertIsInTheDocument("    // relocated\n", "    // over");
  }

  private static void assertIsInTheDocument(String begin, String end) throws IOException {
    String source = Files.readString(Path.of("src/test/java/io/xolotl/xol/example/FuzzingDocumentTest.java"));
    String example = source.substring(source.indexOf(begin) + begin.length(), source.indexOf(end));
    assertThat(Files.readString(DOCUMENT))
        .contains("```java\n" + example.replaceAll("(?m)^    ", "") + "```\n");
  }
}
