package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MemoryMappingTest {

  @Test
  void fileMapping() {
    MemoryMapping mapping = MemoryMapping.parse(
        "55d0c8a02000-55d0c8a07000 r-xp 00002000 fe:00 1048661                    /usr/bin/cat");
    assertThat(mapping).isEqualTo(
        new MemoryMapping(0x55d0c8a02000L, 0x55d0c8a07000L, "r-xp", 0x2000, "fe:00", 1048661,
            "/usr/bin/cat"));
    assertThat(mapping.isExecutable()).isTrue();
    assertThat(mapping.isWritable()).isFalse();
    assertThat(mapping.isShared()).isFalse();
    assertThat(mapping.size()).isEqualTo(0x5000);
    assertThat(mapping.contains(0x55d0c8a02000L)).isTrue();
    assertThat(mapping.contains(0x55d0c8a06fffL)).isTrue();
    assertThat(mapping.contains(0x55d0c8a07000L)).isFalse();
    assertThat(mapping.contains(0x55d0c8a01fffL)).isFalse();
  }

  @Test
  void anonymousMappingHasNoPath() {
    MemoryMapping mapping = MemoryMapping.parse("7f0000000000-7f0000001000 rw-s 00000000 00:00 0 ");
    assertThat(mapping.path()).isEmpty();
    assertThat(mapping.isWritable()).isTrue();
    assertThat(mapping.isShared()).isTrue();
  }

  @Test
  void pathKeepsItsSpaces() {
    assertThat(MemoryMapping.parse("1000-2000 r--p 00000000 fe:00 7      /a  b /c ").path())
        .isEqualTo("/a  b /c ");
  }

  @Test
  void deletedFileKeepsItsMark() {
    assertThat(MemoryMapping.parse("1000-2000 r--p 00000000 fe:00 7      /tmp/x (deleted)").path())
        .isEqualTo("/tmp/x (deleted)");
  }

  @Test
  void lineFeedIsUnescaped() {
    assertThat(MemoryMapping.parse("1000-2000 r--p 00000000 fe:00 7      /a\\012b").path())
        .isEqualTo("/a\nb");
  }

  @Test
  void kernelHalfIsUnsigned() {
    MemoryMapping mapping = MemoryMapping
        .parse("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]");
    assertThat(Long.toHexString(mapping.start())).isEqualTo("ffffffffff600000");
    assertThat(mapping.contains(0xffffffffff600000L)).isTrue();
    assertThat(mapping.contains(0x1000)).isFalse();
    assertThat(mapping.size()).isEqualTo(0x1000);
  }

  @Test
  void inodeIsUnsigned() {
    assertThat(MemoryMapping.parse("1000-2000 r--p 00000000 00:2a 18446744073709551615 /x").inode())
        .isEqualTo(-1);
  }

  @Test
  void otherTextIsRefused() {
    for (String line : List.of("", "1000", "1000-2000 r--p", "x-y r--p 0 00:00 0")) {
      assertThatThrownBy(() -> MemoryMapping.parse(line)).isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void allMappingsOfAProcess(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) throws IOException {
    List<MemoryMapping> mappings = MemoryMapping.of(target.pid());
    List<String> lines = ProcFs.mappings(target.pid());
    assertThat(mappings).hasSameSizeAs(lines);
    for (int i = 0; i < lines.size(); i++) {
      MemoryMapping m = mappings.get(i);
      assertThat(lines.get(i))
          .startsWith("%08x-%08x %s %08x %s %d ".formatted(m.start(), m.end(), m.permissions(),
              m.offset(), m.device(), m.inode()))
          .endsWith(m.path());
    }
    assertThat(mappings).extracting(MemoryMapping::path).contains("[heap]", "[stack]", "[vdso]",
        FixtureProgram.SLEEPER.path().toString());
  }

  @Test
  void pathsOfAllKindsAreReadAsTheyAre(@TempDir Path directory) throws IOException {
    Path program = Files.copy(FixtureProgram.SLEEPER.path(), directory.resolve("line\nfeed, space  and ü"));
    try (var target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready ");
      assertThat(MemoryMapping.of(target.pid())).extracting(MemoryMapping::path).contains(program.toString());
      Files.delete(program);
      assertThat(MemoryMapping.of(target.pid())).extracting(MemoryMapping::path)
          .contains(program + " (deleted)");
    }
  }
}
