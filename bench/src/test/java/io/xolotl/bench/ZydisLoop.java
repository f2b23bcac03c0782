package io.xolotl.bench;

import io.xolotl.lab.TargetProcess;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * A program in C that decodes instructions with Zydis, over and over: what its functions cost where nothing
 * is in between.
 *
 * <p>Instances may be used by any thread, one at a time.
 */
public final class ZydisLoop implements AutoCloseable {

  private static final String PROPERTY = "xolotl.zydis.library";
  private static final String STAGED = "decoder/target/zydis/io/xolotl/zydis/linux-x86-64/libZydis.so";

  /** What it does with each instruction. */
  public enum Work {
    /** {@code ZydisDecoderDecodeInstruction}. */
    DECODE("decode"),
    /** And then {@code ZydisDecoderDecodeOperands}. */
    OPERANDS("operands");

    private final String command;

    Work(String command) {
      this.command = command;
    }
  }

  /**
   * A run.
   *
   * @param nanos how long it took, in time on a CPU
   * @param lengths the sum of the lengths of all decoded instructions
   */
  public record Run(long nanos, long lengths) {}

  private final TargetProcess process;

  private ZydisLoop(TargetProcess process) {
    this.process = process;
  }

  /**
   * Starts the program.
   *
   * @param library a libZydis of version 4
   * @param file where the instructions are
   * @param offset of the first one
   * @param count how many; bytes that are no instruction are passed over one by one
   * @param amd whether the CPU is to be taken for one of AMD
   * @throws AssertionError if it cannot do that
   */
  public static ZydisLoop start(Path library, Path file, long offset, int count, boolean amd) {
    TargetProcess process = TargetProcess.start(List.of(program().toString(), library.toString(),
        file.toString(), Long.toString(offset), Integer.toString(count), amd ? "1" : "0"));
    boolean ready = false;
    try {
      process.awaitLine("ready ");
      ready = true;
    } finally {
      if (!ready) {
        process.close();
      }
    }
    return new ZydisLoop(process);
  }

  /**
   * Decodes all instructions.
   *
   * @param work what to do with each
   * @param rounds how often
   */
  public Run run(Work work, int rounds) {
    process.send(work.command + " " + rounds);
    long nanos = number("elapsed ");
    long lengths = number("sum ");
    process.awaitOk();
    return new Run(nanos, lengths);
  }

  private long number(String name) {
    return Long.parseLong(process.awaitLine(name).substring(name.length()));
  }

  /** Ends the program. */
  @Override
  public void close() {
    process.close();
  }

  /**
   * The library that the build of the decoder has staged, or {@code -Dxolotl.zydis.library=PATH}, which is
   * set for all of this JVM.
   *
   * @throws IllegalStateException if there is none
   */
  static Path library() {
    String given = System.getProperty(PROPERTY);
    Path library = Stream.of(given == null ? "" : given, STAGED, "../" + STAGED).map(Path::of)
        .filter(Files::isRegularFile).findFirst()
        .orElseThrow(() -> new IllegalStateException("there is no Zydis: mvn verify stages it where it can"))
        .toAbsolutePath();
    System.setProperty(PROPERTY, library.toString());
    return library;
  }

  /** Returns true if there is one. */
  static boolean isStaged() {
    return Files.isRegularFile(Path.of("..", STAGED));
  }

  /** Built with the tests. */
  private static Path program() {
    return Path.of(URI.create(String.valueOf(ZydisLoop.class.getResource("zydis"))));
  }
}
