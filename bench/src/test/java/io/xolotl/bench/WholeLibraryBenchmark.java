package io.xolotl.bench;

import io.xolotl.decoder.CodeCursor;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Outcome;
import io.xolotl.decoder.RelocationPolicy;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time to go through all code of the JVM's own libjvm, four million instructions.
 *
 * <p>Run: {@code bench/jmh WholeLibraryBenchmark}. The control is {@link #bytes}, which only touches the
 * bytes.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class WholeLibraryBenchmark {

  private static final int LOAD = 1;
  private static final int EXECUTABLE = 1;
  private static final int HEADER_SIZE = 56;

  private byte[] code = {};
  private Decoder decoder = Decoder.forThisCpu();
  private @Nullable CodeCursor cursor;

  /** Reads its executable segment (ELF-64, "Program Header"). */
  @Setup
  public void readLibrary() throws IOException {
    byte[] file = Files.readAllBytes(Path.of(System.getProperty("java.home"), "lib", "server", "libjvm.so"));
    ByteBuffer elf = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int at = (int) elf.getLong(32);
    while (elf.getInt(at) != LOAD || (elf.getInt(at + 4) & EXECUTABLE) == 0) {
      at += HEADER_SIZE;
    }
    int start = (int) elf.getLong(at + 8);
    code = Arrays.copyOfRange(file, start, start + (int) elf.getLong(at + 32));
    cursor = decoder.cursor(code, 0);
  }

  int size() {
    return code.length;
  }

  /** The control. */
  @Benchmark
  public long bytes() {
    long sum = 0;
    for (byte b : code) {
      sum += b;
    }
    return sum;
  }

  /** Goes from instruction to instruction; the result is the sum of their lengths. */
  @Benchmark
  public long lengths() {
    CodeCursor own = Objects.requireNonNull(cursor);
    int at = 0;
    while (at < code.length) {
      own.moveTo(at);
      at += own.length();
    }
    return at;
  }

  /** Classifies each; the result is the number of those that are not refused. */
  @Benchmark
  public long outcomes() {
    CodeCursor own = Objects.requireNonNull(cursor);
    long sum = 0;
    for (int at = 0; at < code.length; at += own.length()) {
      own.moveTo(at);
      sum += own.outcome(RelocationPolicy.FULL) == Outcome.REFUSE ? 0 : 1;
    }
    return sum;
  }

  /** Makes an object of each; the result is the number of instructions. */
  @Benchmark
  public long instructions() {
    return decoder.stream(code, 0).filter(DecodedInstruction.class::isInstance).count();
  }
}
