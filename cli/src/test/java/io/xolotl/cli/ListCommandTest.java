package io.xolotl.cli;

import static io.xolotl.fixtures.FixtureProgram.CALLS;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ListCommandTest {

  @Test
  void modules(@RunsFixture(CALLS) TargetProcess target) {
    String pid = Integer.toString(target.pid());
    JsonNode modules = Cli.run("list", "-p", pid, "--json").done().json().get("modules");
    assertThat(modules).extracting(module -> module.get("name").textValue()).contains("calls", "libc.so.6",
        "[vdso]");
    JsonNode program = modules.get(0);
    assertThat(program.get("path").textValue()).isEqualTo(CALLS.path().toString());
    assertThat(program.get("start").textValue())
        .isEqualTo("0x" + Long.toHexString(ProcFs.loadAddress(target.pid(), CALLS.path())));
    assertThat(Cli.run("list", "-p", pid).done().output().lines()).hasSize(modules.size())
        .allMatch(line -> line.matches(" *0x[0-9a-f]+-0x[0-9a-f]+ +\\S.*"));
    assertThat(ProcFs.tracerPid(target.pid())).isZero();
  }

  @Test
  void functions(@RunsFixture(CALLS) TargetProcess target) {
    JsonNode document = Cli.run("list", "-p", Integer.toString(target.pid()), "calls:wor?", "--json").done()
        .json();
    assertThat(document.get("module").textValue()).isEqualTo("calls");
    JsonNode work = document.get("functions").get(0);
    assertThat(work.get("names")).extracting(JsonNode::textValue).contains("work");
    assertThat(work.get("address").textValue()).isEqualTo("0x" + Long.toHexString(target.address("work")));
    assertThat(work.get("size").longValue()).isPositive();
  }

  @Test
  void nothingOfALaunchedProgramRuns(@TempDir Path directory) {
    Path file = directory.resolve("file");
    assertThat(Cli.run("list", "libc.so.6:malloc", "--", "touch", file.toString()).done().output())
        .matches(" *0x[0-9a-f]+ +[0-9]+  .*malloc.*\n");
    assertThat(Files.exists(file)).isFalse();
  }

  @Test
  void wrongNames() {
    assertThat(Cli.run("list", "libk.so.6", "--", "true").refused()).contains("no module 'libk.so.6'",
        "libc.so.6");
    assertThat(Cli.run("list").misused()).contains("Give a process");
  }
}
