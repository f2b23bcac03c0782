package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.junit.jupiter.api.Test;

class BranchSourceTest {

  @Test
  void addsBaseScaledIndexAndDisplacement() {
    var memory = new BranchSource.Memory(Segment.NONE, Optional.of(Gpr.RAX), Optional.of(Gpr.R9), 8, -4, 64);
    assertThat(memory.effectiveAddress(gpr -> gpr == Gpr.RAX ? 0x1_0000_0000L : gpr == Gpr.R9 ? 3 : -1))
        .isEqualTo(0x1_0000_0014L);
  }

  @Test
  void absoluteAddressAsksForNoRegister() {
    var memory = new BranchSource.Memory(Segment.FS, Optional.empty(), Optional.empty(), 1, 0x10, 64);
    assertThat(memory.effectiveAddress(_ -> {
      throw new AssertionError();
    })).isEqualTo(0x10);
  }

  @Test
  void thirtyTwoBitAddressWraps() {
    var memory = new BranchSource.Memory(Segment.NONE, Optional.of(Gpr.RAX), Optional.empty(), 1, 0x10, 32);
    assertThat(memory.effectiveAddress(_ -> 0x7_ffff_fff8L)).isEqualTo(8);
  }
}
