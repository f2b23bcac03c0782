package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs of the system, with the C library as its distribution ships it. */
class SystemProgramsTest {
  private static final int CLOCK_NANOSLEEP = 230;

  @TempDir
  Path directory;

  /** What the dynamic linker itself answers; it runs the resolvers of IFUNCs. */
  private static final String PRINT_ADDRESSES = """
      import ctypes, sys, time
      libc = ctypes.CDLL("libc.so.6")
      for name in sys.argv[1:]:
          print(name, hex(ctypes.cast(getattr(libc, name), ctypes.c_void_p).value))
      print("ready", flush=True)
      sys.stdin.readline()
      """;

  private static Target python(String... names) throws IOException {
    var command = new ArrayList<>(List.of("python3", "-c", PRINT_ADDRESSES));
    command.addAll(List.of(names));
    return Target.start(command);
  }

  @Test
  void resolvesWhatTheDynamicLinkerResolves() throws Exception {
    String[] names = {"malloc", "free", "open", "read", "printf", "memcpy", "strlen", "memmove", "strchr",
        "time"};
    try (Target python = python(names)) {
      Map<String, Long> truth = python.truth();
      SymbolResolver resolver = python.resolver();
      for (String name : names) {
        Resolution found = resolver.resolve("libc.so.6", name);
        assertThat(found.address()).as(name + " " + found).isEqualTo(truth.get(name));
      }
    }
  }

  @Test
  void namesTheImplementationOfAnIfunc() throws Exception {
    try (Target sleep = Target.start(Path.of("/bin/sleep"), "1000")) {
      sleep.awaitSystemCall(CLOCK_NANOSLEEP);
      Resolution memcpy = sleep.resolver().resolve("libc.so.6", "memcpy");
      assertThat(memcpy.indirect()).isTrue();
      assertThat(memcpy.requested()).isEqualTo("memcpy");
      assertThat(memcpy.function().indirect()).isFalse();
      assertThat(memcpy.function().module().name()).isEqualTo("libc.so.6");
      assertThat(memcpy.function().name()).contains("mem");
    }
  }

  @Test
  void refusesAnIfuncThatNobodyUses() throws Exception {
    try (Target sleep = Target.start(Path.of("/bin/sleep"), "1000")) {
      sleep.awaitSystemCall(CLOCK_NANOSLEEP);
      SymbolResolver resolver = sleep.resolver();
      assertThatThrownBy(() -> resolver.resolve("libc.so.6", "gettimeofday"))
          .isInstanceOfSatisfying(SymbolException.class,
              e -> assertThat(e.reason()).isEqualTo(Reason.IFUNC_UNRESOLVED))
          .hasMessageContaining("IFUNC");
    }
  }

  @Test
  void suggestsTheNearestNames() throws Exception {
    try (Target sleep = Target.start(Path.of("/bin/sleep"), "1000")) {
      sleep.awaitSystemCall(CLOCK_NANOSLEEP);
      SymbolResolver resolver = sleep.resolver();
      assertThatThrownBy(() -> resolver.resolve("libc.so.6", "mallox"))
          .hasMessageStartingWith("libc.so.6 has no function 'mallox'; nearest: malloc, ")
          .isInstanceOfSatisfying(SymbolException.class,
              e -> assertThat(e.reason()).isEqualTo(Reason.SYMBOL_NOT_FOUND));
      assertThatThrownBy(() -> resolver.resolve("libx.so.6", "malloc"))
          .hasMessageContaining("nearest: libc.so.6")
          .isInstanceOfSatisfying(SymbolException.class,
              e -> assertThat(e.reason()).isEqualTo(Reason.MODULE_NOT_FOUND));
      assertThatThrownBy(() -> resolver.resolve("sleep", "malloc"))
          .hasMessageContaining("only calls 'malloc'");
    }
  }

  @Test
  void readsTheSymbolsOfALargeLibrary() throws Exception {
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    try (Target jvm = Target.start(java, Toolchain.resource(directory, "Waiting.java").toString())) {
      jvm.truth();
      SymbolResolver resolver = jvm.resolver();
      Resolution found = resolver.resolve("libjvm", "JVM_GC");
      assertThat(resolver.describe(found.address() + 1)).isEqualTo("libjvm.so:JVM_GC+0x1");
      assertThat(resolver.functions("libjvm.so")).hasSizeGreaterThan(100);
    }
  }

  @Test
  void namesTheProgramByTheBeginningOfItsFileName() throws Exception {
    // Usually python3 is a link to a file with the minor version in its name, and that is what is mapped.
    try (Target python = python("malloc")) {
      python.truth();
      SymbolResolver resolver = python.resolver();
      LoadedModule program = resolver.module("python3");
      assertThat(program.path()).isEqualTo(Path.of("/proc/" + python.pid() + "/exe").toRealPath().toString());
    }
  }

  @Test
  void describesAddressesOutsideOfFunctions() throws Exception {
    try (Target sleep = Target.start(Path.of("/bin/sleep"), "1000")) {
      sleep.awaitSystemCall(CLOCK_NANOSLEEP);
      SymbolResolver resolver = sleep.resolver();
      LoadedModule libc = resolver.module("libc");
      assertThat(resolver.describe(libc.start())).isEqualTo("libc.so.6+0x0");
      assertThat(resolver.functionContaining(libc.start())).isEmpty();
      assertThat(resolver.describe(0x1234)).isEqualTo("0x1234");
      assertThat(resolver.describe(-1)).isEqualTo("0xffffffffffffffff");
      long stack = sleep.mappings().stream().filter(mapping -> mapping.path().equals("[stack]")).findFirst()
          .orElseThrow().start();
      assertThat(resolver.describe(stack)).isEqualTo("0x" + Long.toHexString(stack));
    }
  }

  @Test
  void saysThatAProcessIsGone() throws Exception {
    Target sleep = Target.start(Path.of("/bin/sleep"), "1000");
    SymbolResolver resolver;
    try (sleep) {
      sleep.awaitSystemCall(CLOCK_NANOSLEEP);
      resolver = sleep.resolver();
    }
    assertThat(resolver.describe(0)).isEqualTo("0x0");
    assertThatThrownBy(() -> resolver.resolve("[vdso]", "time")).isInstanceOfSatisfying(SymbolException.class,
        e -> assertThat(e.reason()).isEqualTo(Reason.ELF_UNREADABLE));
  }
}
