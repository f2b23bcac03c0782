package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.xolotl.decoder.InstructionFile.Line;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.extension.ExtendWith;

/** The rules of relocation as data: files of one instruction family each, in which situations have names. */
@ExtendWith(WithZydis.class)
class InstructionFilesTest {

  @TestFactory
  Stream<DynamicContainer> classifiesAsTheFilesSay() {
    return InstructionFile.NAMES.stream()
        .map(name -> DynamicContainer.dynamicContainer(name, InstructionFile.read(name).stream()
            .map(line -> DynamicTest.dynamicTest(line.toString(), () -> assertClassified(line)))));
  }

  private static void assertClassified(Line line) {
    Decoding decoding = line.reader().decoder.decode(line.bytes(), InstructionFile.ADDRESS);
    if (decoding instanceof DecodedInstruction instruction) {
      assertThat(instruction.length()).as("length").isEqualTo(line.bytes().length);
      assertThat(instruction.bytes()).isEqualTo(line.bytes());
    }
    assertThat(Rendering.of(Classification.of(decoding, RelocationPolicy.FULL))).as("FULL")
        .isEqualTo(line.underFull());
    assertThat(Rendering.of(Classification.of(decoding, RelocationPolicy.STRICT))).as("STRICT")
        .isEqualTo(line.underStrict());
  }

  @Test
  void aLineHasASituationAndASituationHasLines() {
    String line = "# nop\n90 | emulate nop\n";
    assertThat(InstructionFile.parse("file", "# head\n\n== one\n" + line + "\n== other\n" + line))
        .extracting(Line::toString).containsExactly("one: nop for AMD", "one: nop for INTEL",
            "other: nop for AMD", "other: nop for INTEL");
    Map.of(
        line, "file: \"90 | emulate nop\" is under no situation",
        "# head\n== one\n90 | emulate nop\n", "file: \"90 | emulate nop\" is under no assembly",
        "== one\n== other\n" + line, "file: \"one\" has no lines",
        "== one\n" + line + "== other\n", "file: \"other\" has no lines",
        "== one\n" + line + "== one\n" + line, "file: \"one\" is there twice")
        .forEach((file, failure) -> assertThatIllegalArgumentException()
            .isThrownBy(() -> InstructionFile.parse("file", file)).withMessage(failure));
  }

  @Test
  void everyRefusalOccurs() {
    Set<Refusal> seen = classifications().stream().filter(Classification.Refuse.class::isInstance)
        .map(refuse -> ((Classification.Refuse) refuse).reason())
        .collect(Collectors.toCollection(() -> EnumSet.noneOf(Refusal.class)));
    // No RIP-relative instruction uses all seven candidates; the engine refuses so for an alternative that is
    // missing.
    assertThat(seen)
        .containsExactlyInAnyOrderElementsOf(EnumSet.complementOf(EnumSet.of(Refusal.NO_SCRATCH_REGISTER)));
  }

  @Test
  void everyOutcomeAndEveryEffectOccurs() {
    assertThat(classifications().stream().map(Classification::outcome)).contains(Outcome.values());
    Set<?> seen = classifications().stream().filter(Classification.Accept.class::isInstance)
        .map(accept -> ((Classification.Accept) accept).effect().getClass())
        .collect(Collectors.toSet());
    assertThat(seen).isEqualTo(Set.of(Effect.class.getPermittedSubclasses()));
  }

  @Test
  void everyEncodingOccurs() {
    Set<Encoding> seen = InstructionFile.readAll().stream()
        .map(line -> line.reader().decoder.decode(line.bytes(), InstructionFile.ADDRESS))
        .filter(DecodedInstruction.class::isInstance)
        .map(instruction -> ((DecodedInstruction) instruction).encoding())
        .collect(Collectors.toSet());
    assertThat(seen).isEqualTo(EnumSet.allOf(Encoding.class));
  }

  /** Instructions of extensions that the tables do not have yet. */
  private static final Set<String> LATER = Set.of("eretu", "erets", "vmgexit", "wbnoinvd", "lkgs", "rmpquery",
      "rmpread");

  /** A mnemonic that the decoder spells otherwise would silently be copied. */
  @Test
  void theDecoderKnowsTheMnemonicsOfTheRules() {
    List<String> known = Decoder.forThisCpu().names().mnemonics();
    assertThat(Rule.Table.mnemonics()).filteredOn(mnemonic -> !known.contains(mnemonic))
        .containsExactlyInAnyOrderElementsOf(LATER);
  }

  private static List<Classification> classifications() {
    return InstructionFile.readAll().stream()
        .flatMap(line -> Stream.of(RelocationPolicy.values())
            .map(policy -> line.reader().decoder.classify(line.bytes(), 0, line.bytes().length,
                InstructionFile.ADDRESS,
                policy)))
        .toList();
  }
}
