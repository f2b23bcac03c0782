package io.xolotl.decoder.backend;

import java.util.List;

/**
 * What numbers stand for: names in lower case. They differ between versions of Zydis, so each back end brings
 * its own.
 *
 * @param mnemonics by number
 * @param categories by number
 * @param isaSets by number
 * @param registers by number; 0 stands for none
 */
public record Names(List<String> mnemonics, List<String> categories, List<String> isaSets,
    List<RegisterName> registers) {

  /**
   * A register.
   *
   * @param name as in {@code r8d}, {@code ah}, {@code xmm17}
   * @param width bits in 64-bit code; 0 where it has none
   * @param general number of the 64-bit general register that it is a part of; -1 if of none
   */
  public record RegisterName(String name, int width, int general) {}

  /** The bit of the 64-bit general register that a register is a part of, or 0. */
  public int generalMask(int register) {
    int general = registers.get(register).general();
    return general < 0 ? 0 : 1 << general;
  }
}
