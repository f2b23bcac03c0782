package io.xolotl.xol;

final class Placeholder {
  private Placeholder() {}

  static int f(@org.jspecify.annotations.Nullable String s) {
    return s == null ? 0 : s.length();
  }
}
