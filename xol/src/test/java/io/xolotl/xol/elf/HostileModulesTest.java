package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files that are mapped as no dynamic linker would, and others that take their place. */
class HostileModulesTest {

  private static final int READ = 0;

  @TempDir
  private Path directory;

  private SymbolException refused(SymbolResolver resolver, String module) {
    return catchThrowableOfType(SymbolException.class, () -> resolver.module(module));
  }

  /** Pairs of its mappings and segments, compared with one another, would take days. */
  @Test
  void aFileThatIsMappedThousandsOfTimes() throws Exception {
    Path crowd = Toolchain.gcc(directory, "crowd", List.of("crowd.c"));
    for (int times : new int[]{1_500, 20_000}) {
      try (Target target = Target.start(crowd, directory.resolve("many").toString(),
          Integer.toString(times))) {
        target.awaitSystemCall(READ);
        SymbolResolver resolver = target.resolver();
        SymbolException refusal = refused(resolver, "many");
        assertThat(refusal.reason()).isEqualTo(Reason.ELF_UNSUPPORTED);
        assertThat(refusal).hasMessageContaining("no dynamic linker does that");
        assertThat(refusal.getMessage()).hasSizeLessThan(200);
        assertThat(resolver.resolve("crowd", "main").function().name()).isEqualTo("main");
        // The sonames of all modules are looked at.
        assertThat(resolver.module("libc").name()).isEqualTo("libc.so.6");
      }
    }
  }

  /** A few times is still something that a loader of its own kind may do. */
  @Test
  void aFileThatIsMappedSomeTimes() throws Exception {
    Path crowd = Toolchain.gcc(directory, "crowd", List.of("crowd.c"));
    try (Target target = Target.start(crowd, directory.resolve("many").toString(), "5")) {
      target.awaitSystemCall(READ);
      SymbolException refusal = refused(target.resolver(), "many");
      assertThat(refusal.reason()).isEqualTo(Reason.MODULE_AMBIGUOUS);
      assertThat(refusal.getMessage()).hasSizeLessThan(400);
    }
  }

  /** Another file system may have another file at the path, with the same inode: the memory tells. */
  @Test
  void anotherFileOfTheSameInodeIsNotTheModule() throws Exception {
    Path program = Toolchain.program(directory, "-Wl,--build-id");
    Path other = Files.createDirectory(directory.resolve("other"));
    Path rebuilt = Toolchain.program(other, "-Wl,--build-id", "-DOTHER", "-O2");
    byte[] mapped = Files.readAllBytes(program);
    byte[] foreign = Files.readAllBytes(rebuilt);
    long inode = (Long) Files.getAttribute(program, "unix:ino");
    // No process maps it there, so no link of the kernel leads to it.
    long start = 0x3000_0000_0000L;
    var mapping = new MemoryMapping(start, start + 0x1000, "r-xp", 0, "00:00", inode, program.toString());
    assertThat(of(mapping, mapped).image().buildId()).isNotNull();
    assertThat(catchThrowableOfType(SymbolException.class, () -> of(mapping, foreign).image()).reason())
        .isEqualTo(Reason.ELF_UNREADABLE);
    byte[] otherId = mapped.clone();
    ElfImage.Mark id = of(mapping, mapped).image().marks().getLast();
    otherId[(int) id.offset()]++;
    assertThat(catchThrowableOfType(SymbolException.class, () -> of(mapping, otherId).image()))
        .hasMessageContaining("was replaced");
  }

  private static ModuleFile of(MemoryMapping mapping, byte[] memory) {
    MemoryReader reader = (address, destination, offset, length) -> {
      int from = (int) (address - mapping.start());
      byte[] read = Arrays.copyOfRange(memory, from, from + length);
      System.arraycopy(read, 0, destination, offset, length);
      return length;
    };
    return new ModuleFile((int) ProcessHandle.current().pid(), List.of(mapping), List.of(), reader,
        new DebugFiles(Path.of("/"), "/usr/lib/debug"));
  }
}
