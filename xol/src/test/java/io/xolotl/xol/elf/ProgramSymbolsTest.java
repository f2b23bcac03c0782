package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The symbols of one program, linked in all the ways that move its code, compared with the addresses it
 * prints.
 */
class ProgramSymbolsTest {

  @ParameterizedTest
  @ValueSource(strings = {
      "-pie -fPIE",
      "-no-pie -fno-pie",
      "-static",
      "-static-pie -fPIE",
      "-pie -fPIE -Wl,-z,noseparate-code",
      "-pie -fPIE -Wl,-z,max-page-size=0x200000 -Wl,-z,common-page-size=0x200000",
      "-no-pie -fno-pie -Wl,-z,lazy",
      "-pie -fPIE -Wl,-z,now -Wl,-z,relro"})
  void agreesWithTheProgram(String flags, @TempDir Path directory) throws Exception {
    Path program = Toolchain.program(directory, flags.split(" "));
    try (Target target = Target.start(program)) {
      Map<String, Long> truth = target.truth();
      SymbolResolver resolver = target.resolver();

      for (String name : List.of("main", "exported", "only_here", "second_choice", "label_sizeless",
          "label_next",
          "label_last", "label_inside", "outer")) {
        assertThat(resolver.resolve("program", name).address()).as(name).isEqualTo(truth.get(name));
      }
      aliases(resolver, truth);
      duplicates(resolver, truth);
      ifunc(resolver, truth);
      labels(resolver, truth);
      notFunctions(resolver);
      enumeration(resolver, truth);
    }
  }

  private static void aliases(SymbolResolver resolver, Map<String, Long> truth) {
    for (String alias : List.of("exported", "__exported_too", "weak_name")) {
      FunctionRange found = resolver.resolve("program", alias).function();
      assertThat(found.start()).isEqualTo(truth.get("exported"));
      assertThat(found.names()).containsExactly("exported", "__exported_too", "weak_name");
    }
    long exported = truth.get("exported");
    assertThat(resolver.describe(exported)).isEqualTo("program:exported");
    assertThat(resolver.describe(exported + 3)).isEqualTo("program:exported+0x3");
  }

  private static void duplicates(SymbolResolver resolver, Map<String, Long> truth) {
    SymbolException refused = refusal(resolver, "duplicate");
    assertThat(refused.reason()).isEqualTo(Reason.SYMBOL_AMBIGUOUS);
    long bias = resolver.module("program").bias();
    for (String name : List.of("duplicate", "duplicate_of_other")) {
      long fileAddress = truth.get(name) - bias;
      assertThat(refused).hasMessageContaining("program+0x" + Long.toHexString(fileAddress));
      assertThat(resolver.address("program", fileAddress)).isEqualTo(truth.get(name));
    }
    assertThat(resolver.resolve("program", "eclipsed").address()).isEqualTo(truth.get("eclipsed_of_other"));
  }

  private static void ifunc(SymbolResolver resolver, Map<String, Long> truth) {
    Resolution chosen = resolver.resolve("program", "chosen");
    assertThat(chosen.address()).isEqualTo(truth.get("second_choice"));
    assertThat(chosen.requested()).isEqualTo("chosen");
    assertThat(chosen.function().name()).isEqualTo("second_choice");
    assertThat(chosen.indirect()).isTrue();
  }

  private static void labels(SymbolResolver resolver, Map<String, Long> truth) {
    FunctionRange sizeless = resolver.resolve("program", "label_sizeless").function();
    assertThat(sizeless.sized()).isFalse();
    assertThat(sizeless.end()).isEqualTo(truth.get("label_next"));

    FunctionRange last = resolver.resolve("program", "label_last").function();
    assertThat(last.size()).isEqualTo(3);
    assertThat(last.end()).isEqualTo(last.sectionEnd());

    // A label inside of a function with a size is a place in that function.
    assertThat(resolver.describe(truth.get("label_inside") + 1)).isEqualTo("program:outer+0x2");
    assertThat(resolver.describe(truth.get("label_sizeless") + 2)).isEqualTo("program:label_sizeless+0x2");
  }

  private static void notFunctions(SymbolResolver resolver) {
    for (String name : List.of("data_symbol", "thread_local_symbol", "absolute_value")) {
      assertThat(refusal(resolver, name).reason()).as(name).isEqualTo(Reason.NOT_A_FUNCTION);
    }
    SymbolException misspelt = refusal(resolver, "exportde");
    assertThat(misspelt.reason()).isEqualTo(Reason.SYMBOL_NOT_FOUND);
    assertThat(misspelt).hasMessageStartingWith("program has no function 'exportde'; nearest: exported, ");
  }

  private static void enumeration(SymbolResolver resolver, Map<String, Long> truth) {
    List<FunctionRange> functions = resolver.functions("program");
    assertThat(functions).isSortedAccordingTo((a, b) -> Long.compareUnsigned(a.start(), b.start()));
    assertThat(functions).filteredOn(function -> function.name().equals("duplicate"))
        .extracting(FunctionRange::start)
        .containsExactlyInAnyOrder(truth.get("duplicate"), truth.get("duplicate_of_other"));
    for (FunctionRange function : functions) {
      assertThat(Long.compareUnsigned(function.end(), function.sectionEnd())).as("%s", function)
          .isLessThanOrEqualTo(0);
      assertThat(resolver.functionContaining(function.start())).as("%s", function).isPresent();
    }
  }

  private static SymbolException refusal(SymbolResolver resolver, String symbol) {
    return Assertions.catchThrowableOfType(SymbolException.class, () -> resolver.resolve("program", symbol));
  }
}
