package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.CxxNames;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is printed as a location is accepted as one, and means the same. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class LocationsTest {

  /** Names as compilers of other languages make them, two functions of one name, and one with two names. */
  private static final String NAMES = """
      .globl main
      .text
      main: sub $8, %rsp
      mov $10, %edi
      call getchar@PLT
      xor %eax, %eax
      add $8, %rsp
      ret
      .macro fn n
      .type "\\n",@function
      "\\n": nop
      ret
      .size "\\n", .-"\\n"
      .endm
      fn "type:.eq.main.Point"
      fn "-[Shape scale:by:]"
      fn "main.(*Shape).Area"
      fn "main.Map[go.shape.int]"
      fn "operator+1"
      fn "operator"
      fn "operator+0x1"
      fn "f@8"
      fn "f"
      fn "a b"
      fn "a+0x10"
      fn "c:d"
      .globl known, alias
      .type alias,@function
      alias:
      fn "known"
      .section .note.GNU-stack,"",@progbits
      """;

  private static final String CXX = """
      #include <cstdio>
      #include <string>
      #define FN __attribute__((noinline))
      namespace app {
      template <class T> FN T twice(T x) { return x + x; }
      struct S {
        FN int get(int a) const { return a + 1; }
        FN int operator()(int x) { return get(x); }
        FN S() { std::puts("S"); }
        FN ~S() { std::puts("gone"); }
        FN operator unsigned long() const { return 3; }
      };
      FN int over(int x) { return x + 1; }
      FN int over(long x) { return x + 2; }
      namespace { FN int hidden(std::string s) { return s.size(); } }
      }
      int main() {
        app::S s;
        long sum = app::twice<int>(1) + app::twice(2.5) + s(3) + app::over(4) + app::over(5L);
        sum += (unsigned long)s + app::hidden("six");
        return std::getchar() + sum;
      }
      """;

  private Path directory = Path.of("");
  private @Nullable TargetProcess names;
  private @Nullable TargetProcess cxx;

  @BeforeAll
  void build(@TempDir Path temporary) throws Exception {
    directory = temporary;
    names = started("gcc", "names.s", NAMES);
    cxx = new ProcessBuilder("sh", "-c", "command -v g++ > /dev/null").start().waitFor() == 0
        ? started("g++", "names.cc", CXX)
        : null;
  }

  private TargetProcess started(String compiler, String file, String source) throws Exception {
    Path program = directory.resolve(compiler.equals("g++") ? "cxx" : "names");
    Files.writeString(directory.resolve(file), source);
    assertThat(
        new ProcessBuilder(compiler, "-O1", "-o", program.toString(), directory.resolve(file).toString())
            .inheritIO().start().waitFor())
        .isZero();
    // A second static function of a name.
    if (compiler.equals("gcc")) {
      Path other = Files.writeString(directory.resolve("other.s"),
          ".text\n.type twin,@function\ntwin: nop\nret\n.size twin,.-twin\n"
              + ".section .note.GNU-stack,\"\",@progbits\n");
      Path third = Files.writeString(directory.resolve("third.s"), Files.readString(other));
      assertThat(new ProcessBuilder("gcc", "-o", program.toString(), directory.resolve(file).toString(),
          other.toString(), third.toString()).inheritIO().start().waitFor()).isZero();
    }
    return TargetProcess.start(List.of(program.toString()));
  }

  @AfterAll
  void end() {
    Objects.requireNonNull(names).close();
    if (cxx != null) {
      cxx.close();
    }
  }

  private ProbedProcess attached(@Nullable TargetProcess target) {
    assumeTrue(target != null, "there is no C++ compiler");
    return ProbedProcess.attach(target.pid());
  }

  private static long address(ProbedProcess process, String text) {
    return process.address(ProbeLocation.parse(text));
  }

  /** All names of all functions of a module. */
  private static void assertAllAccepted(ProbedProcess process, String module) {
    List<ModuleFunction> functions = process.functions(module);
    assertThat(functions).isNotEmpty();
    var wrong = new ArrayList<String>();
    for (ModuleFunction function : functions) {
      String described = process.describe(function.address());
      // Behind a location there may be a name that is others' too.
      String location = described.contains(" (")
          ? described.substring(0, described.indexOf(" ("))
          : described;
      if (address(process, location) != function.address()) {
        wrong.add(described);
      }
      for (ProbeLocation each : function.locations()) {
        try {
          long found = address(process, each.toString());
          // What chooses is printed by its address; its name stands for what it has chosen.
          if (found != function.address() && !described.contains(" (")) {
            wrong.add(each + " is " + process.describe(found));
          }
        } catch (ProbeException e) {
          if (e.reason() != ProbeException.Reason.IFUNC_UNRESOLVED) {
            wrong.add(each + ": " + e.getMessage());
          }
        }
      }
    }
    assertThat(wrong).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"names", "libc.so.6"})
  void allThatIsPrinted(String module) {
    try (ProbedProcess process = attached(names)) {
      assertAllAccepted(process, module);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cxx", "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6"})
  void allThatIsPrintedOfCxx(String module) {
    try (ProbedProcess process = attached(cxx)) {
      assertAllAccepted(process, module);
    }
  }

  @Test
  void allThatIsPrintedOfPython() throws Exception {
    assumeTrue(new ProcessBuilder("sh", "-c", "command -v python3 > /dev/null").start().waitFor() == 0,
        "there is no python3");
    try (TargetProcess python = TargetProcess
        .start(List.of("sh", "-c",
            "exec python3 -c 'import sys; print(\"ready\", flush=True); sys.stdin.read()'"))) {
      python.awaitLine("ready");
      try (ProbedProcess process = ProbedProcess.attach(python.pid())) {
        assertAllAccepted(process, process.modules().getFirst());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"type:.eq.main.Point", "-[Shape scale:by:]", "main.(*Shape).Area",
      "main.Map[go.shape.int]", "operator+1", "operator", "operator+0x1", "f@8", "f", "a b", "a+0x10", "c:d"})
  void namesWithSeparators(String name) {
    try (ProbedProcess process = attached(names)) {
      ModuleFunction function = process.functions("names").stream()
          .filter(each -> each.names().contains(name))
          .findFirst().orElseThrow();
      assertThat(address(process, "names:" + name)).isEqualTo(function.address());
      assertThat(address(process, "names:" + name + "+1")).isEqualTo(
          name.equals("operator") ? address(process, "names:operator+1") : function.address() + 1);
    }
  }

  @Test
  void twinsHaveAddresses() {
    try (ProbedProcess process = attached(names)) {
      List<ModuleFunction> twins = process.functions("names").stream()
          .filter(each -> each.names().contains("twin")).toList();
      assertThat(twins).hasSize(2).allSatisfy(twin -> {
        assertThat(twin.location()).isInstanceOf(ProbeLocation.FileAddress.class);
        assertThat(process.address(twin.location())).isEqualTo(twin.address());
        assertThat(process.describe(twin.address())).isEqualTo(twin.location() + " (twin)");
      });
      assertThatThrownBy(() -> address(process, "names:twin")).isInstanceOfSatisfying(ProbeException.class,
          e -> {
            assertThat(e.reason()).isEqualTo(ProbeException.Reason.SYMBOL_AMBIGUOUS);
            assertThat(e.getMessage()).contains(twins.get(0).location().toString(),
                twins.get(1).location().toString());
          });
    }
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"app::twice<int> | _ZN3app5twiceIiEET_S1_",
      "app::twice< int >(int) | _ZN3app5twiceIiEET_S1_", "int app::twice<int>(int) | _ZN3app5twiceIiEET_S1_",
      "app::twice<double> | _ZN3app5twiceIdEET_S1_", "app::S::get | _ZNK3app1S3getEi",
      "app::S::get(int) const | _ZNK3app1S3getEi", "app::S::operator() | _ZN3app1SclEi",
      "app::S::operator()(int) | _ZN3app1SclEi", "app::S::operator unsigned long | _ZNK3app1ScvmEv",
      "app::over(long) | _ZN3app4overEl", "app::over( int ) | _ZN3app4overEi", "app::S::S | _ZN3app1SC2Ev",
      "app::S::~S | _ZN3app1SD2Ev"})
  void cxxNames(String name, String symbol) {
    try (ProbedProcess process = attached(cxx)) {
      assumeTrue(CxxNames.demangled(symbol).isPresent(), "there is no libstdc++");
      assertThat(address(process, "cxx:" + name)).isEqualTo(address(process, "cxx:" + symbol));
      assertThat(address(process, "cxx:" + name + "+0x1")).isEqualTo(address(process, "cxx:" + symbol) + 1);
    }
  }

  @Test
  void overloadsAreAmbiguous() {
    try (ProbedProcess process = attached(cxx)) {
      assertThatThrownBy(() -> address(process, "cxx:app::over")).hasMessageContaining("2 functions")
          .hasMessageContaining("cxx+0x");
      assertThatThrownBy(() -> address(process, "cxx:app::none")).hasMessageContaining("no function");
    }
  }

  /** References double what they stand for with each level, and packs multiply it. */
  @Test
  void namesThatStandForGigabytesAreLeft() {
    var name = new StringBuilder("_Z1fI");
    for (int i = 0; i < 40; i++) {
      name.append("1AIS").append(i == 0 ? "" : Integer.toString(i - 1, 36).toUpperCase(Locale.ROOT))
          .append("_S_");
    }
    assertThat(CxxNames.demangled(name + "E".repeat(41) + "v")).isEmpty();
    assertThat(CxxNames.demangled("_Z1fIJ" + "i".repeat(40) + "EEv" + "Dp1AIT_".repeat(4) + "E".repeat(4)))
        .isEmpty();
    assertThat(CxxNames.demangled("_Z" + "P".repeat(20_000) + "i")).isEmpty();
    assertThat(CxxNames.demangled("malloc")).isEmpty();
    assumeTrue(CxxNames.demangled("_Z1fi").isPresent(), "there is no libstdc++");
    assertThat(CxxNames.demangled("_Z1fIJidEEvDpT_")).contains("void f<int, double>(int, double)");
  }
}
