package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.DLOPENER;
import static io.xolotl.fixtures.FixtureProgram.PERCPU;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.RestartableSequence;
import io.xolotl.xol.ProbeException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Counters of CPUs by restartable sequences are exact whatever is probed, and whatever tells of the
 * sequences.
 */
class RestartableSequencesTest {

  private static final List<String> INSIDE = List.of("start", "shift", "load", "add", "nop", "commit");
  private static final List<String> AROUND = List.of("store", "end", "return", "abort", "aborted");

  /** What the error listener is told. */
  private final Map<Probe, Throwable> ended = new ConcurrentHashMap<>();
  private final ProbingOptions options = ProbingOptions.defaults().withErrorListener(ended::put);

  private static void assumeSequences(TargetProcess target) {
    assumeTrue(target.awaitLine("area ").equals("area yes"),
        "this kernel or C library has no restartable sequences");
  }

  private static ProbeRequest at(long address) {
    return ProbeRequest.at(address, hit -> {}).trustingBoundary();
  }

  private static ProbeRequest forced(ProbeRequest request, @Nullable Technique technique) {
    return technique == null ? request : request.with(technique);
  }

  private static ProbeException refused(ProbedProcess process, ProbeRequest request) {
    var caught = new ProbeException[1];
    assertThatThrownBy(() -> process.register(request)).isInstanceOfSatisfying(ProbeException.class,
        e -> caught[0] = e);
    assertThat(caught[0].getMessage()).doesNotContain("\n");
    return caught[0];
  }

  private static void assertRefusedInside(ProbedProcess process, TargetProcess target, String function) {
    for (String label : INSIDE) {
      long address = target.address(function + label);
      for (Technique technique : Technique.values()) {
        assertThat(refused(process, at(address).with(technique)).reason()).as(label)
            .isEqualTo(Reason.RESTARTABLE_SEQUENCE);
      }
      // Within the instruction, too.
      assertThat(refused(process, at(address + 1)).reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE);
      assertThat(refused(process, at(address))).hasMessageContaining(hex(target, function + "start"))
          .hasMessageContaining(hex(target, function + "end"))
          .hasMessageContaining(hex(target, function + "abort"))
          .hasMessageContaining("of percpu");
    }
  }

  private static String hex(TargetProcess target, String label) {
    return "0x" + Long.toHexString(target.address(label));
  }

  private static long count(TargetProcess target) {
    target.send("count");
    return Long.parseLong(target.awaitLine("count ").substring("count ".length()));
  }

  /** Threads have incremented a number of times more. */
  private static void awaitIncrements(TargetProcess target, long more) {
    long before = count(target);
    Await.until(() -> count(target) >= before + more, () -> "counters are incremented");
  }

  private static void assertExact(TargetProcess target) {
    target.send("stop");
    target.awaitLine("calls ");
    target.awaitOk();
  }

  @Test
  void everyInstructionIsRefused(@RunsFixture(value = PERCPU, args = {"4", "file"}) TargetProcess target)
      throws Exception {
    assumeSequences(target);
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("percpu_start")));
    target.send("go");
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertRefusedInside(process, target, "percpu_");
      // All or none: those that may be probed are not, if one is refused.
      assertThatThrownBy(() -> process.register(
          List.of(at(target.address("percpu_end")), at(target.address("percpu_commit")))))
          .isInstanceOfSatisfying(ProbeException.class,
              e -> assertThat(e.reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE));
      assertThat(process.probes()).isEmpty();
    }
    assertExact(target);
    before.assertNoTrace();
  }

  @ParameterizedTest
  @NullSource
  @EnumSource(Technique.class)
  void everythingElseMayBeProbed(@Nullable Technique technique,
      @RunsFixture(value = PERCPU, args = {"4", "file"}) TargetProcess target) {
    assumeSequences(target);
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      List<Probe> probes = new ArrayList<>();
      List<String> missing = new ArrayList<>();
      for (String label : AROUND) {
        try {
          probes.add(process.register(forced(at(target.address("percpu_" + label)), technique)));
        } catch (ProbeException e) {
          assertThat(e.reason()).as(e.getMessage()).isEqualTo(Reason.TECHNIQUE_NOT_APPLICABLE);
          missing.add(label);
        }
      }
      // The sequence begins behind the store: a thread that stops there is aborted, and never gets further.
      assertThat(missing.contains("store")).isEqualTo(technique != null && technique != Technique.BOOSTED);
      target.send("go");
      awaitIncrements(target, 2_000);
      assertThat(probes).as("%s", missing).isNotEmpty();
      for (String label : List.of("store", "end", "return")) {
        probes.stream().filter(probe -> probe.address() == target.address("percpu_" + label))
            .forEach(probe -> assertThat(probe.hits()).as(label).isGreaterThanOrEqualTo(2_000));
      }
      assertExact(target);
    }
    target.send("go");
    awaitIncrements(target, 2_000);
    assertExact(target);
    assertThat(ended).isEmpty();
  }

  /** Threads run in their sequences nearly always, and are preempted there. */
  @ParameterizedTest
  @NullSource
  @EnumSource(value = Technique.class, names = {"TRAPPED", "SINGLE_STEPPED"})
  void theAbortHandlerMayBeProbed(@Nullable Technique technique,
      @RunsFixture(value = PERCPU, args = {"8", "file"}) TargetProcess target) {
    assumeSequences(target);
    target.send("go");
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      Probe abort = process.register(forced(at(target.address("percpu_abort")), technique));
      Await.until(() -> abort.hits() >= 20, () -> "sequences are aborted");
    }
    assertExact(target);
  }

  /** Nothing tells of the sequences before the first thread is in one. */
  @ParameterizedTest
  @ValueSource(strings = {"start", "shift", "load", "add", "nop", "commit"})
  void aSequenceThatOnlyItsThreadsKnow(String label,
      @RunsFixture(value = PERCPU, args = {"4", "stack"}) TargetProcess target) {
    assumeSequences(target);
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      Probe inside = process.register(at(target.address("made_" + label)));
      Probe behind = process.register(at(target.address("made_end")));
      target.send("go");
      Await.until(() -> ended.containsKey(inside), () -> "the probe ends");
      assertThat(ended.get(inside)).isInstanceOfSatisfying(ProbeException.class, e -> {
        assertThat(e.reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE);
        assertThat(e.address()).hasValue(inside.address());
      });
      assertThat(inside.isActive()).isFalse();
      awaitIncrements(target, 2_000);
      // From now on it is known.
      assertRefusedInside(process, target, "made_");
      assertThat(behind.hits()).isGreaterThanOrEqualTo(2_000);
      assertThat(behind.isActive()).isTrue();
      assertExact(target);
    }
    assertThat(ended.keySet()).hasSize(1);
  }

  /** Threads that are in their sequences when they are attached to. */
  @Test
  void aSequenceThatOnlyItsThreadsKnowWhileTheyRun(
      @RunsFixture(value = PERCPU, args = {"4", "stack"}) TargetProcess target) {
    assumeSequences(target);
    target.send("go");
    awaitIncrements(target, 1);
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      for (String label : INSIDE) {
        try {
          Probe probe = process.register(at(target.address("made_" + label)));
          Await.until(() -> ended.containsKey(probe), () -> "the probe ends");
        } catch (ProbeException e) {
          assertThat(e.reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE);
        }
      }
      assertRefusedInside(process, target, "made_");
      awaitIncrements(target, 2_000);
      assertExact(target);
    }
    assertThat(ended.values())
        .allSatisfy(e -> assertThat(((ProbeException) e).reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE));
  }

  /** The sequence behind is not known when the store in front of it is probed. */
  @ParameterizedTest
  @EnumSource(value = Technique.class, names = {"TRAPPED", "SINGLE_STEPPED"})
  void aStoreThatWouldNeverGetIntoItsSequence(Technique technique,
      @RunsFixture(value = PERCPU, args = {"4", "stack"}) TargetProcess target) {
    assumeSequences(target);
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      Probe store = process.register(at(target.address("made_store")).with(technique));
      target.send("go");
      Await.until(() -> ended.containsKey(store), () -> "the probe ends");
      assertThat(((ProbeException) ended.get(store)).reason()).isEqualTo(Reason.TECHNIQUE_NOT_APPLICABLE);
      awaitIncrements(target, 2_000);
      assertExact(target);
    }
  }

  /** A copy of the program that is altered, in a process of its own. */
  private static TargetProcess altered(Path directory, Consumer<ByteBuffer> alteration)
      throws Exception {
    byte[] file = Files.readAllBytes(PERCPU.path());
    alteration.accept(ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN));
    Path copy = Files.write(directory.resolve("percpu"), file);
    assertThat(copy.toFile().setExecutable(true)).isTrue();
    TargetProcess target = TargetProcess.start(List.of(copy.toString(), "4", "file"));
    target.awaitLine("ready ");
    return target;
  }

  private static long address(TargetProcess target, String label) throws Exception {
    return PERCPU.symbol(label) + MemoryMapping.of(target.pid()).stream()
        .filter(mapping -> mapping.path().endsWith("/percpu")).findFirst().orElseThrow().start();
  }

  /** What strip leaves, and sstrip does not: e_shoff, e_shnum and e_shstrndx. */
  private static void withoutSectionHeaders(ByteBuffer file) {
    file.putLong(40, 0).putShort(60, (short) 0).putShort(62, (short) 0);
  }

  @Test
  void aFileWithoutSectionHeaders(@TempDir Path directory) throws Exception {
    try (TargetProcess target = altered(directory, RestartableSequencesTest::withoutSectionHeaders)) {
      assumeSequences(target);
      try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
        for (String label : INSIDE) {
          assertThat(refused(process, at(address(target, "percpu_" + label))).reason())
              .isEqualTo(Reason.RESTARTABLE_SEQUENCE);
        }
        Probe end = process.register(at(address(target, "percpu_end")));
        target.send("go");
        awaitIncrements(target, 2_000);
        assertThat(end.hits()).isGreaterThanOrEqualTo(2_000);
        assertExact(target);
      }
      target.send("exit");
    }
    assertThat(ended).isEmpty();
  }

  /** The section header of __rseq_cs, by the address of its record. */
  private static int header(ByteBuffer file) {
    int at = (int) file.getLong(40);
    while (file.getLong(at + 16) != PERCPU.symbol("percpu_record")) {
      at += 64;
    }
    return at;
  }

  /**
   * Whatever the header says; the record is found by its abort handler, or the probe ends at its first hit.
   */
  @ParameterizedTest
  @ValueSource(longs = {0, 1, 31, 1L << 31, 1L << 60, -1, Long.MIN_VALUE})
  void hostileSectionHeaders(long size, @TempDir Path directory) throws Exception {
    try (TargetProcess target = altered(directory, file -> file.putLong(header(file) + 32, size)
        .putLong(header(file) + 16, size % 2 == 0 ? size : PERCPU.symbol("percpu_record")))) {
      assumeSequences(target);
      assertNoHarm(target);
      target.send("exit");
    }
  }

  private void assertNoHarm(TargetProcess target) throws Exception {
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      process.register(at(address(target, "percpu_end")));
      Probe inside = null;
      try {
        inside = process.register(at(address(target, "percpu_commit")));
      } catch (ProbeException e) {
        assertThat(e.reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE);
      }
      target.send("go");
      awaitIncrements(target, 1_000);
      if (inside != null) {
        assertThat(((ProbeException) ended.get(inside)).reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE);
      }
      assertExact(target);
    }
  }

  /** In the process's memory, which the program can write. */
  @Test
  void hostileRecords(@RunsFixture(value = PERCPU, args = {"4", "stack"}) TargetProcess target)
      throws Exception {
    assumeSequences(target);
    long record = target.address("percpu_record");
    long start = target.address("percpu_start");
    long abort = target.address("percpu_abort");
    long stack = MemoryMapping.of(target.pid()).stream().filter(m -> m.path().equals("[stack]")).findFirst()
        .orElseThrow().start();
    long[][] hostile = {
        // Version and flags, start, length, abort handler.
        {0, start, -1, abort}, {0, start, Long.MAX_VALUE, abort}, {0, start, 1L << 40, abort},
        {0, start, 0, abort}, {1, start, 12, abort}, {0, stack, 64, abort}, {0, 0, 1L << 46, -1},
        {0, start, 64, start + 3}, {0, -1, Long.MIN_VALUE, abort}, {-1, -1, -1, -1},
        {0, start - (1 << 20), 1 << 21, 16}};
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      for (long[] fields : hostile) {
        ByteBuffer bytes = ByteBuffer.allocate(RestartableSequence.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (long field : fields) {
          bytes.putLong(field);
        }
        process.memory().write(record, bytes.array());
        // None of these makes a sequence of what is none.
        process.register(at(target.address("made_end"))).unregister();
        process.register(at(start)).unregister();
        process.register(ProbeRequest.at("percpu", "main", hit -> {})).unregister();
      }
    }
    target.send("go");
    awaitIncrements(target, 1_000);
    assertExact(target);
  }

  /** The record is not relocated yet, and the C library is not there to register areas. */
  @Test
  void aProgramBeforeItsFirstInstruction() {
    // It ends when it is let go, since there is nothing to read.
    var none = new LaunchRequest.Stream.File(Path.of("/dev/null"), true);
    LaunchRequest request = LaunchRequest.of(List.of(PERCPU.path().toString())).withStreams(none, none, none);
    try (ProbedProcess process = ProbedProcess.launch(request, options,
        ProbedProcess.LaunchStop.FIRST_INSTRUCTION)) {
      for (String label : INSIDE) {
        assertThat(
            refused(process, ProbeRequest.at("percpu", "percpu_" + label, hit -> {}).trustingBoundary())
                .reason())
            .as(label).isEqualTo(Reason.RESTARTABLE_SEQUENCE);
      }
      process.register(ProbeRequest.at("percpu", "percpu_end", hit -> {}));
    }
  }

  /** The dynamic linker tells of a library before it relocates it. */
  @Test
  void aLibraryThatIsLoadedLater(@RunsFixture(DLOPENER) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      Probe inside = process
          .register(ProbeRequest.at("libplug.so", "percpu_commit", hit -> {}).whenItIsMapped());
      Probe behind = process
          .register(ProbeRequest.at("libplug.so", "percpu_end", hit -> {}).whenItIsMapped());
      target.send("load");
      target.awaitOk();
      assertThat(((ProbeException) ended.get(inside)).reason()).isEqualTo(Reason.RESTARTABLE_SEQUENCE);
      assertThat(behind.isActive()).isTrue();
      assertThat(refused(process, ProbeRequest.at("libplug.so", "percpu_commit", hit -> {})).reason())
          .isEqualTo(Reason.RESTARTABLE_SEQUENCE);
    }
    target.send("go");
    target.awaitLine("plug 61");
  }
}
