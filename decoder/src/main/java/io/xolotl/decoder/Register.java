package io.xolotl.decoder;

import java.util.Optional;

/**
 * A register, or a named part of one.
 *
 * @param name the name in lower case, as in {@code r8d}, {@code ah}, {@code xmm17}, {@code rflags}
 * @param widthBits its width in 64-bit code; 0 where it has none
 * @param gpr the 64-bit general register of which it is a part: rax for {@code ah}
 */
public record Register(String name, int widthBits, Optional<Gpr> gpr) {

  @Override
  public String toString() {
    return name;
  }
}
