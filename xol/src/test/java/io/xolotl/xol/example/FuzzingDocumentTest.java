package io.xolotl.xol.example;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.fuzzing.FuzzReport;
import io.xolotl.lab.fuzzing.Fuzzer;
import io.xolotl.lab.generation.CaseGenerator;
import io.xolotl.lab.generation.InstructionGenerator;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Oracle;
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
    String source = Files.readString(Path.of("src/test/java/io/xolotl/xol/example/FuzzingDocumentTest.java"));
    String example = source.substring(source.indexOf("// example\n") + "// example\n".length(),
        source.indexOf("    // end"));
    assertThat(Files.readString(DOCUMENT))
        .contains("```java\n" + example.replaceAll("(?m)^    ", "") + "```\n");
  }
}
