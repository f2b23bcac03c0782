package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.assertj.core.api.Assertions;

/** Whatever is wrong with a file: a result or a {@link SymbolException}, and soon. */
class MalformedElfProperties {
  private static final Set<Reason> PERMITTED = EnumSet.of(Reason.ELF_MALFORMED, Reason.ELF_UNSUPPORTED,
      Reason.SYMBOL_NOT_FOUND, Reason.SYMBOL_AMBIGUOUS, Reason.NOT_A_FUNCTION);
  /** Of CPU time, which a busy machine does not change: a hundred times what the largest file takes. */
  private static final long LIMIT_NANOS = 30_000_000_000L;

  private static byte[] library = {};
  private static byte[] debug = {};
  /** Of 32-bit code, without a C library; empty where the linker makes none. */
  private static byte[] library32 = {};

  @BeforeContainer
  static void build() throws IOException, InterruptedException {
    Path directory = Files.createTempDirectory("xolotl-malformed");
    Path file = Toolchain.library(directory);
    library = Files.readAllBytes(file);
    Toolchain.run("objcopy", "--only-keep-debug", file.toString(), file + ".debug");
    debug = Files.readAllBytes(Path.of(file + ".debug"));
    try {
      library32 = Files
          .readAllBytes(Toolchain.library(Files.createDirectory(directory.resolve("i386")), "-m32",
              "-nostdlib"));
    } catch (IOException e) {
      assertThat(e).hasMessageContaining("gcc");
    }
    try (var files = Files.walk(directory)) {
      for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
    assertThat(parse(library, debug)).isTrue();
    assertThat(library32.length == 0 || parse(library32, library32)).isTrue();
  }

  @AfterContainer
  static void forget() {
    library = new byte[0];
    debug = new byte[0];
    library32 = new byte[0];
  }

  /** Does everything that is done with a file and its debug file; returns true if it succeeded. */
  private static boolean parse(byte[] bytes, byte[] debugBytes) {
    long start = cpuNanos();
    try {
      var source = new ElfSource.InMemory("fixture", bytes);
      var debugSource = new ElfSource.InMemory("fixture debug file", debugBytes);
      ElfImage image = ElfImage.of(source);
      SymbolTable symbols = image.symbols(source,
          new DebugFiles.DebugFile(debugSource, ElfImage.of(debugSource)));
      image.relocations(source);
      assertThat(image.abortHandlers(source)).isEmpty();
      Section data = image.loadedSection(".data");
      if (data != null) {
        ElfImage.guarded(source, reader -> SequenceSigns.relativeWords(image, reader, data));
      }
      ElfImage.guarded(source, reader -> UnwindTable.ranges(image, reader));
      InstructionStarts starts = symbols.starts(image, source);
      for (SymbolTable.Code function : symbols.functions()) {
        assertThat(function.names()).isNotEmpty();
        symbols.functionContaining(function.start());
        symbols.functionContaining(function.end());
        starts.body(source, function.start(), 0);
        starts.isLandingPad(source, function.start());
      }
      starts.nonlocalExits(source);
      symbols.find(new LoadedModule("fixture", "/fixture", 0, 0, 0), "fixture", "plain");
      return true;
    } catch (SymbolException e) {
      assertThat(e.getMessage()).contains("fixture").doesNotContain("\n");
      assertThat(e.reason()).isIn(PERMITTED);
      return false;
    } finally {
      assertThat(cpuNanos() - start).as("nanoseconds of CPU time").isLessThan(LIMIT_NANOS);
    }
  }

  /** The CPU time of this thread. */
  private static long cpuNanos() {
    try {
      // Documentation/scheduler/sched-stats.rst: time on a CPU, time waiting for one, timeslices.
      return Long.parseLong(Files.readString(Path.of("/proc/thread-self/schedstat")).split(" ")[0]);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Property(tries = 1500)
  void anyPrefixIsRefused(@ForAll @IntRange(min = 0, max = 1 << 20) int length) {
    byte[] prefix = Arrays.copyOf(library, length % library.length);
    SymbolException refused = Assertions.catchThrowableOfType(SymbolException.class,
        () -> ElfImage.of(new ElfSource.InMemory("fixture", prefix)));
    assertThat(refused.reason()).isEqualTo(Reason.ELF_MALFORMED);
  }

  @Property(tries = 4000)
  void anyDamagedByte(@ForAll @IntRange(min = 0, max = 1 << 20) int at, @ForAll byte value) {
    byte[] damaged = library.clone();
    damaged[at % damaged.length] = value;
    parse(damaged, debug);
  }

  /** Where there are no section headers, the tables of the dynamic linker are believed as little. */
  @Property(tries = 4000)
  void anyDamagedByteWithoutSectionHeaders(@ForAll @IntRange(min = 0, max = 1 << 20) int at,
      @ForAll byte value) {
    byte[] damaged = library.clone();
    ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putLong(40, 0).putInt(60, 0);
    // Half of them where the headers and tables are.
    damaged[at % (at % 2 == 0 ? damaged.length : 4096)] = value;
    parse(damaged, debug);
  }

  @Property(tries = 4000)
  void anyDamagedField(@ForAll("tableOffsets") int at, @ForAll @From("fields") long value) {
    byte[] damaged = library.clone();
    ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putLong(Math.min(at, damaged.length - 8), value);
    parse(damaged, debug);
  }

  @Property(tries = 4000)
  void anyDamagedFieldOfA32BitFile(@ForAll @IntRange(min = 0, max = 1 << 20) int at,
      @ForAll boolean inHeaders,
      @ForAll @From("fields") long value) {
    if (library32.length != 0) {
      byte[] damaged = library32.clone();
      // Headers are at both ends.
      int place = inHeaders ? at % 3000 : at % damaged.length;
      place = (at & 1) == 0 ? place : damaged.length - place;
      ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN)
          .putInt(Math.clamp(place & ~3, 0, damaged.length - 4), (int) value);
      parse(damaged, library32);
    }
  }

  @Property(tries = 500)
  void anyDamagedDebugFile(@ForAll @IntRange(min = 0, max = 1 << 20) int at,
      @ForAll @From("fields") long value) {
    byte[] damaged = debug.clone();
    ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putLong(
        Math.min(at % damaged.length, damaged.length - 8),
        value);
    parse(library, damaged);
  }

  @Property(tries = 500)
  void garbageBehindTheMagicNumber(@ForAll List<Byte> garbage) {
    byte[] bytes = Arrays.copyOf(library, 64 + garbage.size());
    for (int i = 0; i < garbage.size(); i++) {
      bytes[20 + i] = garbage.get(i);
    }
    parse(bytes, debug);
  }

  /** Where numbers are that the parsers trust: file header, program headers, section headers. */
  @Provide
  Arbitrary<Integer> tableOffsets() {
    int sectionHeaders = (int) ByteBuffer.wrap(library).order(ByteOrder.LITTLE_ENDIAN).getLong(40);
    return Arbitraries.oneOf(Arbitraries.integers().between(0, 63),
        Arbitraries.integers().between(64, 64 + 11 * 56),
        Arbitraries.integers().between(sectionHeaders / 4, (library.length - 8) / 4).map(word -> 4 * word),
        Arbitraries.integers().between(0, sectionHeaders));
  }

  /** Numbers that overflow something, and numbers that do not. */
  @Provide
  Arbitrary<Long> fields() {
    return Arbitraries.oneOf(
        Arbitraries.of(0L, -1L, 1L, 0x7fff_ffffL, 0x8000_0000L, 0xffff_ffffL, Long.MAX_VALUE, Long.MIN_VALUE,
            0xffL << 32, (long) library.length, 0x1000_0000L),
        Arbitraries.longs().between(0, library.length), Arbitraries.longs());
  }

  @Example
  void otherMachinesAreUnsupported() {
    byte[] other = library.clone();
    other[18] = (byte) 0xb7;
    SymbolException refused = Assertions.catchThrowableOfType(SymbolException.class,
        () -> ElfImage.of(new ElfSource.InMemory("fixture", other)));
    assertThat(refused.reason()).isEqualTo(Reason.ELF_UNSUPPORTED);
  }
}
