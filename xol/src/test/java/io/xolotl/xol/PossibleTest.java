package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.INSNS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.xol.ProbedProcess.LaunchStop;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What can be had of several requests is there at once, what comes later comes, and what is refused is told;
 * in programs that are executed, too.
 */
class PossibleTest {

  /** Its function is chosen when it starts. */
  private static final String CHOSEN = """
      #include <stdio.h>
      static long one(long x) { return x + 1; }
      static long two(long x) { return x + 2; }
      static volatile int first;
      static long (*choose(void))(long) { return first ? one : two; }
      long pick(long) __attribute__((ifunc("choose")));
      int main(void) {
        long sum = 0;
        for (long i = 0; i < 20; i++) sum += pick(i);
        printf("sum %ld\\n", sum);
        return sum != 230;
      }
      """;

  /** {@code again N HOW}: calls a function N times, and does so in a program that it executes or spawns. */
  private static final String AGAIN = """
      #include <spawn.h>
      #include <stdio.h>
      #include <stdlib.h>
      #include <string.h>
      #include <sys/wait.h>
      #include <unistd.h>
      extern char **environ;
      __attribute__((noipa)) long work(long x) { return x + 1; }
      __attribute__((noipa, used)) long unused(long x) { return x * 1234567890123; }
      int main(int count, char **arguments) {
        long n = atol(arguments[1]), sum = 0;
        for (long i = 0; i < n; i++) sum += work(i) - i;
        if (count < 3 || sum != n) return sum != n;
        char half[20];
        sprintf(half, "%ld", n / 2);
        char *next[] = {arguments[0], half, 0};
        int status = 0;
        pid_t child;
        if (!strcmp(arguments[2], "exec")) execv("/proc/self/exe", next);
        if (!strcmp(arguments[2], "spawn")) posix_spawn(&child, "/proc/self/exe", 0, 0, next, environ);
        if (!strcmp(arguments[2], "fork") && !(child = fork())) execv("/proc/self/exe", next);
        if (!strcmp(arguments[2], "children")) {
          for (int i = 0; i < 3; i++) if (!(child = fork())) _exit(work(0) - 1);
          for (int i = 0; i < 2; i++) wait(&status);
        }
        wait(&status);
        return status != 0;
      }
      """;

  @TempDir
  private Path directory;

  private Path compiled(String name, String source, String... flags) throws Exception {
    Path file = Files.writeString(directory.resolve(name + ".c"), source);
    var command = new ArrayList<>(List.of("gcc", "-O1", "-w", "-o", directory.resolve(name).toString(),
        file.toString()));
    command.addAll(List.of(flags));
    assertThat(new ProcessBuilder(command).inheritIO().start().waitFor()).isZero();
    return directory.resolve(name);
  }

  private static ProbedProcess launched(ProbingOptions options, LaunchStop stop, Object... command) {
    return ProbedProcess.launch(
        LaunchRequest.of(Arrays.stream(command).map(Object::toString).toList()), options, stop);
  }

  private static void awaitExit(ProbedProcess process) throws Exception {
    process.start();
    assertThat(process.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS))
        .isEqualTo(new ProcessEnd.Exited(0));
  }

  @Test
  void refusalsTakeNothingWithThem(@RunsFixture(INSNS) TargetProcess target) {
    ProbeHandler nothing = hit -> {};
    List<ProbeRequest> requests = List.of(ProbeRequest.at("insns", "site_mov_rip_load", nothing),
        ProbeRequest.at("insns", "site_hlt", nothing), ProbeRequest.at("insns", "no_such_function", nothing),
        ProbeRequest.at(0x10, nothing), ProbeRequest.at("libnone.so", "any", nothing).whenItIsMapped(),
        ProbeRequest.at("libnone.so", "any", nothing),
        ProbeRequest.at("insns", "site_mov_rip_load", nothing));
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      Registration registration = process.registerPossible(requests);
      assertThat(registration.probes()).extracting(Probe::location).containsExactly(
          requests.get(0).location(),
          requests.get(4).location(), requests.get(6).location());
      assertThat(registration.probes()).extracting(Probe::isActive).containsExactly(true, false, true);
      assertThat(registration.waiting()).singleElement().satisfies(waiting -> {
        assertThat(waiting.probe()).isSameAs(registration.probes().get(1));
        assertThat(waiting.why().reason()).isEqualTo(ProbeException.Reason.MODULE_NOT_FOUND);
      });
      assertThat(registration.refused()).extracting(Registration.Refused::request)
          .containsExactly(requests.get(1), requests.get(2), requests.get(3), requests.get(5));
      assertThat(registration.refused()).extracting(refused -> refused.why().reason()).containsExactly(
          ProbeException.Reason.INSTRUCTION_REFUSED, ProbeException.Reason.SYMBOL_NOT_FOUND,
          ProbeException.Reason.ADDRESS_NOT_MAPPED, ProbeException.Reason.MODULE_NOT_FOUND);
      assertThat(process.probes()).isEqualTo(registration.probes());
      assertThat(process.registerPossible(List.of()).probes()).isEmpty();
      // All or none, as before.
      assertThatThrownBy(() -> process.register(requests)).isInstanceOf(ProbeException.class);
      assertThat(process.probes()).isEqualTo(registration.probes());
    }
    assertThatThrownBy(() -> {
      ProbedProcess closed = ProbedProcess.attach(target.pid());
      closed.close();
      closed.registerPossible(requests);
    }).isInstanceOfSatisfying(ProbeException.class,
        e -> assertThat(e.reason()).isEqualTo(ProbeException.Reason.CLOSED));
  }

  @ParameterizedTest
  @CsvSource({"-static, LIBRARIES_LOADED", "-static, FIRST_INSTRUCTION", "-no-pie, FIRST_INSTRUCTION",
      "-pie, FIRST_INSTRUCTION", "-static-pie, LIBRARIES_LOADED", "-pie, LIBRARIES_LOADED"})
  void aFunctionThatIsNotChosenYet(String flag, LaunchStop stop) throws Exception {
    Path program = compiled("chosen", CHOSEN, flag);
    try (ProbedProcess process = launched(ProbingOptions.defaults(), stop, program)) {
      var offset = new AtomicInteger();
      Registration registration = process.registerPossible(List.of(
          ProbeRequest.at("chosen", "pick", hit -> {}).whenItIsMapped(),
          ProbeRequest.at(ProbeLocation.parse("chosen:pick+0"), hit -> offset.incrementAndGet())
              .whenItIsMapped()));
      assertThat(registration.refused()).isEmpty();
      Probe probe = registration.probes().getFirst();
      awaitExit(process);
      assertThat(probe.hits()).isEqualTo(20);
      assertThat(offset.get()).isEqualTo(20);
      assertThat(process.probes()).hasSize(2);
    }
  }

  /** A function that chooses by a call of another, at the end, has no answer where it is left. */
  @Test
  void aChoiceThatIsNotSeen() throws Exception {
    Path program = compiled("tail", CHOSEN.replace("return first ? one : two; }", "return select(first); }")
        .replace("static long (*choose", "__attribute__((noipa)) static long (*select(int x))(long) "
            + "{ return x ? one : two; }\nstatic long (*choose"),
        "-static", "-O2");
    try (ProbedProcess process = launched(ProbingOptions.defaults(), LaunchStop.FIRST_INSTRUCTION, program)) {
      Registration registration = process
          .registerPossible(List.of(ProbeRequest.at("tail", "pick", hit -> {}).whenItIsMapped()));
      assertThat(registration.refused()).singleElement()
          .satisfies(refused -> assertThat(refused.why().reason())
              .isEqualTo(ProbeException.Reason.IFUNC_UNRESOLVED));
      awaitExit(process);
    }
  }

  /** What was checked for the parent's file says nothing about another program's. */
  @Test
  void nothingIsTrustedInAnotherProgram() throws Exception {
    Path program = compiled("again", AGAIN);
    var executed = new ConcurrentLinkedQueue<Probe>();
    var listener = new ProcessListener() {
      @Override
      public void executed(ProbedProcess process) {
        executed.addAll(process.probes());
      }
    };
    try (ProbedProcess process = launched(ProbingOptions.defaults().withForkPolicy(ForkPolicy.FOLLOW_EXEC)
        .withProcessListener(listener), LaunchStop.LIBRARIES_LOADED, program, "10", "exec")) {
      // Whoever is in the middle of an instruction may insist, here.
      Probe insisted = process.register(
          ProbeRequest.at(new ProbeLocation.Symbol("again", "unused", 1), hit -> {}).trustingBoundary());
      Probe proven = process.register(ProbeRequest.at("again", "work", hit -> {}));
      awaitExit(process);
      assertThat(insisted.hits()).isZero();
      assertThat(proven.hits()).isEqualTo(10);
      assertThat(executed).extracting(Probe::location).containsExactly(proven.location());
      assertThat(executed.remove().hits()).isEqualTo(5);
    }
  }

  @ParameterizedTest
  @CsvSource({"exec, 1", "spawn, 2", "fork, 2"})
  void programsThatAreExecuted(String how, int processes) throws Exception {
    Path program = compiled("again", AGAIN);
    var all = new ConcurrentLinkedQueue<Probe>();
    var children = new ConcurrentLinkedQueue<ProbedProcess>();
    Map<Integer, Long> returns = new ConcurrentHashMap<>();
    var listener = new ProcessListener() {
      @Override
      public void followed(ProbedProcess parent, ProbedProcess child) {
        children.add(child);
        all.addAll(child.probes());
      }

      @Override
      public void executed(ProbedProcess process) {
        all.addAll(process.probes());
      }
    };
    ProbingOptions options = ProbingOptions.defaults().withForkPolicy(ForkPolicy.FOLLOW_EXEC)
        .withProcessListener(listener);
    try (ProbedProcess process = launched(options, LaunchStop.LIBRARIES_LOADED, program, "100", how)) {
      all.add(process.register(ProbeRequest.at("again", "work", hit -> {})));
      process.register(ProbeRequest.at(all.peek().address() + 0, hit -> {}));
      process.register(ReturnProbeRequest.of(new ProbeLocation.Symbol("again", "work", 0), hit -> 0,
          (hit, none) -> returns.merge(hit.threadId(), 1L, Long::sum)));
      awaitExit(process);
      for (ProbedProcess child : children) {
        child.end().get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS);
      }
      assertThat(all.stream().filter(probe -> probe.location() instanceof ProbeLocation.Symbol)
          .mapToLong(Probe::hits).sum()).isEqualTo(150);
      assertThat(returns.values().stream().mapToLong(Long::longValue).sum()).isEqualTo(150);
      assertThat(returns).hasSize(processes);
      assertThat(process.statistics().childrenNotProbed()).isZero();
    }
  }

  /** Counts are read when all is over. */
  @Test
  void aChildThatHasEndedStillHasItsProbes() throws Exception {
    Path program = compiled("again", AGAIN);
    Map<Integer, Long> counts = new ConcurrentHashMap<>();
    var listener = new ProcessListener() {
      @Override
      public void followed(ProbedProcess parent, ProbedProcess child) {
        child.end().thenRun(() -> child.probes()
            .forEach(probe -> counts.merge(child.pid(), probe.hits(), Long::sum)));
      }
    };
    ProbingOptions options = ProbingOptions.defaults().withForkPolicy(ForkPolicy.FOLLOW)
        .withProcessListener(listener);
    try (ProbedProcess process = launched(options, LaunchStop.LIBRARIES_LOADED, program, "10", "children")) {
      Probe probe = process.register(ProbeRequest.at("again", "work", hit -> {}));
      awaitExit(process);
      Await.until(() -> counts.size() == 3, () -> "the ends of three children, not of " + counts);
      assertThat(counts.values()).containsOnly(1L);
      assertThat(process.probes()).containsExactly(probe);
      assertThat(probe.hits()).isEqualTo(10);
    }
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void whatHasHappened(HandlerContext context) throws Exception {
    Path program = compiled("again", AGAIN);
    var errors = new AtomicInteger();
    ProbingOptions options = ProbingOptions.defaults().withErrorListener((_, _) -> errors.incrementAndGet());
    try (ProbedProcess process = launched(options, LaunchStop.LIBRARIES_LOADED, program, "100", "children")) {
      assertThat(process.statistics()).isEqualTo(new Statistics(0, 0, 0, 0, Map.of()));
      process.register(ProbeRequest.at("again", "work", hit -> {
        if (hit.number() % 10 == 0) {
          throw new IllegalStateException("every tenth");
        }
      }).inContext(context));
      process.register(ProbeRequest.at("again", "work", hit -> {}));
      awaitExit(process);
      Statistics statistics = process.statistics();
      assertThat(statistics.hits()).isEqualTo(200);
      assertThat(statistics.stoppedNanos()).isPositive();
      assertThat(statistics.handlerErrors()).isEqualTo(10).isEqualTo(errors.get());
      assertThat(statistics.childrenNotProbed()).isEqualTo(3);
      assertThat(statistics.lost()).isEmpty();
    }
  }

  /** All of a library at once; what is refused is so by a rule. */
  @Test
  void aWholeLibrary() throws Exception {
    Path program = compiled("again", AGAIN);
    try (ProbedProcess process = launched(ProbingOptions.defaults(), LaunchStop.LIBRARIES_LOADED, program,
        "100",
        "exec")) {
      List<ModuleFunction> functions = process.functions("libc.so.6");
      Registration registration = process.registerPossible(functions.stream()
          .map(function -> ProbeRequest.at(function.location(), hit -> {}).whenItIsMapped()).toList());
      assertThat(registration.probes().size() + registration.refused().size()).isEqualTo(functions.size());
      assertThat(registration.probes().size()).isGreaterThan(functions.size() * 99 / 100);
      assertThat(registration.refused()).allSatisfy(refused -> assertThat(refused.why().reason()).isIn(
          ProbeException.Reason.RESTARTABLE_SEQUENCE, ProbeException.Reason.SIGNAL_TRAMPOLINE,
          ProbeException.Reason.INSTRUCTION_REFUSED, ProbeException.Reason.NOT_AN_INSTRUCTION_BOUNDARY));
      awaitExit(process);
    }
  }
}
