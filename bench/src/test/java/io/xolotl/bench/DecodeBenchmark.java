package io.xolotl.bench;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.CodeCursor;
import io.xolotl.decoder.CpuVendor;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Outcome;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.ScratchRegister;
import io.xolotl.fixtures.FixtureProgram;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time to decode and to classify one instruction, over the instructions of a compiled program, beside Zydis
 * in C and called through FFM.
 *
 * <p>Run: {@code bench/jmh DecodeBenchmark -prof gc} after {@code mvn verify}, which stages Zydis. The
 * control is {@link #copyBytes}, which only touches the bytes.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class DecodeBenchmark {

  /** Instructions a call: more than branch predictors learn by heart. */
  static final int INSTRUCTIONS = 4_096;
  /** How often the program in C does them for a command, so that the command costs nothing. */
  static final int ROUNDS = 64;

  private byte[] code = {};
  private final int[] offsets = new int[INSTRUCTIONS];
  private final int[] lengths = new int[INSTRUCTIONS];
  private List<ScratchRegister> copies = List.of();
  private Decoder decoder = Decoder.forThisCpu();
  private @Nullable CodeCursor cursor;
  private @Nullable CodeCursor zydisCursor;
  private @Nullable ZydisLoop zydisLoop;

  /** Finds the instructions, and starts what they are compared with. */
  @Setup
  public void start() throws IOException {
    Path library = ZydisLoop.library();
    findInstructions();
    zydisCursor = decoder.with(Decoder.Implementation.ZYDIS).cursor(code, 0);
    zydisLoop = ZydisLoop.start(library, FixtureProgram.STATIC.path(), offset(), INSTRUCTIONS,
        decoder.vendor() == CpuVendor.AMD);
  }

  /** Ends the program in C. */
  @TearDown
  public void stop() {
    loop().close();
  }

  /** The program in C, once it was started. */
  ZydisLoop loop() {
    return Objects.requireNonNull(zydisLoop);
  }

  void findInstructions() throws IOException {
    decoder = Decoder.forThisCpu();
    code = Files.readAllBytes(FixtureProgram.STATIC.path());
    cursor = decoder.cursor(code, 0);
    int offset = offset();
    for (int i = 0; i < INSTRUCTIONS;) {
      Decoding decoding = decoder.decode(code, offset, Math.min(15, code.length - offset), offset);
      if (decoding instanceof DecodedInstruction) {
        offsets[i] = offset;
        lengths[i] = decoding.length();
        i++;
      }
      offset += decoding.length();
    }
    // As many as of all others, so that they are found in as many places of memory.
    copies = Stream.generate(() -> relative(decoder)).flatMap(List::stream).limit(INSTRUCTIONS).toList();
  }

  private List<ScratchRegister> relative(Decoder decoder) {
    return Arrays.stream(offsets)
        .mapToObj(offset -> decoder.classify(code, offset, 15, offset, RelocationPolicy.FULL))
        .flatMap(
            classification -> classification instanceof Classification.Accept(Effect.RipRelative relative)
                ? relative.alternative().stream()
                : Stream.empty())
        .toList();
  }

  /** The control. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long copyBytes() {
    long sum = 0;
    for (int i = 0; i < INSTRUCTIONS; i++) {
      for (int j = 0; j < lengths[i]; j++) {
        sum += code[offsets[i] + j];
      }
    }
    return sum;
  }

  /** Decodes; the result is the sum of the lengths. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long decode() {
    long sum = 0;
    for (int offset : offsets) {
      sum += decoder.decode(code, offset, 15, offset).length();
    }
    return sum;
  }

  /** Decodes with a cursor; the result is the sum of the lengths. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long cursor() {
    CodeCursor own = Objects.requireNonNull(cursor);
    long sum = 0;
    for (int offset : offsets) {
      own.moveTo(offset);
      sum += own.length();
    }
    return sum;
  }

  /** Zydis in C decodes, without operands; the result is the sum of the lengths. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS * ROUNDS)
  public long zydisInC() {
    return loop().run(ZydisLoop.Work.DECODE, ROUNDS).lengths();
  }

  /** Zydis called through FFM decodes, without operands; the result is the sum of the lengths. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long zydisThroughFfm() {
    CodeCursor own = Objects.requireNonNull(zydisCursor);
    long sum = 0;
    for (int offset : offsets) {
      own.moveTo(offset);
      sum += own.length();
    }
    return sum;
  }

  /** Decodes and classifies with a cursor; the result is the number of instructions that are not refused. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long cursorOutcome() {
    CodeCursor own = Objects.requireNonNull(cursor);
    long sum = 0;
    for (int offset : offsets) {
      own.moveTo(offset);
      sum += own.outcome(RelocationPolicy.FULL) == Outcome.REFUSE ? 0 : 1;
    }
    return sum;
  }

  /** Decodes and asks for the operands; the result is their number. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long decodeOperands() {
    long sum = 0;
    for (int offset : offsets) {
      if (decoder.decode(code, offset, 15, offset) instanceof DecodedInstruction instruction) {
        sum += instruction.operands().size();
      }
    }
    return sum;
  }

  /** Decodes and classifies; the result is the number of instructions that are not refused. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long classify() {
    long sum = 0;
    for (int offset : offsets) {
      Classification classification = decoder.classify(code, offset, 15, offset, RelocationPolicy.FULL);
      sum += classification instanceof Classification.Refuse ? 0 : 1;
    }
    return sum;
  }

  /**
   * Rewrites what addresses memory relative to rip to address it by a register; the result is the number of
   * bytes.
   */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public long relocate() {
    long sum = 0;
    for (ScratchRegister copy : copies) {
      sum += copy.bytes().length;
    }
    return sum;
  }

  /** Where the first instruction is in the file. */
  static int offset() {
    return (int) (FixtureProgram.STATIC.symbol("work") & 0xfffff);
  }

  /** For the test: what {@link #decode} must give. */
  long totalLength() {
    return Arrays.stream(lengths).sum();
  }
}
