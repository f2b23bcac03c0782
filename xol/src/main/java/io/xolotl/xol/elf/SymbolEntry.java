package io.xolotl.xol.elf;

import org.jspecify.annotations.Nullable;

/**
 * A symbol that a file defines.
 *
 * @param name without version
 * @param version the version it was given, or {@code null}
 * @param defaultVersion whether references without a version mean this one ({@code @@})
 * @param address in the file's address space; for {@link Kind#INDIRECT} that of the resolver
 * @param size in bytes, 0 if unknown
 */
record SymbolEntry(String name, @Nullable String version, boolean defaultVersion, Kind kind, Binding binding,
    long address, long size) implements Comparable<SymbolEntry> {

  enum Kind {
    FUNCTION,
    /** {@code STT_NOTYPE} among code: perhaps a function in assembly, perhaps any other label. */
    LABEL,
    /** {@code STT_GNU_IFUNC}: its address is a function that returns the address of the function. */
    INDIRECT, DATA,
    /** {@code STT_OBJECT} among code. */
    TABLE,
    /** {@code SHN_ABS}: a number that does not move with the module. */
    ABSOLUTE
  }

  /** In the order in which names are preferred. */
  enum Binding {
    GLOBAL, WEAK, LOCAL
  }

  /** By address, and at one address the name to show first; see {@link FunctionRange}. */
  @Override
  public int compareTo(SymbolEntry other) {
    // A chain of comparators reads better, but is most of the cost of the first look-up of a fresh JVM.
    int order = Long.compareUnsigned(address, other.address);
    if (order == 0) {
      order = binding.compareTo(other.binding);
    }
    if (order == 0) {
      order = Boolean.compare(isOldVersion(), other.isOldVersion());
    }
    if (order == 0) {
      order = Integer.compare(leadingUnderscores(), other.leadingUnderscores());
    }
    if (order == 0) {
      order = Integer.compare(name.length(), other.name.length());
    }
    if (order == 0) {
      order = fullName().compareTo(other.fullName());
    }
    return order != 0 ? order : kind.compareTo(other.kind);
  }

  /** Whether it can be named as a function. */
  boolean isFunction() {
    return kind == Kind.LABEL || isTyped();
  }

  /** Whether whoever wrote the symbol says that it is a function. */
  boolean isTyped() {
    return kind == Kind.FUNCTION || kind == Kind.INDIRECT;
  }

  /** Whether only a reference that names the version means this symbol. */
  boolean isOldVersion() {
    return version != null && !defaultVersion;
  }

  /** The shortest name that stands for this symbol. */
  String displayName() {
    return isOldVersion() ? name + '@' + version : name;
  }

  /** The name with its version, as {@code readelf} writes it. */
  String fullName() {
    return version == null ? name : name + (defaultVersion ? "@@" : "@") + version;
  }

  private int leadingUnderscores() {
    int count = 0;
    while (count < name.length() && name.charAt(count) == '_') {
      count++;
    }
    return count;
  }
}
