package io.xolotl.lab.oracle;

/** The bits of rflags by name. */
final class Flags {

  private static final String[] NAMES = {"CF", null, "PF", null, "AF", null, "ZF", "SF", "TF", "IF", "DF",
      "OF", null,
      null, "NT", null, "RF", "VM", "AC", "VIF", "VIP", "ID"};

  private Flags() {}

  static String text(long flags) {
    var text = new StringBuilder();
    for (int i = 0; i < 64; i++) {
      if ((flags >>> i & 1) != 0 && (i >= NAMES.length || NAMES[i] != null)) {
        text.append(text.isEmpty() ? "" : "|").append(i < NAMES.length ? NAMES[i] : "bit" + i);
      }
    }
    return text.isEmpty() ? "0" : text.toString();
  }
}
