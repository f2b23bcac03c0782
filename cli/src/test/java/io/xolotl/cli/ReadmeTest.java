package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/** The example in the README is this module's {@link ReadmeExample}, and does what it says. */
@Isolated("It replaces System.out.")
class ReadmeTest {

  @Test
  void theExampleIsTheOneThatIsCompiled() throws IOException {
    String source = Files.readString(Path.of("src/test/java/io/xolotl/cli/ReadmeExample.java"));
    String example = source.substring(source.indexOf("import"));
    assertThat(Files.readString(Path.of("../README.md"))).contains("```java\n" + example + "```\n");
  }

  @Test
  void theExampleWorks() {
    var printed = new ByteArrayOutputStream();
    PrintStream before = System.out;
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      ReadmeExample.main();
    } finally {
      System.setOut(before);
    }
    assertThat(printed.toString(StandardCharsets.UTF_8))
        .matches("(?s)(malloc of [0-9]+ bytes\n)+[0-9]+ calls\n");
  }
}
