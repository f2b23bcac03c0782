package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Programs of the system, with the C library as its distribution ships it. */
class SystemProgramsTest {
  private static final int CLOCK_NANOSLEEP = 230;

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
    var command = new java.util.ArrayList<>(List.of("python3", "-c", PRINT_ADDRESSES));
    command.addAll(List.of(names));
    return Target.start(command);
  }

  @Test
  void resolvesWhatTheDynamicLinkerResolves() throws Exception {
    String[] names = {"malloc", "free", "open", "read", "printf", "memcpy", "strlen", "memmove", "strchr",
        "time",
        "gettimeofday"};
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
}
