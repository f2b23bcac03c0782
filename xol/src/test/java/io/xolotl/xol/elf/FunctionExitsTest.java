package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Effect;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which instructions are the exits of a function, and when these are all. */
class FunctionExitsTest {

  private static final long BIAS = 0x5000_0000_0000L;

  @TempDir
  private static Path directory;
  private static Path program = Path.of("");

  @BeforeAll
  static void build() throws Exception {
    program = Toolchain.gcc(directory, "exits", List.of("exits.s"), "-no-pie");
  }

  private static @Nullable FunctionBody body(String function) {
    ElfSource source = Objects
        .requireNonNull(ElfSource.OnDisk.at("exits", null, program.toAbsolutePath().toString()));
    ElfImage image = ElfImage.of(source);
    SymbolTable symbols = image.symbols(source, null);
    return symbols.starts(image, source).body(source, address(symbols, function), BIAS);
  }

  private static long address(SymbolTable symbols, String name) {
    return symbols.named(name).getFirst().address();
  }

  private static SymbolTable symbols() {
    ElfSource source = Objects
        .requireNonNull(ElfSource.OnDisk.at("exits", null, program.toAbsolutePath().toString()));
    return ElfImage.of(source).symbols(source, null);
  }

  @ParameterizedTest
  @CsvSource({"returns, true, returns_first returns_second", "tail, true, tail_exit",
      "again, true, again_exit again_end", "indexed, false, indexed_end", "relative, true, relative_end",
      "indirect, false, indirect_end", "conditional, false, conditional_end",
      "unlocked, true, unlocked_end", "unreached, false, unreached_end",
      "returns_within, false, returns_within_end",
      // A breakpoint at a jump within its loop would stop each time round.
      "looping, true, moved_end looping_end"})
  void areFoundWhereTheyAre(String function, boolean complete, String exits) {
    FunctionBody body = Objects.requireNonNull(body(function));
    SymbolTable symbols = symbols();
    assertThat(body.complete()).isEqualTo(complete);
    assertThat(body.exits()).extracting(FunctionBody.Exit::address)
        .containsExactlyInAnyOrderElementsOf(
            Arrays.stream(exits.split(" ")).map(name -> BIAS + address(symbols, name)).toList());
  }

  @Test
  void saysWhatTheyDo() {
    SymbolTable symbols = symbols();
    assertThat(Objects.requireNonNull(body("returns")).exits()).extracting(FunctionBody.Exit::effect)
        .containsExactly(new Effect.Return(0, 64), new Effect.Return(16, 64));
    assertThat(Objects.requireNonNull(body("tail")).exits()).extracting(FunctionBody.Exit::effect)
        .containsExactly(new Effect.Jump(BIAS + address(symbols, "returns")));
    assertThat(Objects.requireNonNull(body("again")).exits().getFirst().effect())
        .isEqualTo(new Effect.Jump(BIAS + address(symbols, "again")));
  }

  @Test
  void sayWhetherTheStartIsTheHeadOfALoop() {
    assertThat(Objects.requireNonNull(body("looping")).repeats()).isTrue();
    assertThat(Objects.requireNonNull(body("again")).repeats()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"data_within", "typed_within", "far_away"})
  void areNotKnownOfWhatIsNotUnderstood(String function) {
    assertThat(body(function)).isNull();
  }
}
