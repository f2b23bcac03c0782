package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.LongPredicate;
import org.junit.jupiter.api.Test;

class ConditionTest {

  private static final int CF = 0;
  private static final int PF = 2;
  private static final int ZF = 6;
  private static final int SF = 7;
  private static final int OF = 11;

  private static boolean bit(long rflags, int bit) {
    return (rflags >>> bit & 1) != 0;
  }

  /** Table "EFLAGS Condition Codes" of the Intel SDM, volume 1, appendix B. */
  private static final List<LongPredicate> BY_THE_BOOK = List.of( //
      f -> bit(f, OF), f -> !bit(f, OF), //
      f -> bit(f, CF), f -> !bit(f, CF), //
      f -> bit(f, ZF), f -> !bit(f, ZF), //
      f -> bit(f, CF) || bit(f, ZF), f -> !bit(f, CF) && !bit(f, ZF), //
      f -> bit(f, SF), f -> !bit(f, SF), //
      f -> bit(f, PF), f -> !bit(f, PF), //
      f -> bit(f, SF) != bit(f, OF), f -> bit(f, SF) == bit(f, OF), //
      f -> bit(f, ZF) || bit(f, SF) != bit(f, OF), f -> !bit(f, ZF) && bit(f, SF) == bit(f, OF));

  @Test
  void conditionsAreThoseOfTheBookForAllFlags() {
    for (ConditionCode condition : ConditionCode.values()) {
      for (long rflags = 0; rflags < 1 << 12; rflags++) {
        assertThat(condition.test(rflags)).as("%s of %#x", condition, rflags)
            .isEqualTo(BY_THE_BOOK.get(condition.ordinal()).test(rflags));
      }
    }
  }
}
