package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class QuartilesTest {

  @Test
  void oneValueIsAllOfThem() {
    assertThat(Quartiles.of(7)).isEqualTo(new Quartiles(7, 7, 7));
  }

  @Test
  void theOrderDoesNotMatter() {
    assertThat(Quartiles.of(5, 1, 4, 2, 3)).isEqualTo(new Quartiles(2, 3, 4));
  }

  @Test
  void betweenTwoNeighbours() {
    assertThat(Quartiles.of(0, 1, 2, 3)).isEqualTo(new Quartiles(0.75, 1.5, 2.25));
  }

  @Test
  void ratiosAreOfPairs() {
    // Each pair was measured under a load of its own: the ratio is 2 in all of them.
    assertThat(
        Quartiles.ofPairs(new double[]{2, 20, 200}, new double[]{1, 10, 100}, (one, other) -> one / other))
        .isEqualTo(new Quartiles(2, 2, 2));
  }
}
