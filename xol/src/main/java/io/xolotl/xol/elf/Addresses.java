package io.xolotl.xol.elf;

import java.util.Arrays;

/** A stack of addresses. Used by one thread at a time. */
final class Addresses {
  private long[] addresses = new long[16];
  private int size;

  void add(long address) {
    if (size == addresses.length) {
      addresses = Arrays.copyOf(addresses, size * 2);
    }
    addresses[size++] = address;
  }

  void addAll(Addresses others) {
    for (int i = 0; i < others.size; i++) {
      add(others.addresses[i]);
    }
  }

  long removeLast() {
    return addresses[--size];
  }

  int size() {
    return size;
  }

  /** All, in ascending order. */
  long[] sorted() {
    long[] all = Arrays.copyOf(addresses, size);
    Arrays.sort(all);
    return all;
  }

  boolean isEmpty() {
    return size == 0;
  }

  Addresses in(Section section) {
    var result = new Addresses();
    for (int i = 0; i < size; i++) {
      if (section.contains(addresses[i])) {
        result.add(addresses[i]);
      }
    }
    return result;
  }
}
