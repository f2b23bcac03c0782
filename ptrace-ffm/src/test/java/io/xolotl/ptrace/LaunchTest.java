package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.ptrace.LaunchRequest.Stream;
import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs that are started under control. */
class LaunchTest {

  private static final Stream NOTHING = new Stream.File(Path.of("/dev/null"), false);

  @TempDir
  Path directory;

  private Path output;
  private Path errors;

  @BeforeEach
  void nameFiles() {
    output = directory.resolve("output");
    errors = directory.resolve("errors");
  }

  private LaunchRequest request(String... command) {
    return LaunchRequest.of(List.of(command)).withStreams(NOTHING, new Stream.File(output, false),
        new Stream.File(errors, false));
  }

  /** Runs a program to its end and returns its output. */
  private String run(LaunchRequest request) {
    assertThat(runToEnd(request)).isEqualTo(new WaitStatus.Exited(0));
    return read(output);
  }

  private static WaitStatus.Ended runToEnd(LaunchRequest request) {
    var recorder = new Recorder();
    try (var traced = Traced.launch(request, recorder)) {
      int pid = traced.process.pid();
      traced.tracer.call(() -> {
        traced.process.threads().getFirst().cont(0);
        return 0;
      });
      Await.until(() -> recorder.ends.containsKey(pid), () -> "the end of " + request.command());
      assertThat(ProcFs.exists(pid)).isFalse();
      return recorder.ends.get(pid);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Looks at a program that is stopped before its first instruction, and kills it. */
  private static <T> T look(LaunchRequest request, Function<TracedThread, T> action) {
    var recorder = new Recorder();
    try (var traced = Traced.launch(request, recorder)) {
      T result = traced.tracer.call(() -> action.apply(traced.process.threads().getFirst()));
      traced.tracer.call(() -> {
        traced.process.threads().getFirst().send(Signals.SIGKILL);
        return 0;
      });
      Await.until(() -> !recorder.ends.isEmpty(), () -> "the end of " + request.command());
      return result;
    }
  }

  /** A JVM that exits waits for threads in native code, so none is there for what has ended. */
  @Test
  void nobodyWaitsInNativeCodeWhenAllProgramsHaveEnded() {
    run(request("true"));
    Thread reaper = Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().equals("xolotl-reaper")).findFirst().orElseThrow();
    Await.until(() -> reaper.getState() == Thread.State.WAITING, () -> "the reaper has nothing to do");
  }

  @Test
  void environmentIsExactlyWhatWasAskedFor() {
    var environment = Map.of("A", "1", "EMPTY", "", "LINES", "one\ntwo\n", "SPACES", "  x  ", "-i", "dash",
        "odd name", "=", "UMLAUT", "ü", "PATH", "/nowhere");
    String printed = run(request("/usr/bin/env", "-0").withEnvironment(environment));
    assertThat(printed.split("\0")).containsExactlyInAnyOrderElementsOf(
        environment.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).toList());
  }

  @Test
  void environmentMayBeEmpty() {
    assertThat(run(request("/usr/bin/env").withEnvironment(Map.of()))).isEmpty();
  }

  @Test
  void environmentIsThatOfThisJvmUnlessAskedOtherwise() {
    assertThat(Set.of(run(request("/usr/bin/env", "-0")).split("\0")))
        .isEqualTo(System.getenv().entrySet().stream()
            .map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.toSet()));
  }

  @Test
  void argumentsArriveAsTheyAre() {
    String[] arguments = {"a b", "\"quoted\" 'twice'", "two\nlines", "", "$HOME `id` \\", "-n", "x=y", "ü"};
    String[] command = new String[arguments.length + 2];
    command[0] = "/usr/bin/printf";
    command[1] = "%s\\0";
    System.arraycopy(arguments, 0, command, 2, arguments.length);
    assertThat(run(request(command)).split("\0", -1)).containsExactly(
        java.util.stream.Stream.concat(Arrays.stream(arguments), java.util.stream.Stream.of(""))
            .toArray(String[]::new));
  }

  @Test
  void argumentZeroIsTheNameAsGiven() {
    assertThat(run(request("sh", "-c", "tr '\\0' '|' </proc/$$/cmdline"))).startsWith("sh|-c|");
  }

  @Test
  void programIsFoundInThePathOfItsEnvironment() throws IOException {
    Path program = Files.copy(Path.of("/bin/echo"), directory.resolve("only=here"));
    assertThat(run(request("only=here", "x").withEnvironment(Map.of("PATH", "/nowhere:" + directory))))
        .isEqualTo("x\n");
    assertThat(run(request("./only=here", "y").withDirectory(directory))).isEqualTo("y\n");
    Files.delete(program);
    Files.delete(output);
    assertRefused(request("only=here").withEnvironment(Map.of("PATH", "/nowhere:" + directory)), "PATH");
  }

  @Test
  void workingDirectory() throws IOException {
    Path spaced = Files.createDirectory(directory.resolve("a b"));
    assertThat(run(request("/bin/pwd").withDirectory(spaced))).isEqualTo(spaced.toRealPath() + "\n");
  }

  @Test
  void streamsAreFiles() throws IOException {
    Path input = Files.writeString(directory.resolve("input"), "from the file\n");
    Files.writeString(output, "before\n");
    LaunchRequest request = LaunchRequest.of(List.of("/bin/sh", "-c", "cat; echo bad >&2"));
    assertThat(runToEnd(request.withStreams(new Stream.File(input, false), new Stream.File(output, true),
        new Stream.File(errors, false)))).isEqualTo(new WaitStatus.Exited(0));
    assertThat(read(output)).isEqualTo("before\nfrom the file\n");
    assertThat(read(errors)).isEqualTo("bad\n");
    assertThat(runToEnd(request.withStreams(new Stream.File(input, false), new Stream.File(output, false),
        new Stream.File(errors, true)))).isEqualTo(new WaitStatus.Exited(0));
    assertThat(read(output)).isEqualTo("from the file\n");
    assertThat(read(errors)).isEqualTo("bad\nbad\n");
  }

  @Test
  void descriptorsAreThoseOfThisJvm() {
    String script = "a=$(readlink /proc/$$/fd/1); b=$(readlink /proc/$$/fd/2); echo \"$a\" >$0; echo \"$b\" >>$0";
    LaunchRequest request = LaunchRequest.of(List.of("/bin/sh", "-c", script, output.toString()));
    // Even where the first stream's would be redirected before the second is.
    assertThat(runToEnd(request.withStreams(NOTHING, new Stream.Descriptor(2), new Stream.Descriptor(1))))
        .isEqualTo(new WaitStatus.Exited(0));
    assertThat(read(output).lines().toList()).containsExactly(link(2), link(1));
    assertThat(
        runToEnd(request.withStreams(NOTHING, new Stream.File(errors, false), new Stream.Descriptor(1))))
        .isEqualTo(new WaitStatus.Exited(0));
    assertThat(read(output).lines().toList()).containsExactly(errors.toString(), link(1));
    assertThat(runToEnd(request)).isEqualTo(new WaitStatus.Exited(0));
    assertThat(read(output).lines().toList()).containsExactly(link(1), link(2));
  }

  private static String link(int descriptor) {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void nothingElseIsInherited() {
    Set<String> inherited = look(request("/bin/cat"), thread -> {
      try (var descriptors = Files.list(Path.of("/proc/" + thread.tid() + "/fd"))) {
        return descriptors.map(fd -> fd.getFileName().toString()).collect(Collectors.toSet());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    });
    assertThat(inherited).containsExactlyInAnyOrder("0", "1", "2");
  }

  @Test
  void stopsAtTheFirstInstructionOfTheDynamicLinker() {
    Set<String> names = look(request(FixtureProgram.SLEEPER.path().toString()), thread -> {
      long base = auxiliary(thread.tid(), 7);
      var registers = new Registers();
      thread.readRegisters(registers);
      // e_entry of the interpreter's ELF header.
      assertThat(registers.rip()).isEqualTo(base + thread.process().memory().readLong(base + 24));
      assertThat(thread.isAtUserBoundary()).isTrue();
      assertThat(thread.process().memory().readLong(registers.rsp())).isEqualTo(1);
      return thread.process().mappings().stream().map(MemoryMapping::path).collect(Collectors.toSet());
    });
    assertThat(names).contains(FixtureProgram.SLEEPER.path().toString(), "[stack]", "[vdso]")
        .noneMatch(name -> name.contains("libc.so"))
        .allMatch(name -> name.startsWith("[") || name.contains("ld-linux") || name.isEmpty()
            || name.equals(FixtureProgram.SLEEPER.path().toString()));
  }

  @Test
  void staticProgramStopsAtItsOwnEntry() {
    assertThat((boolean) look(request(FixtureProgram.STATIC.path().toString()), thread -> {
      var registers = new Registers();
      thread.readRegisters(registers);
      assertThat(auxiliary(thread.tid(), 7)).isZero();
      return registers.rip() == FixtureProgram.STATIC.symbol("_start");
    })).isTrue();
  }

  private static long auxiliary(int pid, long key) {
    try {
      ByteBuffer vector = ByteBuffer.wrap(Files.readAllBytes(Path.of("/proc/" + pid + "/auxv")))
          .order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < vector.limit(); i += 16) {
        if (vector.getLong(i) == key) {
          return vector.getLong(i + 8);
        }
      }
      return 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void scriptIsRunByItsInterpreter() {
    Path script = executable("script", "#!/bin/sh\necho \"$1 of $0\"\n");
    assertThat(run(request(script.toString(), "argument"))).isEqualTo("argument of " + script + "\n");
  }

  private Path executable(String name, String content) {
    try {
      Path file = Files.writeString(directory.resolve(name), content);
      assertThat(file.toFile().setExecutable(true)).isTrue();
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void assertRefused(LaunchRequest request, String... parts) {
    Set<Integer> before = children();
    assertThatThrownBy(() -> Traced.launch(request, new Recorder()))
        .isInstanceOfSatisfying(PtraceException.class,
            e -> assertThat(e.reason()).isEqualTo(Reason.LAUNCH_FAILED))
        .hasMessageStartingWith("cannot start " + request.command().getFirst() + ": ")
        .hasMessageContainingAll(parts);
    assertThat(children()).isEqualTo(before);
    assertThat(output).satisfiesAnyOf(file -> assertThat(file).doesNotExist(),
        file -> assertThat(file).isEmptyFile());
    assertThat(errors).satisfiesAnyOf(file -> assertThat(file).doesNotExist(),
        file -> assertThat(file).isEmptyFile());
  }

  /** Children of all threads of this JVM that the JDK does not know, zombies too. */
  private static Set<Integer> children() {
    int self = (int) ProcessHandle.current().pid();
    return ProcFs.threads(self).stream().flatMap(tid -> {
      try {
        String list = Files.readString(Path.of("/proc/self/task/" + tid + "/children"),
            StandardCharsets.US_ASCII);
        return list.lines().flatMap(line -> Arrays.stream(line.trim().split(" ")));
      } catch (IOException threadIsGone) {
        return java.util.stream.Stream.of();
      }
    }).map(Integer::valueOf).collect(Collectors.toSet());
  }

  @Test
  void whatCannotBeExecutedIsRefused() throws IOException {
    assertRefused(request("/no/such/program"), "there is no such file");
    assertRefused(request("no-such-program-anywhere"), "PATH");
    assertRefused(request(Files.writeString(directory.resolve("plain"), "x").toString()),
        "no executable file");
    assertRefused(request(directory.toString()), "no executable file");
    assertRefused(request(executable("text", "echo no interpreter line\n").toString()), "ENOEXEC", "#!");
    assertRefused(request(executable("empty", "").toString()), "ENOEXEC");
    assertRefused(request(executable("lost", "#!/no/such/interpreter\n").toString()), "ENOENT",
        "interpreter");
    assertRefused(request(executable("hidden", "#!" + directory + "/plain\n").toString()), "EACCES",
        "interpreter");
    String[] long_ = new String[200];
    Arrays.fill(long_, "x".repeat(100_000));
    long_[0] = "/bin/true";
    assertRefused(request(long_), "E2BIG", "too long");
  }

  @Test
  void whatCannotBeSetUpIsRefused() {
    assertRefused(request("/bin/true").withDirectory(directory.resolve("missing")),
        "missing is no directory");
    assertRefused(LaunchRequest.of(List.of("/bin/true")).withStreams(
        new Stream.File(directory.resolve("missing"), false), NOTHING, NOTHING), "missing cannot be read");
    assertRefused(LaunchRequest.of(List.of("/bin/true")).withStreams(NOTHING,
        new Stream.File(directory.resolve("missing/output"), false), NOTHING), "streams", "ENOENT");
    assertRefused(
        LaunchRequest.of(List.of("/bin/true")).withStreams(NOTHING, new Stream.Descriptor(999), NOTHING),
        "streams", "EBADF");
  }

  @Test
  void requestsThatMakeNoSenseAreRefusedAtOnce() {
    assertThatThrownBy(() -> LaunchRequest.of(List.of())).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> LaunchRequest.of(List.of("a\0b"))).isInstanceOf(IllegalArgumentException.class);
    LaunchRequest fine = LaunchRequest.of(List.of("x"));
    for (var environment : List.of(Map.of("", "x"), Map.of("a=b", "x"), Map.of("a", "\0"),
        Map.of("\0", ""))) {
      assertThatThrownBy(() -> fine.withEnvironment(environment))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void tracerGoesOnAfterAFailedLaunch() {
    try (Tracer tracer = Tracer.start("tracer of a test")) {
      var recorder = new Recorder();
      for (int i = 0; i < 20; i++) {
        assertThatThrownBy(() -> tracer.call(() -> TracedProcess.launch(tracer,
            request(executable("text", "no program").toString()), _ -> recorder)))
            .isInstanceOf(PtraceException.class);
      }
      TracedProcess process = tracer
          .call(() -> TracedProcess.launch(tracer, request("/bin/true"), _ -> recorder));
      tracer.call(() -> {
        process.threads().getFirst().cont(0);
        return 0;
      });
      Await.until(() -> recorder.ends.containsKey(process.pid()), () -> "the end of true");
      assertThat(recorder.ends).hasSize(1);
    }
  }

  @Test
  void signalsAreAsAFreshProgramHasThem() {
    Map<String, String> masks = look(request("/bin/cat"),
        thread -> List.of("SigBlk", "SigIgn", "SigCgt", "SigPnd",
            "ShdPnd").stream()
            .collect(Collectors.toMap(field -> field, field -> ProcFs.status(thread.tid(), field))));
    assertThat(masks)
        .allSatisfy((field, mask) -> assertThat(Long.parseUnsignedLong(mask, 16)).as(field).isZero());
  }

  /**
   * A signal from a terminal goes to all of a process group, also to the shell that is to execute the
   * program, at any moment: before it has executed itself, before it is traced, while the call is made in it.
   */
  @Test
  void signalsThatComeBeforeTheProgramAreTheProgramS() throws InterruptedException {
    int hits = 0;
    var ended = new AtomicBoolean();
    Thread sender = Thread.ofPlatform().start(() -> {
      while (!ended.get()) {
        ProcessHandle.current().children().filter(LaunchTest::isShell).forEach(ProcessHandle::destroy);
      }
    });
    try {
      while (hits < 100) {
        WaitStatus.Ended end = runToEnd(request("true"));
        assertThat(end).isIn(new WaitStatus.Exited(0), new WaitStatus.Killed(Signals.SIGTERM, false));
        hits += end instanceof WaitStatus.Killed ? 1 : 0;
      }
    } finally {
      ended.set(true);
      sender.join();
    }
  }

  private static boolean isShell(ProcessHandle process) {
    return process.info().commandLine().orElse("").contains("kill -STOP $$");
  }

  @Test
  void exitStatusIsReported() {
    assertThat(runToEnd(request("/bin/sh", "-c", "exit 7"))).isEqualTo(new WaitStatus.Exited(7));
    assertThat(runToEnd(request("/bin/sh", "-c", "kill -TERM $$")))
        .isEqualTo(new WaitStatus.Killed(15, false));
  }

  @Test
  void detachedProgramIsReapedWhenItEnds() throws IOException {
    for (boolean closed : new boolean[]{true, false}) {
      Tracer tracer = Tracer.start("tracer of a test");
      Path pipe = directory.resolve("pipe" + closed);
      assertThat(runToEnd(request("mkfifo", pipe.toString()))).isEqualTo(new WaitStatus.Exited(0));
      TracedProcess process = tracer.call(
          () -> TracedProcess.launch(tracer, request("/bin/cat", pipe.toString()), _ -> new Recorder()));
      int pid = process.pid();
      tracer.call(() -> {
        process.detach();
        return 0;
      });
      if (closed) {
        tracer.close();
      }
      assertThat(Attachability.isLaunched(pid)).isTrue();
      // Ends the program: it reads what is written, and the end behind it.
      Files.writeString(pipe, "x");
      ProcFs.awaitGone(pid);
      Await.until(() -> !Attachability.isLaunched(pid), () -> "process " + pid + " is forgotten");
      assertThat(read(output)).isEqualTo("x");
      tracer.close();
    }
  }

  @Test
  void programHeldByATracerThatIsClosedIsReaped() {
    Tracer tracer = Tracer.start("tracer of a test");
    int pid = tracer
        .call(() -> TracedProcess.launch(tracer, request("/bin/true"), _ -> new Recorder()).pid());
    tracer.close();
    ProcFs.awaitGone(pid);
    Await.until(() -> !Attachability.isLaunched(pid), () -> "process " + pid + " is forgotten");
    assertThat(children()).doesNotContain(pid);
  }
}
