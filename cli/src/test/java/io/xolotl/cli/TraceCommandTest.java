package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.ptrace.UserRegister;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class TraceCommandTest {
  private static final String HEX = "=0x(0|[1-9a-f][0-9a-f]*)";

  @Test
  void aLineAHit() {
    List<String> lines = Cli.run("trace", "-e", "libc.so.6:exit", "--", "false").done()
        .output()
        .lines().toList();
    assertThat(lines).singleElement().asString()
        .matches(" +[0-9]+\\.[0-9]{6} +[0-9]+ libc.so.6:exit rdi=0x1 rsi" + HEX
            + " rdx" + HEX + " rcx" + HEX + " r8" + HEX + " r9" + HEX);
  }

  @Test
  void theRegistersAskedFor() {
    assertThat(
        Cli.run("trace", "-e", "libc.so.6:exit", "--regs", "rdi,orig-rax,rip", "--", "true").done().output())
        .matches(" +[0-9]+\\.[0-9]{6} +[0-9]+ libc.so.6:exit rdi=0x0 orig-rax" + HEX + " rip" + HEX + "\n");
  }

  @Test
  void asADocument() {
    JsonNode document = Cli
        .run("trace", "-e", "libc.so.6:malloc", "-e", "libc.so.6:exit", "--regs", "rdi,rsp", "--json",
            "--", "ls", "/no/such/file")
        .done().json();
    assertThat(document.get("exitStatus").intValue()).isEqualTo(2);
    assertThat(document.get("hits").size()).isGreaterThan(1);
    double previous = 0;
    for (JsonNode hit : document.get("hits")) {
      assertThat(hit.get("time").doubleValue()).isGreaterThanOrEqualTo(previous);
      previous = hit.get("time").doubleValue();
      assertThat(hit.get("thread").intValue()).isPositive();
      assertThat(hit.get("registers").fieldNames()).toIterable().containsExactly("rdi", "rsp");
    }
    assertThat(document.get("hits")).anySatisfy(hit -> {
      assertThat(hit.get("location").textValue()).isEqualTo("libc.so.6:exit");
      assertThat(hit.get("registers").get("rdi").textValue()).isEqualTo("0x2");
    });
  }

  @Test
  void aDocumentWithoutHits() {
    assertThat(Cli.run("trace", "-e", "libc.so.6:fork", "--json", "--", "true").done().json().get("hits"))
        .isEmpty();
  }

  @Test
  void hitsInTaskContextAreWholeLines() {
    List<String> lines = Cli
        .run("trace", "-e", "libc.so.6:malloc", "--context", "task", "--regs", "rdi", "--", "ls", "/")
        .done().output().lines().toList();
    assertThat(lines).isNotEmpty()
        .allMatch(line -> line.matches(" +[0-9]+\\.[0-9]{6} +[0-9]+ libc.so.6:malloc rdi" + HEX));
  }

  /** A full disk. */
  @Test
  void anOutputThatCannotBeWritten() {
    assertThat(traceTo(false).refused()).contains("cannot be written: No space left on device");
  }

  /**
   * {@code | head}: that what cannot be written goes to a pipe is known from elsewhere, and what the
   * exception says is not.
   */
  @Test
  void aReaderThatLeaves() {
    assertThat(traceTo(true)).isEqualTo(new Cli(141, "", ""));
  }

  private static Cli traceTo(boolean isPipe) {
    var output = new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        throw new IOException("No space left on device");
      }
    };
    var messages = new StringWriter();
    var interruption = new Interruption();
    try (Outlet outlet = Outlet.of(output, isPipe, interruption)) {
      int status = Xolotl.run(
          new Shell(outlet, new PrintWriter(messages, true), Optional::empty, interruption), "trace",
          "-e", "libc.so.6:malloc", "--", "sleep", "1000");
      return new Cli(status, "", messages.toString());
    }
  }

  @Test
  void wrongRegisters() {
    assertThat(Cli.run("trace", "-e", "libc.so.6:exit", "--regs", "rdi,eax", "--", "true").misused())
        .contains("'eax' is none of", Names.of(UserRegister.RDI));
  }
}
