package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.I386;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Refusal;
import io.xolotl.decoder.Technique;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.MemoryMapping;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** 32-bit programs under a 64-bit kernel. */
class I386Test {

  private static final List<String> WORK = List.of("work_push", "work_mov", "work_pic", "work_here",
      "work_lea",
      "work_load", "work_add", "work_nop", "work_test", "work_jcc", "work_add_mem", "work_call", "work_inc",
      "work_pop",
      "work_ret", "work_helper", "work_xor", "work_helper_ret");

  private static ProbeRequest at(TargetProcess target, String label) {
    return ProbeRequest.at(target.address(label), hit -> {}).trustingBoundary();
  }

  /** Registers a probe, unless a technique is forced that does not apply there. */
  private static Optional<Probe> register(ProbedProcess process, ProbeRequest request,
      @Nullable Technique forced) {
    try {
      return Optional.of(process.register(forced == null ? request : request.with(forced)));
    } catch (ProbeException e) {
      if (forced == null || e.reason() != ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE) {
        throw e;
      }
      return Optional.empty();
    }
  }

  @ParameterizedTest
  @CsvSource({"work_push, INTERRUPT, EMULATED", "work_push, INTERRUPT, TRAPPED",
      "work_push, TASK, SINGLE_STEPPED",
      "work_pic, INTERRUPT, EMULATED", "work_pic, INTERRUPT, SINGLE_STEPPED", "work_load, INTERRUPT, BOOSTED",
      "work_here, TASK, BOOSTED", "work_load, INTERRUPT, TRAPPED",
      "work_load, TASK, TRAPPED", "work_inc, INTERRUPT, SINGLE_STEPPED", "work_ret, TASK, EMULATED"})
  void everyCallOfEveryThreadIsOneHit(String label, HandlerContext context, Technique technique,
      @RunsFixture(value = I386, args = {"calls", "8", "5000"}) TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address(label)));
    var handled = new AtomicLong();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe probe = process.register(ProbeRequest.at(target.address(label), hit -> handled.incrementAndGet())
          .inContext(context).with(technique));
      assertThat(probe.technique()).isEqualTo(technique);
      target.send("go");
      target.awaitOk();
      assertThat(probe.hits()).isEqualTo(40_000);
      probe.unregister();
      assertThat(handled).hasValue(40_000);
    }
    before.assertNoTrace();
  }

  /** What no engine can displace. */
  private static final Map<String, Refusal> REFUSED = Map.of("site_mov_ss", Refusal.INTERRUPT_SHADOW,
      "site_pop_ss",
      Refusal.INTERRUPT_SHADOW, "site_into", Refusal.SOFTWARE_INTERRUPT, "site_far_call", Refusal.FAR_BRANCH,
      "site_far_ret", Refusal.FAR_BRANCH, "site_jmp16", Refusal.OPERAND_SIZE_BRANCH, "site_hlt",
      Refusal.PRIVILEGED,
      "site_sysenter", Refusal.SYSENTER, "site_syscall", Refusal.SYSENTER, "site_int3_own",
      Refusal.BREAKPOINT_EXISTS);

  @ParameterizedTest
  @CsvSource(value = {"-, INTERRUPT", "-, TASK", "EMULATED, INTERRUPT", "TRAPPED, INTERRUPT",
      "SINGLE_STEPPED, INTERRUPT"}, nullValues = "-")
  void instructionsBehaveTheSameWhenProbed(Technique forced, HandlerContext context,
      @RunsFixture(value = I386, args = {"insns", "20"}) TargetProcess target)
      throws Exception {
    List<String> sites = I386.symbols().keySet().stream().filter(s -> s.startsWith("site_")).sorted()
        .toList();
    Aftermath before = Aftermath.expectedOf(target.pid(), sites.stream().map(target::address).toList());
    Map<String, Probe> probes = new TreeMap<>();
    Map<String, Refusal> refused = new TreeMap<>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (String site : sites) {
        try {
          register(process, at(target, site).inContext(context), forced)
              .ifPresent(probe -> probes.put(site, probe));
        } catch (ProbeException e) {
          refused.put(site, e.refusal().orElseThrow(() -> e));
        }
      }
      target.send("go");
      target.awaitOk();
      probes.keySet().removeAll(List.of("site_clone", "site_vfork"));
      assertThat(probes).hasSizeGreaterThan(30);
      probes.forEach((site, probe) -> assertThat(probe.hits()).as(site).isGreaterThanOrEqualTo(20));
    }
    assertThat(refused).isEqualTo(new TreeMap<>(REFUSED));
    before.assertNoTrace();
    target.send("go");
    target.awaitOk();
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void closingWhileThreadsAreInSlots(HandlerContext context,
      @RunsFixture(value = I386, args = {"forever", "8"}) TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), WORK.stream().map(target::address).toList());
    target.send("go");
    for (int i = 0; i < 30; i++) {
      Technique technique = Technique.values()[i % Technique.values().length];
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe last = process.register(at(target, "work_ret").inContext(context));
        for (String label : WORK) {
          if (!label.equals("work_ret")) {
            register(process, at(target, label).inContext(context), technique);
          }
        }
        assertThat(process.mappings()).filteredOn(I386Test::isBlock)
            .isNotEmpty().allMatch(block -> block.end() <= 1L << 32);
        long enough = ThreadLocalRandom.current().nextLong(50);
        Await.until(() -> last.hits() >= enough, () -> "hits " + last.hits());
      }
      before.assertNoTrace();
    }
    target.send("stop");
    target.awaitOk();
  }

  private static boolean isBlock(MemoryMapping mapping) {
    return mapping.permissions().equals("r-xp") && mapping.path().isEmpty();
  }

  /** Handlers return by both system calls for it, which are displaced too. */
  @ParameterizedTest
  @CsvSource(value = {"-, INTERRUPT", "TRAPPED, INTERRUPT", "SINGLE_STEPPED, INTERRUPT",
      "SINGLE_STEPPED, TASK"}, nullValues = "-")
  void signalsLoseNothing(Technique forced, HandlerContext context,
      @RunsFixture(value = I386, args = {"signals", "80", "40"}) TargetProcess target)
      throws Exception {
    List<String> labels = new ArrayList<>(WORK);
    labels.addAll(List.of("site_sigreturn", "site_rt_sigreturn", "site_system_call"));
    Aftermath before = Aftermath.expectedOf(target.pid(), labels.stream().map(target::address).toList());
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Map<String, Probe> probes = new TreeMap<>();
      for (String label : labels) {
        register(process, at(target, label).inContext(context), label.startsWith("site_") ? null : forced)
            .ifPresent(probe -> probes.put(label, probe));
      }
      target.send("go");
      target.awaitOk();
      long handled = target.output().stream().filter(line -> line.startsWith("handled "))
          .mapToLong(line -> Long.parseLong(line.substring("handled ".length()))).sum();
      assertThat(probes.get("site_sigreturn").hits() + probes.get("site_rt_sigreturn").hits())
          .isEqualTo(handled);
    }
    before.assertNoTrace();
  }

  /**
   * Attaching, making system calls in its threads, and detaching interrupt them, and none of them notices.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void blockedSystemCallsAreNotDisturbed(boolean displaced,
      @RunsFixture(value = I386, args = "sysblock") TargetProcess target)
      throws Exception {
    for (int i = 0; i < 20; i++) {
      ProcFs.threads(target.pid()).forEach(tid -> ProcFs.awaitState(tid, "S"));
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        process.register(at(target, "work_load"));
        if (displaced) {
          Probe probe = process.register(at(target, "site_system_call"));
          // nanosleep is called again and again.
          Await.until(() -> probe.hits() > 2, () -> "hits " + probe.hits());
        }
      }
    }
    target.send("release");
    target.awaitOk();
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
  }

  /** A system call that is blocked while its copy is executed, and is stopped and continued there. */
  @Test
  void aDisplacedSystemCallIsStoppedAndContinued(
      @RunsFixture(value = I386, args = {"calls", "2", "10"}) TargetProcess target) throws Exception {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Probe calls = process.register(at(target, "site_system_call"));
      for (int i = 0; i < 10; i++) {
        long before = calls.hits();
        target.send("go");
        target.awaitOk();
        assertThat(calls.hits()).isGreaterThan(before);
        target.signal("STOP");
        target.signal("CONT");
      }
    }
    target.send("go");
    target.awaitOk();
    Aftermath.expectedOf(target.pid(), List.of()).assertNoTrace();
  }

  /** The system calls that create threads and processes are displaced, so that these begin in the slot. */
  @ParameterizedTest
  @ValueSource(strings = {"fork", "vfork", "clone_vm"})
  void childrenOfEveryKind(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(I386, kind)) {
      List<String> labels = List.of("work_push", "work_load", "work_ret", "site_system_call", "site_vfork",
          "site_clone");
      Aftermath before = Aftermath.expectedOf(target.pid(), labels.stream().map(target::address).toList());
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        labels.forEach(label -> process.register(at(target, label)));
        for (int i = 0; i < 30; i++) {
          target.send("go");
          target.awaitOk();
        }
      }
      before.assertNoTrace();
      target.send("go");
      target.awaitOk();
    }
  }

  @Test
  void threadsBeginInADisplacedCallAndShareAllProbes(@TempDir Path directory) throws Exception {
    Assumptions.assumeTrue(I386.isAvailable(), "this machine cannot build or run 32-bit programs");
    Path input = directory.resolve("input");
    Path output = directory.resolve("output");
    Files.writeString(input, "go\nstop\n");
    LaunchRequest request = LaunchRequest.of(List.of(I386.path().toString(), "forever", "8")).withStreams(
        new LaunchRequest.Stream.File(input, false), new LaunchRequest.Stream.File(output, false),
        new LaunchRequest.Stream.Inherited());
    try (ProbedProcess process = ProbedProcess.launch(request)) {
      Probe clone = process
          .register(ProbeRequest.at(I386.symbol("site_clone"), hit -> {}).trustingBoundary());
      Probe begun = process
          .register(ProbeRequest.at(I386.symbol("new_thread"), hit -> {}).trustingBoundary());
      process.start();
      assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .isEqualTo(new ProcessEnd.Exited(0));
      assertThat(clone.hits()).isEqualTo(8);
      assertThat(begun.hits()).isEqualTo(8);
    }
    assertThat(Files.readAllLines(output)).last().isEqualTo("ok");
  }

  @Test
  void executingAnotherProgramUnregisters(@RunsFixture(value = I386, args = "exec") TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (int i = 0; i < 5; i++) {
        List<Probe> probes = process.register(List.of(ProbeRequest.at("i386", "work", hit -> {}),
            at(target, "site_system_call")));
        target.send("go");
        target.awaitOk();
        target.awaitLine("ready ");
        assertThat(probes).noneMatch(Probe::isActive).allMatch(probe -> probe.hits() > 0);
      }
    }
  }

  @Test
  void argumentsAndResults(@RunsFixture(value = I386, args = {"calls", "8", "500"}) TargetProcess target)
      throws Exception {
    Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address("work")));
    var wrong = new ConcurrentLinkedQueue<String>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      ReturnProbe probe = process.register(ReturnProbeRequest.of(new ProbeLocation.Symbol("i386", "work", 0),
          hit -> (int) hit.argument(0), (hit, x) -> {
            if ((int) hit.registers().rax() != expected(process, x)) {
              wrong.add(x + " " + hit.registers());
            }
          }));
      target.send("go");
      target.awaitOk();
      assertThat(probe.calls()).isEqualTo(4_000);
      assertThat(probe.returns()).isEqualTo(4_000);
      assertThat(probe.missed()).isZero();
      assertThat(wrong).isEmpty();
      probe.unregister();

      // What a handler changes holds: the function is called with another argument, or not at all.
      Probe changing = process.register(ProbeRequest.at("i386", "work", hit -> {
        int x = (int) hit.argument(0);
        if (hit.number() % 2 == 0) {
          hit.returnFromFunction(expected(process, x));
        } else {
          hit.argument(0, x ^ 1);
          assertThat(hit.argument(0)).isEqualTo(Integer.toUnsignedLong(x ^ 1));
          hit.argument(0, x);
        }
      }));
      target.send("go");
      target.awaitOk();
      assertThat(changing.hits()).isEqualTo(4_000);
    }
    before.assertNoTrace();
  }

  /** It pops an argument with its return address, and sometimes calls itself. */
  @Test
  void returnsThatPopArguments(@RunsFixture(value = I386, args = {"pairs", "800"}) TargetProcess target) {
    var wrong = new ConcurrentLinkedQueue<String>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      ReturnProbe probe = process
          .register(ReturnProbeRequest.of(new ProbeLocation.Symbol("i386", "make_pair", 0),
              hit -> List.of(hit.argument(0), hit.argument(1)), (hit, arguments) -> {
                // The function returns the address that it was given, where the structure is.
                long pair = hit.registers().rax();
                if (pair != arguments.get(0) || hit.memory().readInt(pair) != arguments.get(1)) {
                  wrong.add(arguments + " " + hit.registers());
                }
              }));
      for (int round = 1; round <= 3; round++) {
        target.send("go");
        target.awaitOk();
        // Of 800 numbers, 99 are multiples of 8 and not 0.
        assertThat(probe.calls()).isEqualTo(899L * round);
        assertThat(probe.returns()).isEqualTo(probe.calls());
      }
    }
    assertThat(wrong).isEmpty();
  }

  /** work(x), from its table in the process. */
  private static int expected(ProbedProcess process, int x) {
    long table = I386.symbol("work_table");
    int y = process.memory().readInt(table) + x + ((x & 1) == 0 ? process.memory().readInt(table + 4) : 0);
    return Integer.rotateLeft(y, 7) ^ x;
  }

  /**
   * The same bytes are another instruction there: the probe ends, its user is told why, and the program goes
   * on.
   */
  @ParameterizedTest
  @CsvSource({"I386, code_64_add", "I386, code_64_one", "MIXED, code_32"})
  void codeOfTheOtherKind(FixtureProgram program, String label) throws Exception {
    String[] arguments = program == I386 ? new String[]{"mixed", "200"} : new String[]{"200"};
    try (TargetProcess target = TargetProcess.start(program, arguments)) {
      Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address(label)));
      var errors = new ConcurrentLinkedQueue<Throwable>();
      ProbingOptions options = ProbingOptions.defaults()
          .withErrorListener((probe, thrown) -> errors.add(thrown));
      try (ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
        Probe probe = process.register(at(target, label));
        target.send("go");
        target.awaitOk();
        assertThat(probe.isActive()).isFalse();
        assertThat(probe.hits()).isZero();
        assertThat(errors).singleElement().isInstanceOfSatisfying(ProbeException.class,
            e -> assertThat(e.reason()).isEqualTo(ProbeException.Reason.OTHER_CODE));
      }
      before.assertNoTrace();
      target.send("go");
      target.awaitOk();
    }
  }

  /**
   * Probes around the change of code, and sessions that end, with a system call in the thread, while it is in
   * either.
   */
  @ParameterizedTest
  @CsvSource({"I386, twice_and_one, TRAPPED", "MIXED, in_32, EMULATED"})
  void sessionsWhileAProgramChangesItsCode(FixtureProgram program, String label,
      Technique technique) throws Exception {
    String[] arguments = program == I386 ? new String[]{"mixed", "5000"} : new String[]{"5000"};
    try (TargetProcess target = TargetProcess.start(program, arguments)) {
      Aftermath before = Aftermath.expectedOf(target.pid(), List.of(target.address(label)));
      for (int i = 0; i < 30; i++) {
        try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
          Probe probe = process.register(at(target, label).with(technique));
          process.register(at(target, "work_test"));
          target.send("go");
          long enough = ThreadLocalRandom.current().nextLong(100);
          Await.until(() -> probe.hits() >= enough, () -> "hits " + probe.hits());
        }
        target.awaitOk();
      }
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        Probe probe = process.register(at(target, label).with(technique));
        target.send("go");
        target.awaitOk();
        assertThat(probe.hits()).isEqualTo(5_000);
      }
      before.assertNoTrace();
    }
  }

  /** A program with a C library, where the compiler can make one. */
  private static Path compileDynamic(Path directory) throws IOException, InterruptedException {
    Path source = directory.resolve("dynamic.c");
    Files.writeString(source, """
        #include <pthread.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static __thread unsigned calls;
        __attribute__((noinline, noclone)) unsigned twice(unsigned x) { calls++; return 2 * x; }
        static void *run(void *n) {
          unsigned sum = 0;
          for (unsigned i = 0; i < (unsigned)(unsigned long)n; i++) {
            char *text = malloc(20);
            sprintf(text, "%u", i);
            sum += twice((unsigned)strlen(text)) + (unsigned)atoi(text);
            free(text);
          }
          return (void *)(unsigned long)(sum + calls);
        }
        int main(void) {
          setvbuf(stdout, 0, _IOLBF, 0);
          puts("ready");
          char line[16];
          while (fgets(line, sizeof line, stdin)) {
            pthread_t threads[4];
            void *results[4];
            for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, run, (void *)500);
            for (int i = 0; i < 4; i++) pthread_join(threads[i], &results[i]);
            pid_t child = fork();
            if (child == 0) _exit((int)(twice(21)));
            int status = 0;
            waitpid(child, &status, 0);
            int same = results[0] == results[1] && results[1] == results[2] && results[2] == results[3];
            // 2 * (10 * 1 + 90 * 2 + 400 * 3) + 500 * 499 / 2 + 500
            same &= results[0] == (void *)(2 * 1390 + 124750 + 500);
            puts(same && WEXITSTATUS(status) == 42 ? "ok" : "BAD");
          }
        }
        """);
    Path program = directory.resolve("dynamic");
    int status = new ProcessBuilder("gcc", "-m32", "-O1", "-w", "-pthread", "-o", program.toString(),
        source.toString())
        .redirectErrorStream(true).redirectOutput(directory.resolve("gcc").toFile()).start().waitFor();
    Assumptions.assumeTrue(status == 0,
        "no C library for 32-bit programs (Debian: libc6-dev-i386 and lib32gcc-12-dev, or gcc-multilib)");
    return program;
  }

  @Test
  void aProgramWithACLibrary(@TempDir Path directory) throws Exception {
    Path program = compileDynamic(directory);
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready");
      // What is called the first time is chosen then: strlen is an IFUNC.
      target.send("go");
      target.awaitOk();
      List<Long> addresses = new ArrayList<>();
      Aftermath before;
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        List<Probe> probes = process.register(List.of(ProbeRequest.at("dynamic", "twice", hit -> {}),
            ProbeRequest.at("libc.so.6", "malloc", hit -> {}),
            ProbeRequest.at("libc.so.6", "free", hit -> {}).inContext(HandlerContext.TASK),
            ProbeRequest.at("libc.so.6", "strlen", hit -> {})));
        probes.forEach(probe -> addresses.add(probe.address()));
        for (int round = 1; round <= 5; round++) {
          int rounds = round;
          target.send("go");
          target.awaitOk();
          assertThat(probes.get(0).hits()).isEqualTo(2_000L * round);
          assertThat(probes.subList(1, 4)).allMatch(probe -> probe.hits() >= 2_000L * rounds);
        }
        probes.forEach(Probe::unregister);
        before = Aftermath.expectedOf(target.pid(), addresses);
        process
            .register(addresses.stream().map(a -> ProbeRequest.at(a, hit -> {}).trustingBoundary()).toList());
      }
      before.assertNoTrace();
      target.send("go");
      target.awaitOk();
    }
  }

  @Test
  void aLibraryThatIsNotMappedYet(@TempDir Path directory) throws Exception {
    Path program = compileDynamic(directory);
    Path input = directory.resolve("input");
    Path output = directory.resolve("output");
    Files.writeString(input, "go\n");
    LaunchRequest request = LaunchRequest.of(List.of(program.toString())).withStreams(
        new LaunchRequest.Stream.File(input, false), new LaunchRequest.Stream.File(output, false),
        new LaunchRequest.Stream.Inherited());
    try (ProbedProcess process = ProbedProcess.launch(request, ProbingOptions.defaults(),
        ProbedProcess.LaunchStop.FIRST_INSTRUCTION)) {
      assertThat(process.modules()).doesNotContain("libc.so.6");
      Probe main = process
          .register(ProbeRequest.at("libc.so.6", "__libc_start_main", hit -> {}).whenItIsMapped());
      assertThat(main.isWaiting()).isTrue();
      process.start();
      assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .isEqualTo(new ProcessEnd.Exited(0));
      assertThat(main.hits()).isEqualTo(1);
    }
    assertThat(Files.readAllLines(output)).containsExactly("ready", "ok");
  }

  @Test
  void aLaunchedProgramWithACLibrary(@TempDir Path directory) throws Exception {
    Path program = compileDynamic(directory);
    Path input = directory.resolve("input");
    Path output = directory.resolve("output");
    Files.writeString(input, "go\ngo\n");
    LaunchRequest request = LaunchRequest.of(List.of(program.toString())).withStreams(
        new LaunchRequest.Stream.File(input, false), new LaunchRequest.Stream.File(output, false),
        new LaunchRequest.Stream.Inherited());
    try (ProbedProcess process = ProbedProcess.launch(request)) {
      assertThat(process.modules()).contains("libc.so.6");
      Probe main = process.register(ProbeRequest.at("libc.so.6", "__libc_start_main", hit -> {}));
      ReturnProbe malloc = process
          .register(ReturnProbeRequest.of(new ProbeLocation.Symbol("libc.so.6", "malloc", 0),
              hit -> hit.argument(0), (hit, size) -> assertThat(hit.registers().rax()).isNotZero()));
      process.start();
      assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
          .isEqualTo(new ProcessEnd.Exited(0));
      assertThat(main.hits()).isEqualTo(1);
      assertThat(malloc.calls()).isGreaterThanOrEqualTo(4_000);
      assertThat(malloc.returns()).isEqualTo(malloc.calls());
    }
    assertThat(Files.readAllLines(output)).containsExactly("ready", "ok", "ok");
  }
}
