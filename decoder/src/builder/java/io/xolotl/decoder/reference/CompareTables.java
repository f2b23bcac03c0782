package io.xolotl.decoder.reference;

import java.util.concurrent.TimeUnit;

/**
 * Compares the tables with Zydis: at every cell of both modes, and on random strings in all their variants,
 * for as long as one likes. Exit status 1 if anything was different.
 */
final class CompareTables {

  private CompareTables() {}

  /** Arguments: how many strings for a variant, and a seed. */
  public static void main(String[] arguments) {
    PinnedZydis.whyNot().ifPresent(why -> {
      System.err.println("The tables can be compared with one version of Zydis only: " + why);
      System.exit(1);
    });
    long count = Long.parseLong(arguments[0].replace("_", ""));
    long seed = arguments.length > 1 ? Long.parseLong(arguments[1]) : 1;
    boolean different = false;
    for (boolean mode64 : new boolean[]{true, false}) {
      var comparison = new Comparison(mode64, false, false, false);
      var walk = new Walk(mode64, comparison, seed, 1);
      walk.run();
      System.out.printf("%d-bit, %,d cells: %,d equal, %,d different%n", mode64 ? 64 : 32, walk.cells(),
          comparison.equal(), comparison.different());
      comparison.differences().forEach((what, where) -> System.out.println("  " + what + "  " + where));
      different |= comparison.different() > 0;
    }
    for (int variant = 0; variant < 8; variant++) {
      boolean mode64 = (variant & 4) == 0;
      boolean amd = (variant & 1) != 0;
      boolean mpx = (variant & 2) != 0;
      long start = System.nanoTime();
      Comparison comparison = random(mode64, amd, mpx, true, count, seed + variant);
      System.out.printf("%d-bit%s%s: %,d equal, %,d refused by both, %,d different; %d s%n", mode64 ? 64 : 32,
          amd ? ", AMD" : "", mpx ? ", MPX" : "", comparison.equal(), comparison.refused(),
          comparison.different(), TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start));
      comparison.differences().forEach((what, where) -> System.out.println("  " + what + "  " + where));
      different |= comparison.different() > 0;
    }
    System.exit(different ? 1 : 0);
  }

  /** Compares random strings. */
  static Comparison random(boolean mode64, boolean amd, boolean mpx, boolean withText, long count,
      long seed) {
    var comparison = new Comparison(mode64, amd, mpx, withText);
    var random = new RandomCode(seed);
    byte[] code = new byte[RandomCode.SIZE];
    for (long i = 0; i < count; i++) {
      comparison.compare(code, 0, random.fill(code));
    }
    return comparison;
  }
}
