package io.xolotl.decoder.tables;

import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.Names.RegisterName;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Registers that a field of the encoding can name: of each class the numbers in {@link Names} follow one
 * another.
 */
public final class RegisterClass {

  /** Of 8 bits: al to bh as they were, spl to dil, r8b to r15b. */
  public static final int GENERAL_8 = 0;
  /** Of 16 bits; those of 32 and 64 bits follow. */
  public static final int GENERAL_16 = 1;
  /** Of 64 bits. */
  public static final int GENERAL_64 = 3;
  /** xmm0 to xmm31; ymm and zmm follow. */
  public static final int XMM = 6;
  /** zmm0 to zmm31. */
  public static final int ZMM = 8;
  /** es to gs. */
  public static final int SEGMENT = 10;

  private static final List<String> FIRST = List.of("al", "ax", "eax", "rax", "st0", "mm0", "xmm0", "ymm0",
      "zmm0", "tmm0", "es", "cr0", "dr0", "k0", "bnd0", "tr0");
  private static final int[] SIZE = {20, 16, 16, 16, 8, 8, 32, 32, 32, 8, 6, 16, 16, 8, 4, 8};
  /** Which bits of a field count. */
  static final int[] MASK = {15, 15, 15, 15, 7, 7, 31, 31, 31, 7, 7, 15, 15, 7, 7, 7};

  private final int[] first = new int[FIRST.size()];
  private final byte[] classes;

  /** Finds the classes among the registers that there are. */
  public RegisterClass(Names names) {
    var registers = new ArrayList<String>();
    for (RegisterName register : names.registers()) {
      registers.add(register.name());
    }
    classes = new byte[registers.size()];
    Arrays.fill(classes, (byte) -1);
    for (int i = 0; i < first.length; i++) {
      first[i] = registers.indexOf(FIRST.get(i));
      if (first[i] >= 0) {
        Arrays.fill(classes, first[i], first[i] + SIZE[i], (byte) i);
      }
    }
  }

  /** Number of the first register of a class. */
  public int first(int registerClass) {
    return first[registerClass];
  }

  /** Which class a register is of, -1 if of none. */
  public int of(int register) {
    return classes[register];
  }

  /** The number of a register in its class, which is that of the encoding for all but those of 8 bits. */
  public int number(int register) {
    return register - first[classes[register]];
  }
}
