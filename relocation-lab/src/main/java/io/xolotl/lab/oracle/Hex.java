package io.xolotl.lab.oracle;

/** Numbers as people write them. */
final class Hex {

  private Hex() {}

  static String of(long value) {
    return "0x" + Long.toHexString(value);
  }

  /** A little-endian number of any size, without leading zeros. */
  static String reversed(byte[] value) {
    var text = new StringBuilder();
    for (int i = value.length - 1; i >= 0; i--) {
      int b = Byte.toUnsignedInt(value[i]);
      if (!text.isEmpty()) {
        text.append(Character.forDigit(b >> 4, 16)).append(Character.forDigit(b & 15, 16));
      } else if (b != 0) {
        text.append(Integer.toHexString(b));
      }
    }
    return text.isEmpty() ? "0" : text.toString();
  }
}
