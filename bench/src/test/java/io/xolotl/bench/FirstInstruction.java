package io.xolotl.bench;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How long a JVM that has just started takes to its first instruction, text included, and to its end.
 *
 * <p>Run: {@code bench/jmh io.xolotl.bench.FirstInstruction}. Each figure is the median of eleven JVMs; those
 * of both implementations start in turn.
 */
public final class FirstInstruction {

  private static final int ROUNDS = 11;

  /**
   * A start.
   *
   * @param millis from {@code main} to the text
   * @param wholeMillis from the start of the process to its end
   */
  public record Start(double millis, double wholeMillis) {}

  /** What the child runs. */
  static final class Child {

    private Child() {}

    public static void main(String[] arguments) {
      long start = System.nanoTime();
      var first = (DecodedInstruction) Decoder.forThisCpu().decode(new byte[]{0x48, (byte) 0x89, (byte) 0xe5},
          0);
      String text = first.text();
      System.out.println((System.nanoTime() - start) + " " + text);
    }
  }

  private FirstInstruction() {}

  /** Prints the medians. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    ZydisLoop.library();
    System.out.println("          first text    whole JVM");
    for (String implementation : List.of("tables", "zydis")) {
      Start median = median(implementation, ROUNDS);
      System.out.printf(Locale.ROOT, "%-7s %9.1f ms %9.1f ms%n", implementation, median.millis(),
          median.wholeMillis());
    }
  }

  /** The jar or directory that a class is in. */
  private static String place(Class<?> type) {
    return Path.of(URI.create(type.getProtectionDomain().getCodeSource().getLocation().toString()))
        .toString();
  }

  static Start median(String implementation, int rounds) throws IOException, InterruptedException {
    var first = new ArrayList<Double>();
    var whole = new ArrayList<Double>();
    for (int i = 0; i < rounds; i++) {
      long begin = System.nanoTime();
      var command = List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
          "-XX:+UseSerialGC", "-Xshare:auto", "--enable-native-access=io.xolotl.decoder",
          "-Dxolotl.decoder=" + implementation,
          "-Dxolotl.zydis.library=" + System.getProperty("xolotl.zydis.library", ""), "--module-path",
          place(Decoder.class), "--add-modules", "io.xolotl.decoder", "-cp", place(Child.class),
          Child.class.getName());
      Process child = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      String line = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (child.waitFor() != 0 || !line.contains("mov rbp, rsp")) {
        throw new IllegalStateException("the JVM printed: " + line);
      }
      whole.add((System.nanoTime() - begin) / 1e6);
      first.add(Long.parseLong(line.substring(0, line.indexOf(' '))) / 1e6);
    }
    first.sort(null);
    whole.sort(null);
    return new Start(first.get(rounds / 2), whole.get(rounds / 2));
  }
}
