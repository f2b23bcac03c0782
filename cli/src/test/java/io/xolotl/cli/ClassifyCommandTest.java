package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.fixtures.FixtureProgram;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClassifyCommandTest {

  @Test
  void bytesAsADocument() {
    assertThat(Cli.run("classify", "--json", "--hex", "488b0510000000").done().output()).isEqualTo("""
        {"instructions":[{"address":"0x0","length":7,"bytes":"488b0510000000",\
        "text":"mov rax, [0x0000000000000017]","outcome":"re-displace","reason":null}]}
        """);
  }

  @Test
  void oneInstructionAfterTheOther() {
    JsonNode instructions = Cli.run("classify", "--json", "--address", "0x1000", "--policy", "strict",
        // mov eax, 1; mov rax, [rip+16]; hlt; syscall; jmp $+2; the beginning of a mov
        "--hex", "b801000000 488b0510000000 f4 0f05 eb00 488b05").done().json().get("instructions");
    assertThat(instructions)
        .extracting(node -> node.get("address").textValue() + " " + node.get("bytes").textValue()
            + " " + node.get("outcome").textValue() + " " + node.get("reason").textValue())
        .containsExactly(
            "0x1000 b801000000 copy null",
            "0x1005 488b0510000000 refuse RIP_RELATIVE_UNDER_STRICT",
            "0x100c f4 refuse PRIVILEGED",
            "0x100d 0f05 fix-up null",
            "0x100f eb00 emulate null",
            "0x1011 488b05 refuse TRUNCATED");
  }

  @Test
  void aLineAnInstruction() {
    assertThat(Cli.run("classify", "--hex", "c3f4").done().output().lines()).satisfiesExactly(
        line -> assertThat(line).matches(" +0x0  c3 +emulate +ret"),
        line -> assertThat(line).matches(" +0x1  f4 +refuse +hlt  # the instruction is privileged .*"));
  }

  @Test
  void aWholeFile() {
    String file = FixtureProgram.INSNS.path().toString();
    JsonNode summary = Cli.run("classify", file, "--summary", "--json").done().json();
    assertThat(summary.get("file").textValue()).isEqualTo(file);
    var outcomes = new HashMap<String, Long>();
    summary.get("outcomes").properties()
        .forEach(outcome -> outcomes.put(outcome.getKey(), outcome.getValue().longValue()));
    assertThat(outcomes).containsOnlyKeys("copy", "re-displace", "scratch-register", "emulate", "fix-up",
        "refuse");
    assertThat(outcomes.values().stream().mapToLong(Long::longValue).sum())
        .isEqualTo(summary.get("instructions").longValue()).isPositive();
    long refused = 0;
    for (Map.Entry<String, JsonNode> reason : summary.get("refused").properties()) {
      refused += reason.getValue().longValue();
    }
    assertThat(refused).isEqualTo(outcomes.get("refuse"));
    long executed = 0;
    for (Map.Entry<String, JsonNode> technique : summary.get("techniques").properties()) {
      executed += technique.getValue().longValue();
    }
    assertThat(executed).isEqualTo(summary.get("instructions").longValue() - refused);
    assertThat(summary.get("techniques").get("emulated").longValue()).isEqualTo(outcomes.get("emulate"));
    assertThat(summary.get("techniques").get("single-stepped").longValue()).isEqualTo(outcomes.get("fix-up"));
    assertThat(summary.get("refused").has("PRIVILEGED")).as("a program has hlt in _start").isTrue();

    JsonNode instructions = Cli.run("classify", file, "--json").done().json().get("instructions");
    // The summary is of the functions; what fills the gaps between them is code too.
    long counted = summary.get("instructions").longValue();
    assertThat(instructions).hasSizeGreaterThan((int) counted);
    assertThat(summary.get("bytes").longValue()).isPositive()
        .isLessThan(summary.get("codeBytes").longValue());
    assertThat(Cli.run("classify", file, "--summary").done().output())
        .startsWith(file + ": " + counted + " instructions in " + summary.get("bytes") + " of "
            + summary.get("codeBytes") + " bytes of code (")
        .containsPattern("(?m)^executed\n  emulated +" + outcomes.get("emulate") + " ");
  }

  /** Tables between functions, as assembly has them, are no instructions that are refused. */
  @ParameterizedTest
  @ValueSource(strings = {"/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "/lib/x86_64-linux-gnu/libc.so.6"})
  void aSummaryIsOfFunctions(String file) {
    Assumptions.assumeTrue(Files.exists(Path.of(file)), "this system has no " + file);
    JsonNode summary = Cli.run("classify", file, "--summary", "--json").done().json();
    assertThat(summary.get("instructions").longValue()).isGreaterThan(300_000);
    assertThat(summary.get("bytes").doubleValue() / summary.get("codeBytes").doubleValue())
        .isBetween(0.85, 1.0);
    assertThat(summary.get("refused").properties()).extracting(Map.Entry::getKey)
        .doesNotContain("UNDECODABLE", "TRUNCATED", "TOO_LONG");
  }

  @Test
  void thirtyTwoBitCode() {
    // call .+5; pop eax; inc eax; push es; int 0x80; sysenter
    assertThat(Cli.run("classify", "--i386", "--hex", "e800000000 58 40 06 cd80 0f34", "--json").done().json()
        .get("instructions")).extracting(
            node -> node.get("text").textValue() + ": "
                + node.get("outcome").textValue() + " " + node.get("reason").textValue())
        .containsExactly("call 0x00000005: emulate null", "pop eax: copy null", "inc eax: copy null",
            "push es: copy null", "int 0x80: fix-up null", "sysenter: refuse SYSENTER");
    assertThat(Cli.run("classify", "--i386", "/bin/ls").misused()).contains("--i386 need --hex");
  }

  @Test
  void aFileWith32BitCode() {
    Assumptions.assumeTrue(FixtureProgram.I386.isAvailable(),
        "this machine cannot build or run 32-bit programs");
    String file = FixtureProgram.I386.path().toString();
    assertThat(Cli.run("classify", file + ":work", "--json").done().json().get("instructions"))
        .extracting(node -> node.get("text").textValue())
        .startsWith("push ebx", "mov ebx, [esp+0x08]").contains("inc ecx");
  }

  @Test
  void oneFunctionOfAFile() {
    String file = FixtureProgram.CALLS.path().toString();
    JsonNode instructions = Cli.run("classify", file + ":_start", "--json").done().json().get("instructions");
    assertThat(instructions.get(0).get("address").textValue())
        .isEqualTo("0x" + Long.toHexString(FixtureProgram.CALLS.symbol("_start")));
    assertThat(instructions).extracting(node -> node.get("text").textValue()).contains("hlt");
    assertThat(Cli.run("classify", file + ":strat").refused()).contains("has no function 'strat'", "_start");
  }

  @Test
  void filesWithoutCode(@TempDir Path directory) throws IOException {
    assertThat(Cli.run("classify", directory + "/none").refused()).contains("does not exist");
    assertThat(Cli.run("classify", directory.toString()).refused()).contains("is no regular file");
    Path text = Files.writeString(directory.resolve("text:1"),
        "no program, but long enough for the header of one\n".repeat(2));
    assertThat(Cli.run("classify", text.toString()).refused()).contains(text.toString(),
        "is no valid ELF file");
  }

  @Test
  void wrongUsage() {
    assertThat(Cli.run("classify").misused()).contains("either --hex BYTES or FILE");
    assertThat(Cli.run("classify", "--hex", "90", "/bin/ls").misused())
        .contains("either --hex BYTES or FILE");
    assertThat(Cli.run("classify", "--hex", "9").misused()).contains("no sequence of bytes");
    assertThat(Cli.run("classify", "--hex", "90", "--summary").misused())
        .contains("--summary needs FILE");
    assertThat(Cli.run("classify", "--hex", "90", "--address", "nowhere").misused()).contains("no address");
    assertThat(Cli.run("classify", "--hex", "90", "--", "ls").misused()).contains("cannot launch a program");
  }
}
