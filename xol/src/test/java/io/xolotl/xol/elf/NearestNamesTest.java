package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.AbstractCollection;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NearestNamesTest {

  @Test
  void ordersByEditsThenByCommonBeginning() {
    var names = List.of("free", "calloc", "valloc", "malloc", "mallopt", "realloc", "memalign");
    assertThat(NearestNames.of("mallox", names)).containsExactly("malloc", "mallopt", "calloc");
    assertThat(NearestNames.of("mlaloc", names)).first().isEqualTo("malloc");
  }

  @ParameterizedTest
  @CsvSource({"malloc,malloc,0", "mallox,malloc,1", "mlaloc,malloc,1", "alloc,malloc,1", "mallocc,malloc,1",
      "'',malloc,6", "ab,ba,1", "kitten,sitting,3"})
  void countsEdits(String a, String b, int edits) {
    assertThat(NearestNames.distance(a, b)).isEqualTo(edits);
    assertThat(NearestNames.distance(b, a)).isEqualTo(edits);
  }

  @Test
  void givesWhatThereIs() {
    assertThat(NearestNames.of("x", List.of())).isEmpty();
    assertThat(NearestNames.of("x", List.of("a-quite-different-name")))
        .containsExactly("a-quite-different-name");
  }

  @Test
  void looksAtABoundedNumberOfLongNames() {
    List<String> names = IntStream.range(0, 200_000).mapToObj(i -> "_ZN" + "4name".repeat(100) + i).toList();
    var seen = new AtomicInteger();
    var counted = new AbstractCollection<String>() {
      @Override
      public Iterator<String> iterator() {
        return names.stream().peek(_ -> seen.incrementAndGet()).iterator();
      }

      @Override
      public int size() {
        return names.size();
      }
    };
    assertThat(NearestNames.of("_ZN" + "5named".repeat(100), counted)).hasSize(3);
    assertThat(seen).hasValueBetween(1_000, 20_000);
  }
}
