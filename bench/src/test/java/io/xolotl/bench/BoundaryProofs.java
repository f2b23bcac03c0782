package io.xolotl.bench;

import io.xolotl.xol.elf.CodeFile;
import java.nio.file.Path;
import java.util.Locale;

/**
 * How many functions of a file could not be proved to be functions if it were stripped of its symbols.
 *
 * <p>Run: {@code bench/jmh io.xolotl.bench.BoundaryProofs FILE...}, with files that have symbols.
 */
public final class BoundaryProofs {

  private BoundaryProofs() {}

  /** Prints a line for each file. */
  public static void main(String[] files) {
    System.out.println("functions   without proof   file");
    for (String file : files) {
      CodeFile.Unproven unproven = CodeFile.open(Path.of(file)).withoutProofIfStripped();
      int count = unproven.addresses().size();
      System.out.printf(Locale.ROOT, "%9d %7d %6.2f %%   %s%n", unproven.functions(), count,
          100.0 * count / unproven.functions(), file);
    }
  }
}
