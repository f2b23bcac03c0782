package io.xolotl.xol.elf;

import io.xolotl.ptrace.MemoryMapping;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Finds code that a program has moved out of the mappings of its file. */
final class MovedCode {

  /** Pieces of memory between code and its file; a process may have tens of thousands, beside each other. */
  private static final int FARTHEST_NEIGHBOUR = 64;

  private MovedCode() {}

  /**
   * Code in other memory right behind or in front of mappings of a file, each with the file: some programs
   * copy their code to memory with huge pages at the same address, and what is there is that of the module
   * still.
   */
  static Map<MemoryMapping, String> find(List<MemoryMapping> current) {
    var moved = new HashMap<MemoryMapping, String>();
    for (int i = 0; i < current.size(); i++) {
      MemoryMapping mapping = current.get(i);
      if (mapping.isExecutable() && !mapping.path().startsWith("[v")) {
        String neighbour = neighbour(current, i, -1);
        neighbour = neighbour != null ? neighbour : neighbour(current, i, 1);
        if (neighbour != null
            && !(SymbolResolver.isOfFile(mapping) && neighbour.equals(SymbolResolver.key(mapping)))) {
          moved.put(mapping, neighbour);
        }
      }
    }
    return moved;
  }

  /** The file of the nearest mapping on one side that is not code and has no gap in between, or null. */
  private static @Nullable String neighbour(List<MemoryMapping> current, int from, int step) {
    int end = from + step * (FARTHEST_NEIGHBOUR + 1);
    for (int i = from + step; i >= 0 && i < current.size() && i != end; i += step) {
      MemoryMapping lower = current.get(Math.min(i, i - step));
      MemoryMapping upper = current.get(Math.max(i, i - step));
      if (lower.end() != upper.start()) {
        return null;
      }
      MemoryMapping mapping = current.get(i);
      if (SymbolResolver.isOfFile(mapping)) {
        return SymbolResolver.key(mapping);
      }
      if (!mapping.isExecutable()) {
        return null;
      }
    }
    return null;
  }
}
