package io.xolotl.decoder;

import java.util.List;

/**
 * The sixteen conditions of {@code jcc}, {@code setcc} and {@code cmovcc}, in the order of their numbers in
 * the opcode (Intel SDM, volume 1, appendix B).
 */
public enum ConditionCode {
  O, NO, B, NB, Z, NZ, BE, NBE, S, NS, P, NP, L, NL, LE, NLE;

  static final List<ConditionCode> ALL = List.of(values());

  private static final long CF = 1;
  private static final long PF = 1 << 2;
  private static final long ZF = 1 << 6;
  private static final long SF = 1 << 7;
  private static final long OF = 1 << 11;

  /**
   * Returns true if the condition holds.
   *
   * @param rflags the flags register; bits that the condition does not test are ignored
   */
  public boolean test(long rflags) {
    boolean less = (rflags & SF) == 0 != ((rflags & OF) == 0);
    boolean holds = switch (this) {
      case O, NO -> (rflags & OF) != 0;
      case B, NB -> (rflags & CF) != 0;
      case Z, NZ -> (rflags & ZF) != 0;
      case BE, NBE -> (rflags & (CF | ZF)) != 0;
      case S, NS -> (rflags & SF) != 0;
      case P, NP -> (rflags & PF) != 0;
      case L, NL -> less;
      case LE, NLE -> less || (rflags & ZF) != 0;
    };
    // The lowest bit of a condition's number negates it.
    return holds == ((ordinal() & 1) == 0);
  }
}
