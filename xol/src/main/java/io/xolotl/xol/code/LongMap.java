package io.xolotl.xol.code;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A map from addresses, with open addressing: looking an address up allocates nothing and touches one or two
 * cache lines. Not thread-safe.
 */
public final class LongMap<V> {

  private long[] keys = new long[16];
  private @Nullable Object[] values = new @Nullable Object[16];
  private int size;

  /** Addresses differ in their low bits; the multiplication (Fibonacci hashing) spreads them. */
  private int slot(long key) {
    int mask = keys.length - 1;
    int i = (int) (key * 0x9e3779b97f4a7c15L >>> 40) & mask;
    while (values[i] != null && keys[i] != key) {
      i = i + 1 & mask;
    }
    return i;
  }

  @SuppressWarnings("unchecked")
  @Nullable
  public V get(long key) {
    return (V) values[slot(key)];
  }

  public void put(long key, V value) {
    if (size * 2 >= keys.length) {
      grow();
    }
    int i = slot(key);
    if (values[i] == null) {
      size++;
    }
    keys[i] = key;
    values[i] = value;
  }

  public void remove(long key) {
    int i = slot(key);
    if (values[i] == null) {
      return;
    }
    values[i] = null;
    size--;
    // Entries behind that were pushed past this slot move up, so that no look-up ends at the gap before them.
    int mask = keys.length - 1;
    for (int j = i + 1 & mask; values[j] != null; j = j + 1 & mask) {
      Object value = values[j];
      values[j] = null;
      int home = slot(keys[j]);
      keys[home] = keys[j];
      values[home] = value;
    }
  }

  private void grow() {
    long[] oldKeys = keys;
    @Nullable
    Object[] oldValues = values;
    keys = new long[oldKeys.length * 2];
    values = new @Nullable Object[oldKeys.length * 2];
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldValues[i] != null) {
        int home = slot(oldKeys[i]);
        keys[home] = oldKeys[i];
        values[home] = oldValues[i];
      }
    }
  }

  public int size() {
    return size;
  }

  /** A snapshot, in no order. */
  @SuppressWarnings("unchecked")
  public List<V> values() {
    var all = new ArrayList<V>(size);
    for (Object value : values) {
      if (value != null) {
        all.add((V) value);
      }
    }
    return all;
  }
}
