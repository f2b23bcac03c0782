package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FOREVER;
import static io.xolotl.fixtures.FixtureProgram.FORKER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.ProcFs;
import io.xolotl.fixtures.TargetProcess;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A JVM that probes processes exits without having closed them: they run on as if they had never been probed. */
@Timeout(120)
class JvmExitTest {

  private static final List<String> SITES = List.of("work", "work_mov", "work_rip_load", "work_add");

  /** A JVM with {@link ExitingJvm}; it is killed when this is closed. */
  private record Jvm(Process process, BufferedReader output) implements AutoCloseable {

    static Jvm start(String... arguments) throws IOException {
      return start(ProcessBuilder.Redirect.INHERIT, arguments);
    }

    static Jvm start(ProcessBuilder.Redirect errors, String... arguments) throws IOException {
      var command = new ArrayList<>(
          List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "--enable-native-access=ALL-UNNAMED", "-cp",
              classPath(),
              ExitingJvm.class.getName()));
      command.addAll(List.of(arguments));
      Process process = new ProcessBuilder(command).redirectError(errors).start();
      return new Jvm(process, process.inputReader());
    }

    /** The modules of the tests and the class path alike: the child has only the latter. */
    private static String classPath() {
      Stream<String> modules = ModuleLayer.boot().configuration().modules().stream()
          .flatMap(module -> module.reference().location().stream())
          .filter(uri -> uri.getScheme().equals("file"))
          .map(uri -> Path.of(uri).toString());
      Stream<String> own = Stream.of(
          ExitingJvm.class.getProtectionDomain().getCodeSource().getLocation().getPath(),
          System.getProperty("java.class.path"));
      Stream<String> tests = Stream.of(Path.of("target/test-classes").toAbsolutePath().toString());
      return Stream.of(tests, modules, own).flatMap(each -> each).filter(each -> !each.isEmpty())
          .collect(Collectors.joining(File.pathSeparator));
    }

    void await(String line) throws IOException {
      for (String next = output.readLine(); !line.equals(next); next = output.readLine()) {
        assertThat(next).as("output before \"%s\"", line).isNotNull();
      }
    }

    void signal(String name) throws Exception {
      assertThat(new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor())
          .isZero();
    }

    int status() throws InterruptedException {
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("the JVM exits").isTrue();
      return process.exitValue();
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }

  private static Aftermath before(TargetProcess target) {
    return Aftermath.expectedOf(target.pid(), SITES.stream().map(target::address).toList());
  }

  private static void end(Jvm jvm, String signal, int status) throws Exception {
    if (!signal.isEmpty()) {
      jvm.signal(signal);
    }
    assertThat(jvm.status()).isEqualTo(status);
  }

  @ParameterizedTest
  @CsvSource({"return,'',0", "exit,'',7", "throw,'',1", "handler,'',7", "interrupt,'',7",
      "condition,'',7", "wait,TERM,143", "wait,INT,130",
      "wait,HUP,129",
      "block,TERM,143", "block,INT,130"})
  void whileThreadsHit(String way, String signal, int status) throws Exception {
    try (TargetProcess one = TargetProcess.start(FOREVER, "8");
        TargetProcess two = TargetProcess.start(FOREVER, "2")) {
      Aftermath beforeOne = before(one);
      Aftermath beforeTwo = before(two);
      one.send("go");
      two.send("go");
      try (Jvm jvm = Jvm.start(way, "leave", Integer.toString(one.pid()), Integer.toString(two.pid()))) {
        if (!Set.of("handler", "interrupt", "condition").contains(way)) {
          jvm.await("hit");
        }
        end(jvm, signal, status);
      }
      beforeOne.assertNoTrace();
      beforeTwo.assertNoTrace();
      one.send("stop");
      two.send("stop");
      one.awaitOk();
      two.awaitOk();
    }
  }

  @ParameterizedTest
  @CsvSource({"TERM,143", "INT,130"})
  void withChildrenThatAreFollowed(String signal, int status) throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "fork")) {
      Aftermath before = before(target);
      try (Jvm jvm = Jvm.start("wait", "follow", Integer.toString(target.pid()))) {
        jvm.await("probing");
        target.send("hold");
        int child = Integer.parseInt(target.awaitLine("child ").substring("child ".length()).strip());
        assertThat(ProcFs.tracerPid(child)).isNotZero();
        end(jvm, signal, status);
        assertThat(ProcFs.tracerPid(child)).isZero();
        for (String site : SITES) {
          long address = target.address(site);
          assertThat(ProcFs.memory(child, address, 8)).isEqualTo(ProcFs.memory(target.pid(), address, 8));
        }
      }
      before.assertNoTrace();
      target.send("release");
      target.awaitOk();
    }
  }

  @Test
  void aProcessThatIsStoppedStaysStopped() throws Exception {
    try (TargetProcess target = TargetProcess.start(FOREVER, "8")) {
      Aftermath before = before(target);
      target.send("go");
      target.signal("STOP");
      ProcFs.awaitState(target.pid(), "T");
      try (Jvm jvm = Jvm.start("wait", "stopped", Integer.toString(target.pid()))) {
        jvm.await("probing");
        end(jvm, "TERM", 143);
      }
      before.assertNoTrace();
      for (int tid : ProcFs.threads(target.pid())) {
        // A thread that the kernel lets go of in a group-stop joins it again.
        ProcFs.awaitState(tid, "T");
      }
      target.signal("CONT");
      target.send("stop");
      target.awaitOk();
    }
  }

  /** A handler that throws at each hit: its first stack trace, and then numbers, the last of which is exact. */
  @Test
  void aThrowingHandlerIsLoggedOnceAndThenCounted(@TempDir Path directory) throws Exception {
    Path errors = directory.resolve("errors");
    try (TargetProcess target = TargetProcess.start(FOREVER, "2")) {
      target.send("go");
      try (Jvm jvm = Jvm.start(ProcessBuilder.Redirect.to(errors.toFile()), "fail", "leave",
          Integer.toString(target.pid()))) {
        jvm.await("hit");
        String line = jvm.output().readLine();
        assertThat(line).startsWith("failures ");
        assertThat(jvm.status()).isZero();
        String log = Files.readString(errors);
        assertThat(log.split("java.lang.IllegalStateException: thrown by a handler", -1)).hasSize(2);
        long hits = Long.parseLong(line.substring("failures ".length()));
        for (long power = 10; power <= hits; power *= 10) {
          assertThat(log).contains("forever:work has failed " + power + " times with");
        }
        assertThat(log).contains(" " + hits + " times ");
        assertThat(log.lines().count()).isLessThan(100);
      }
      target.send("stop");
      target.awaitOk();
    }
  }
}
