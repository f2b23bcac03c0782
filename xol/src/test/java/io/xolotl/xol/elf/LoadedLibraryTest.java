package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A library that a running program loads, maps again for other purposes, and loads a second time. */
class LoadedLibraryTest {
  @TempDir
  Path directory;

  private Path library;
  private Path loader;

  @BeforeEach
  void build() throws Exception {
    library = Toolchain.library(directory);
    loader = Toolchain.gcc(directory, "loader", List.of("loader.c"));
  }

  private Target startLoader() throws Exception {
    return Target.start(loader, library.toString());
  }

  private static Reason reason(ThrowingCallable call) {
    return catchThrowableOfType(SymbolException.class, call).reason();
  }

  @Test
  void appearsWithAnUpdate() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      SymbolResolver resolver = target.resolver();
      assertThat(reason(() -> resolver.resolve("libfixture-1.2.so", "plain")))
          .isEqualTo(Reason.MODULE_NOT_FOUND);
      Map<String, Long> truth = target.proceed();
      resolver.update(target.mappings());
      assertThat(resolver.resolve("libfixture-1.2.so", "plain").address()).isEqualTo(truth.get("plain"));
    }
  }

  @Test
  void hasSeveralNames() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      long plain = target.proceed().get("plain");
      SymbolResolver resolver = target.resolver();
      for (String name : List.of(library.toRealPath().toString(), "libfixture-1.2.so", "libfixture.so.7",
          "libfixture",
          "libfixture-1")) {
        assertThat(resolver.resolve(name, "plain").address()).as(name).isEqualTo(plain);
      }
      for (String name : List.of("libfix", "", "/libfixture-1.2.so", "libfixture-1.2.so.")) {
        assertThat(reason(() -> resolver.resolve(name, "plain"))).as(name).isEqualTo(Reason.MODULE_NOT_FOUND);
      }
    }
  }

  @Test
  void hasVersions() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      Map<String, Long> truth = target.proceed();
      SymbolResolver resolver = target.resolver();
      assertThat(resolver.resolve("libfixture", "versioned").address()).isEqualTo(truth.get("versioned"));
      assertThat(resolver.resolve("libfixture", "versioned@@LIB_2").address())
          .isEqualTo(truth.get("versioned"));
      assertThat(resolver.resolve("libfixture", "versioned@LIB_2").address())
          .isEqualTo(truth.get("versioned"));
      assertThat(resolver.resolve("libfixture", "versioned@LIB_1").address())
          .isEqualTo(truth.get("versioned@LIB_1"));
      assertThat(resolver.resolve("libfixture", "orphan@LIB_1").address())
          .isEqualTo(truth.get("orphan@LIB_1"));

      SymbolException wrong = catchThrowableOfType(SymbolException.class,
          () -> resolver.resolve("libfixture", "versioned@@LIB_1"));
      assertThat(wrong.reason()).isEqualTo(Reason.SYMBOL_NOT_FOUND);
      assertThat(wrong).hasMessageContaining("versioned@LIB_1").hasMessageContaining("versioned@@LIB_2");
      SymbolException orphan = catchThrowableOfType(SymbolException.class,
          () -> resolver.resolve("libfixture", "orphan"));
      assertThat(orphan.reason()).isEqualTo(Reason.SYMBOL_AMBIGUOUS);
      assertThat(orphan).hasMessageContaining("orphan@LIB_1").hasMessageContaining("orphan@LIB_2");
    }
  }

  @Test
  void hasIfuncs() throws Exception {
    try (Target target = startLoader()) {
      long gettimeofday = target.truth().get("gettimeofday");
      long picked = target.proceed().get("picked");
      SymbolResolver resolver = target.resolver();
      assertThat(resolver.resolve("libfixture", "picked").address()).isEqualTo(picked);
      assertThat(reason(() -> resolver.resolve("libfixture", "unpicked"))).isEqualTo(Reason.IFUNC_UNRESOLVED);

      // The C library's own choice lies outside of it.
      Resolution inVdso = resolver.resolve("libc.so.6", "gettimeofday");
      assertThat(inVdso.address()).isEqualTo(gettimeofday);
      assertThat(inVdso.function().module().name()).isEqualTo("[vdso]");
      assertThat(inVdso.function().names()).contains("gettimeofday", "__vdso_gettimeofday");
      assertThat(resolver.resolve("[vdso]", "__vdso_gettimeofday").address()).isEqualTo(gettimeofday);
    }
  }

  @Test
  void hasNamelessImplementationsWhenStripped() throws Exception {
    Toolchain.run("strip", "--strip-all", library.toString());
    try (Target target = startLoader()) {
      target.truth();
      long picked = target.proceed().get("picked");
      FunctionRange found = target.resolver().resolve("libfixture", "picked").function();
      assertThat(found.start()).isEqualTo(picked);
      assertThat(found.names()).containsExactly("picked");
      assertThat(found.sized()).isFalse();
      assertThat(found.end()).isGreaterThan(picked).isLessThanOrEqualTo(found.sectionEnd());
    }
  }

  /** As {@code strip --strip-section-headers} leaves it: the dynamic linker needs none. */
  @ParameterizedTest
  @ValueSource(strings = {"-Wl,--hash-style=gnu", "-Wl,--hash-style=sysv"})
  void isReadWithoutSectionHeaders(String hash, @TempDir Path elsewhere) throws Exception {
    Path file = Toolchain.library(elsewhere, hash);
    byte[] elf = Files.readAllBytes(file);
    ByteBuffer header = ByteBuffer.wrap(elf).order(ByteOrder.LITTLE_ENDIAN);
    int table = (int) header.getLong(40);
    header.putLong(40, 0).putInt(60, 0);
    Files.write(library, Arrays.copyOf(elf, table));
    try (Target target = startLoader()) {
      target.truth();
      Map<String, Long> truth = target.proceed();
      SymbolResolver resolver = target.resolver();
      assertThat(resolver.resolve("libfixture", "plain").address()).isEqualTo(truth.get("plain"));
      assertThat(resolver.resolve("libfixture.so.7", "picked").address()).isEqualTo(truth.get("picked"));
      assertThat(reason(() -> resolver.resolve("libfixture", "plane"))).isEqualTo(Reason.SYMBOL_NOT_FOUND);
    }
    assertThat(CodeFile.open(library).functions()).hasSizeGreaterThan(3);
  }

  @Test
  void isRefusedWhenItsFileWasReplaced() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      target.proceed();
      // As if another file had been mapped under that name, and nobody could get at it.
      List<MemoryMapping> replaced = target.mappings().stream()
          .map(m -> m.path().equals(library.toString())
              ? new MemoryMapping(m.start(), m.end(), m.permissions(), m.offset(), m.device(),
                  m.inode() + 1_000_000, m.path())
              : m)
          .toList();
      var resolver = new SymbolResolver(target.pid(), replaced, target);
      SymbolException refused = catchThrowableOfType(SymbolException.class,
          () -> resolver.resolve("libfixture-1.2.so", "plain"));
      assertThat(refused.reason()).isEqualTo(Reason.ELF_UNREADABLE);
      assertThat(refused).hasMessageContaining(library.toString());
      assertThat(reason(() -> resolver.resolve("libfixture-1.2.so", "plain")))
          .isEqualTo(Reason.ELF_UNREADABLE);
      // It does not stand in the way of others.
      assertThat(resolver.resolve("libc", "malloc").function().name()).isEqualTo("malloc");
    }
  }

  @Test
  void isReadAgainAfterItChanged() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      long plain = target.proceed().get("plain");
      SymbolResolver resolver = target.resolver();
      assertThat(resolver.module("libfixture").path()).isEqualTo(library.toString());
      Files.setLastModifiedTime(library, FileTime.fromMillis(0));
      assertThat(reason(() -> resolver.resolve("libfixture", "plain"))).isEqualTo(Reason.ELF_UNREADABLE);
      resolver.update(target.mappings());
      assertThat(resolver.resolve("libfixture", "plain").address()).isEqualTo(plain);
    }
  }

  @Test
  void isFoundAmongOtherMappingsOfItsFile() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      long plain = target.proceed().get("plain");
      SymbolResolver resolver = target.resolver();
      assertThat(resolver.resolve("libfixture", "plain").address()).isEqualTo(plain);
      target.proceed();
      resolver.update(target.mappings());
      assertThat(target.mappings()).filteredOn(mapping -> mapping.path().equals(library.toString()))
          .filteredOn(mapping -> mapping.isExecutable()).hasSizeGreaterThanOrEqualTo(2);
      assertThat(resolver.resolve("libfixture", "plain").address()).isEqualTo(plain);
      assertThat(resolver.describe(plain)).isEqualTo("libfixture-1.2.so:plain");
    }
  }

  @Test
  void isAmbiguousWhenLoadedTwice() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      long plain = target.proceed().get("plain");
      target.proceed();
      long second = target.proceed().get("second");
      SymbolResolver resolver = target.resolver();
      assertThat(reason(() -> resolver.resolve("libfixture", "plain"))).isEqualTo(Reason.MODULE_AMBIGUOUS);
      // No name tells one from the other.
      assertThat(resolver.describe(plain)).isEqualTo("0x" + Long.toHexString(plain) + " (plain)");
      assertThat(resolver.describe(second + 1))
          .isEqualTo("0x" + Long.toHexString(second + 1) + " (plain+0x1)");
    }
  }

  @Test
  void isReadAfterItWasDeleted() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      long plain = target.proceed().get("plain");
      Files.delete(library);
      Files.writeString(library, "another file of that name");
      SymbolResolver resolver = target.resolver();
      boolean privileged = Files.isReadable(Path.of("/proc/" + target.pid() + "/map_files"))
          && Files.isReadable(Path.of("/proc/" + target.pid() + "/map_files/" + mappedRange(target)));
      assumeTrue(privileged, "map_files needs CAP_CHECKPOINT_RESTORE");
      assertThat(resolver.resolve("libfixture-1.2.so", "plain").address()).isEqualTo(plain);
    }
  }

  private String mappedRange(Target target) throws Exception {
    return target.mappings().stream().filter(mapping -> mapping.path().startsWith(library.toString()))
        .findFirst()
        .map(mapping -> Long.toHexString(mapping.start()) + "-" + Long.toHexString(mapping.end()))
        .orElseThrow();
  }

  @Test
  void readsADeletedProgram() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      Files.delete(loader);
      SymbolResolver resolver = target.resolver();
      assertThat(resolver.describe(resolver.resolve("loader", "step").address())).isEqualTo("loader:step");
    }
  }

  @Test
  void doesNotOpenOtherFiles() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      long plain = target.proceed().get("plain");
      SymbolResolver resolver = target.resolver();
      assertThat(resolver.resolve("libfixture-1.2.so", "plain").address()).isEqualTo(plain);
      assertThat(knownImage(library)).isNotNull();
      assertThat(knownImage(loader)).isNull();
    }
  }

  private static @Nullable ElfImage knownImage(Path file) {
    return ImageCache.find(Objects.requireNonNull(ElfSource.Identity.of(file)));
  }

  /** A thread that wants to be interrupted reads no further then, and can ask again. */
  @Test
  void whoIsInterruptedMayAskAgain() throws Exception {
    try (Target target = startLoader()) {
      target.truth();
      SymbolResolver resolver = target.resolver();
      Thread.currentThread().interrupt();
      try {
        assertThat(reason(() -> Reading.interruptibly(() -> resolver.resolve("loader", "main"))))
            .isEqualTo(Reason.INTERRUPTED);
        assertThat(Thread.currentThread().isInterrupted()).isTrue();
      } finally {
        Thread.interrupted();
      }
      assertThat(resolver.resolve("loader", "main").function().name()).isEqualTo("main");
    }
  }
}
