package io.xolotl.xol.elf;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/** The names somebody may have meant. */
final class NearestNames {
  private static final int WANTED = 3;
  /** Longer names are compared by their beginnings, which bounds the work for one name. */
  private static final int COMPARED_LENGTH = 80;
  /** Cells of distance tables: a fraction of a second, after which the names seen so far must do. */
  private static final long BUDGET = 100_000_000;

  private static final Comparator<Candidate> NEAREST_FIRST = Comparator.comparingInt(Candidate::distance)
      .thenComparing(Comparator.comparingInt(Candidate::commonPrefix).reversed())
      .thenComparing(Candidate::name);

  private record Candidate(String name, int distance, int commonPrefix) {}

  private NearestNames() {}

  /**
   * The three names with the least edits from the one asked for, nearest first; common beginnings break ties.
   */
  static List<String> of(String asked, Collection<String> names) {
    String wanted = shorten(asked);
    var best = new ArrayList<Candidate>(WANTED + 1);
    long budget = BUDGET;
    for (String name : names) {
      if (budget < 0) {
        break;
      }
      String shortened = shorten(name);
      int limit = best.size() < WANTED ? COMPARED_LENGTH : best.getLast().distance();
      if (name.isEmpty() || Math.abs(wanted.length() - shortened.length()) > limit) {
        continue;
      }
      budget -= (long) wanted.length() * shortened.length();
      int distance = distance(wanted, shortened);
      if (distance <= limit) {
        best.add(new Candidate(name, distance, commonPrefix(asked, name)));
        best.sort(NEAREST_FIRST);
        if (best.size() > WANTED) {
          best.removeLast();
        }
      }
    }
    return best.stream().map(Candidate::name).toList();
  }

  /**
   * Edits (insert, delete, replace, swap neighbours) between two names: the optimal string alignment
   * distance.
   */
  static int distance(String a, String b) {
    var beforePrevious = new int[b.length() + 1];
    var previous = new int[b.length() + 1];
    var current = new int[b.length() + 1];
    Arrays.setAll(previous, j -> j);
    for (int i = 1; i <= a.length(); i++) {
      current[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        boolean same = a.charAt(i - 1) == b.charAt(j - 1);
        int edits = Math.min(previous[j - 1] + (same ? 0 : 1), 1 + Math.min(previous[j], current[j - 1]));
        if (i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1)) {
          edits = Math.min(edits, beforePrevious[j - 2] + 1);
        }
        current[j] = edits;
      }
      int[] reused = beforePrevious;
      beforePrevious = previous;
      previous = current;
      current = reused;
    }
    return previous[b.length()];
  }

  private static int commonPrefix(String a, String b) {
    int length = Math.min(a.length(), b.length());
    int i = 0;
    while (i < length && a.charAt(i) == b.charAt(i)) {
      i++;
    }
    return i;
  }

  private static String shorten(String name) {
    return name.length() <= COMPARED_LENGTH ? name : name.substring(0, COMPARED_LENGTH);
  }
}
