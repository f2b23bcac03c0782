package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeException.Reason;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What counts as a proof that an instruction starts, and that it suffices for real files. */
class InstructionStartsTest {

  @TempDir
  private Path directory;

  /** A file of which boundaries are asked for by symbols, also if it is looked at without them. */
  private record Asked(ElfSource source, SymbolTable symbols, InstructionStarts starts) {

    static Asked of(Path file) {
      ElfSource source = Objects.requireNonNull(
          ElfSource.OnDisk.at(file.toString(), null, file.toAbsolutePath().toString()));
      ElfImage image = ElfImage.of(source);
      SymbolTable symbols = image.symbols(source, null);
      return new Asked(source, symbols, symbols.starts(image, source));
    }

    long address(String symbol) {
      return symbols.named(symbol).getFirst().address();
    }

    Boundary at(String symbol, int offset) {
      return starts.boundary(source, address(symbol) + offset, 0x5000_0000_0000L, null);
    }
  }

  private Asked boundaries() throws Exception {
    return Asked.of(program());
  }

  private Path program() throws Exception {
    return Toolchain.gcc(directory, "boundaries", List.of("boundaries.s"));
  }

  @ParameterizedTest
  @CsvSource({"walker, 0", "walker, 7", "again, 0", "next_value, 0", "walked, 0", "locked, 0", "locked, 7",
      "past_lock, -1", "leaver, 0", "leaver, 1", "stopper, 0", "stopped, 0", "early, 0",
      "early, 5", "main, 0"})
  void functionsAndWhereCodeLeadsAreProved(String symbol, int offset) throws Exception {
    assertThat(boundaries().at(symbol, offset)).isInstanceOf(Boundary.Proven.class);
  }

  @ParameterizedTest
  @CsvSource({"values, 0", "values, 1", "values, 7", "unreached, 0", "unreached, 2", "left, 0", "left, 3",
      "constants, 0", "constants, 5", "early, -1"})
  void dataAndWhatNothingLeadsToAreNot(String symbol, int offset) throws Exception {
    assertThat(boundaries().at(symbol, offset)).isInstanceOf(Boundary.Unproven.class);
  }

  @Test
  void theInstructionAroundIsTold() throws Exception {
    Asked asked = boundaries();
    assertThat(asked.at("again", 1)).isInstanceOfSatisfying(Boundary.Inside.class,
        inside -> {
          assertThat(inside.instruction().mnemonic()).isEqualTo("add");
          assertThat(inside.instruction().address()).isEqualTo(0x5000_0000_0000L + asked.address("again"));
        });
  }

  /** A breakpoint would be executed with the lock prefix in front of it, which no CPU does. */
  @Test
  void whatStartsInTheMiddleOfAnotherIsTold() throws Exception {
    Asked asked = boundaries();
    assertThat(asked.starts().isStart(asked.source(), asked.address("past_lock"))).isTrue();
    assertThat(asked.at("past_lock", 0)).isInstanceOfSatisfying(Boundary.Inside.class, inside -> {
      assertThat(inside.start()).isTrue();
      assertThat(inside.instruction().isLocked()).isTrue();
    });
    assertThat(asked.at("past_lock", 1)).isInstanceOfSatisfying(Boundary.Inside.class,
        inside -> assertThat(inside.start()).isFalse());
  }

  /** The order of questions decides what is walked through when, and must decide nothing else. */
  @Test
  void theOrderOfQuestionsDoesNotMatter() throws Exception {
    Path program = program();
    Asked forwards = Asked.of(program);
    Asked backwards = Asked.of(program);
    long start = forwards.address("walker");
    int size = (int) (forwards.address("main") + 100 - start);
    var first = new StringBuilder();
    var second = new StringBuilder();
    for (int i = 0; i < size; i++) {
      first.append(kind(forwards, start + i));
      second.insert(0, kind(backwards, start + size - 1 - i));
    }
    assertThat(first).hasToString(second.toString()).contains("p", "s", "i", "u");
  }

  private static char kind(Asked asked, long address) {
    return switch (asked.starts().boundary(asked.source(), address, 0, null)) {
      case Boundary.Proven _ -> 'p';
      case Boundary.Inside inside -> inside.start() ? 's' : 'i';
      case Boundary.Unproven _ -> 'u';
    };
  }

  /** A call that a process was seen to make proves one address, and nothing for those who ask later. */
  @Test
  void aCallProvesItsTargetOnly() throws Exception {
    Asked asked = boundaries();
    long address = asked.address("unreached");
    assertThat(asked.starts().boundary(asked.source(), address, 0, address))
        .isInstanceOf(Boundary.Proven.class);
    assertThat(asked.starts().boundary(asked.source(), address + 2, 0, address))
        .isInstanceOf(Boundary.Unproven.class);
    assertThat(asked.starts().boundary(asked.source(), address, 0, null))
        .isInstanceOf(Boundary.Unproven.class);
  }

  /** At most one function in a hundred; {@code docs/locations.md} has the figures. */
  @ParameterizedTest
  @ValueSource(strings = {"/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
      "STATIC", "JVM"})
  void nearlyAllFunctionsAreProvedWithoutSymbols(String name) {
    Path file = switch (name) {
      case "JVM" -> Path.of(System.getProperty("java.home"), "lib", "server", "libjvm.so");
      case "STATIC" -> FixtureProgram.STATIC.path();
      default -> Path.of(name);
    };
    assumeTrue(Files.exists(file), "this system has no " + name);
    CodeFile.Unproven unproven = CodeFile.open(file).withoutProofIfStripped();
    assertThat(unproven.functions()).isGreaterThan(1_000);
    assertThat(unproven.addresses()).hasSizeLessThanOrEqualTo(unproven.functions() / 100);
  }

  /** All that a pattern takes, in a running program that adds up its own data. */
  @Test
  void probesOnAllFunctionsChangeNothing() throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program().toString()))) {
      target.send("g");
      String sum = target.awaitLine("sum ");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        List<String> names = process.functions("boundaries").stream().flatMap(f -> f.names().stream())
            .toList();
        assertThat(names).contains("walker", "again", "next_value", "walked", "past_lock", "main")
            .doesNotContain("values", "unreached", "left", "constants");
        Map<String, Probe> probes = names.stream().filter(name -> !name.startsWith("_"))
            .collect(Collectors.toMap(name -> name,
                name -> process.register(ProbeRequest.at("boundaries", name, hit -> {}))));
        target.send("g");
        assertThat(target.awaitLine("sum ")).isEqualTo(sum);
        assertThat(probes.get("walker").hits()).isEqualTo(25);
        assertThat(probes.get("next_value").hits()).isEqualTo(100);
        assertThat(probes.get("walked").hits()).isEqualTo(25);
        // Those that come past the prefix, and none of the twelve that execute it.
        assertThat(probes.get("past_lock").hits()).isEqualTo(13);
        refused(process, Reason.BOUNDARY_UNVERIFIED, ProbeRequest.at("boundaries", "values", hit -> {}));
        refused(process, Reason.BOUNDARY_UNVERIFIED, ProbeRequest.at("boundaries", "unreached", hit -> {}));
        // What is in the middle of an instruction the caller may know better, too.
        ProbeRequest middle = ProbeRequest.at(process.functions("boundaries").stream()
            .filter(f -> f.names().contains("stopper")).findFirst().orElseThrow().address() + 1, hit -> {});
        refused(process, Reason.NOT_AN_INSTRUCTION_BOUNDARY, middle);
        probes.get("stopper").unregister();
        process.register(middle.trustingBoundary()).unregister();
        assertThat(
            process.register(ProbeRequest.at("boundaries", "unreached", hit -> {}).trustingBoundary())
                .isActive())
            .isTrue();
        target.send("g");
        assertThat(target.awaitLine("sum ")).isEqualTo(sum);
      }
    }
  }

  /** In whatever order probes at both come and go, nobody executes a breakpoint behind a lock prefix. */
  @ParameterizedTest
  @CsvSource({"true, true", "true, false", "false, true", "false, false"})
  void bothStartsOfALockedInstructionAreProbed(boolean prefixFirst, boolean prefixLeavesFirst)
      throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program().toString()))) {
      target.send("g");
      String sum = target.awaitLine("sum ");
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        long behind = process.functions("boundaries").stream().filter(f -> f.names().contains("past_lock"))
            .findFirst().orElseThrow().address();
        byte[] before = process.memory().readText(behind - 1, 7);
        for (int round = 0; round < 20; round++) {
          Probe[] probes = new Probe[2];
          for (int i : prefixFirst ? new int[]{0, 1} : new int[]{1, 0}) {
            probes[i] = process.register(ProbeRequest.at(behind - 1 + i, hit -> {}));
          }
          assertThat(process.memory().readText(behind - 1, 2)).containsOnly(0xcc);
          target.send("g");
          assertThat(target.awaitLine("sum ")).isEqualTo(sum);
          assertThat(probes[0].hits()).isEqualTo(12);
          assertThat(probes[1].hits()).isEqualTo(13);
          probes[prefixLeavesFirst ? 0 : 1].unregister();
          target.send("g");
          assertThat(target.awaitLine("sum ")).isEqualTo(sum);
          probes[prefixLeavesFirst ? 1 : 0].unregister();
          assertThat(process.memory().readText(behind - 1, 7)).isEqualTo(before);
        }
        // What the session ends goes in the same order.
        process.register(ProbeRequest.at(behind, hit -> {}));
      }
      target.send("g");
      assertThat(target.awaitLine("sum ")).isEqualTo(sum);
    }
  }

  private static void refused(ProbedProcess process, Reason reason, ProbeRequest request) {
    assertThatThrownBy(() -> process.register(request)).isInstanceOfSatisfying(ProbeException.class,
        e -> assertThat(e.reason()).as(e.getMessage()).isEqualTo(reason));
  }

  /** The file proves nothing of code that the process has put over it. */
  @Test
  void codeThatTheProcessHasChangedIsNotProved() throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program().toString()));
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      long walked = process.functions("boundaries").stream().filter(f -> f.names().contains("walked"))
          .findFirst().orElseThrow().address();
      process.memory().writeText(walked, new byte[]{(byte) 0x90});
      refused(process, Reason.BOUNDARY_UNVERIFIED, ProbeRequest.at(walked, hit -> {}));
      process.register(ProbeRequest.at(walked, hit -> {}).trustingBoundary());
    }
  }

  /** Whoever is interrupted knows nothing, and whoever asks next learns everything all the same. */
  @Test
  void interruptionsLoseNothing() throws Exception {
    Path file = FixtureProgram.STATIC.path();
    Asked whole = Asked.of(file);
    Asked interrupted = Asked.of(file);
    List<Long> starts = whole.symbols().functions().stream().map(SymbolTable.Code::start).toList();
    var ends = new AtomicInteger();
    Thread reader = new Thread(() -> {
      for (long start : starts) {
        // In the middle of a function nothing is known without a walk.
        for (long address = start; address < start + 24;) {
          try {
            long asked = address;
            Reading.interruptibly(
                () -> interrupted.starts().boundary(interrupted.source(), asked, 0, null));
            address++;
          } catch (SymbolException e) {
            assertThat(e.reason()).isEqualTo(SymbolException.Reason.INTERRUPTED);
            assertThat(Thread.interrupted()).isTrue();
            ends.incrementAndGet();
          }
        }
      }
    });
    reader.start();
    // At all moments, but not so often that nothing is read at all.
    var random = new SplittableRandom(15);
    for (int i = 0; i < 300 && reader.isAlive(); i++) {
      long next = System.nanoTime() + random.nextLong(3_000_000);
      while (System.nanoTime() < next) {
        Thread.onSpinWait();
      }
      reader.interrupt();
    }
    reader.join();
    assertThat(ends.get()).isPositive();
    for (long start : starts) {
      for (int i = 0; i < 24; i++) {
        assertThat(kind(interrupted, start + i)).isEqualTo(kind(whole, start + i));
      }
    }
  }

  /** The bytes that the proof is about. */
  @Test
  void theProofHasTheBytesOfTheFile() throws Exception {
    Asked asked = boundaries();
    byte[] code = ((Boundary.Proven) asked.at("walked", 0)).code();
    assertThat(code).startsWith(0xc3, 0x31, 0xc0, 0xc3);
  }
}
