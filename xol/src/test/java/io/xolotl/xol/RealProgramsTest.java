package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.LaunchRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs of the system that were not made to be probed. */
class RealProgramsTest {

  private static final List<String> FUNCTIONS = List.of("malloc", "free", "memcpy", "strlen", "read",
      "write");

  @TempDir
  private Path directory;

  /** A program that answers each line with a line. */
  private void goesOnWhileProbed(List<String> command, String question, String answer,
      Consumer<ProbedProcess> extra)
      throws Exception {
    try (TargetProcess target = TargetProcess.start(command, System.getenv(), null)) {
      target.send(question);
      target.awaitLine(answer);
      Aftermath before;
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        List<Long> addresses = new ArrayList<>();
        for (String name : FUNCTIONS) {
          try {
            Probe located = process.register(ProbeRequest.at("libc.so.6", name, hit -> {}));
            addresses.add(located.address());
            located.unregister();
          } catch (ProbeException e) {
            // Where no module of the program has called the IFUNC there is nothing to probe.
            assertThat(e.reason()).isEqualTo(ProbeException.Reason.IFUNC_UNRESOLVED);
          }
        }
        assertThat(addresses).hasSizeGreaterThanOrEqualTo(4);
        before = Aftermath.expectedOf(target.pid(), addresses);
        List<Probe> probes = process
            .register(addresses.stream().map(a -> ProbeRequest.at(a, hit -> {})).toList());
        for (int i = 0; i < 10; i++) {
          target.send(question);
          target.awaitLine(answer);
        }
        assertThat(probes.stream().mapToLong(Probe::hits).sum()).isPositive();
        extra.accept(process);
      }
      before.assertNoTrace();
      for (int i = 0; i < 3; i++) {
        target.send(question);
        target.awaitLine(answer);
      }
    }
  }

  @Test
  void python() throws Exception {
    Path script = directory.resolve("work.py");
    Files.writeString(script, """
        import sys, threading, hashlib, subprocess
        def work(n):
            data = b''.join(str(i).encode() for i in range(n))
            return hashlib.sha256(data).hexdigest()
        for line in sys.stdin:
            results = []
            threads = [threading.Thread(target=lambda: results.append(work(2000))) for _ in range(4)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            child = subprocess.run(['true']).returncode
            print('answer', len(set(results)), child, flush=True)
        """);
    goesOnWhileProbed(List.of("python3", script.toString()), "question", "answer 1 0", process -> {});
  }

  @Test
  void bash() throws Exception {
    goesOnWhileProbed(
        List.of("bash", "-c", "while read line; do n=0; for i in $(seq 20); do n=$((n+$(echo $i | cat))); "
            + "done; echo \"sum $n\"; done"),
        "again", "sum 210", process -> {});
  }

  @Test
  void java() throws Exception {
    Path source = directory.resolve("Worker.java");
    Files.writeString(source,
        """
            import java.util.*;
            import java.util.stream.*;
            public class Worker {
              public static void main(String[] arguments) throws Exception {
                var in = new Scanner(System.in);
                while (in.hasNextLine()) {
                  in.nextLine();
                  long sum = IntStream.range(0, 100_000).parallel().mapToObj(Integer::toString).mapToLong(String::length).sum();
                  System.gc();
                  System.out.println("length " + sum);
                }
              }
            }
            """);
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    goesOnWhileProbed(List.of(java.toString(), source.toString()), "again", "length 488890", process -> {
      Probe probe = process.register(ProbeRequest.at("libjvm.so", "JVM_GC", hit -> {}));
      assertThat(probe.isActive()).isTrue();
    });
  }

  @Test
  void lsFromItsStart() throws Exception {
    Path output = directory.resolve("output");
    Path plain = directory.resolve("plain");
    List<String> command = List.of("ls", "-lR", "/usr/share/doc");
    Process reference = new ProcessBuilder(command).redirectOutput(plain.toFile()).start();
    assertThat(reference.waitFor()).isZero();
    var inherited = new LaunchRequest.Stream.Inherited();
    LaunchRequest request = LaunchRequest.of(command).withStreams(inherited,
        new LaunchRequest.Stream.File(output, false),
        inherited);
    try (ProbedProcess process = ProbedProcess.launch(request)) {
      List<Probe> probes = process.register(List.of(ProbeRequest.at("libc.so.6", "malloc", hit -> {}),
          ProbeRequest.at("libc.so.6", "free", hit -> {})));
      process.start();
      Await.until(() -> process.end().isDone(),
          () -> "hits " + probes.getFirst().hits());
      assertThat(process.end()).isCompletedWithValue(new ProcessEnd.Exited(0));
      assertThat(probes.get(0).hits()).isGreaterThan(1_000);
      assertThat(probes.get(1).hits()).isGreaterThan(1_000);
    }
    assertThat(output).hasSameBinaryContentAs(plain);
  }

  @Test
  void aProgramThatIsHeldAtItsFirstInstruction() throws Exception {
    var none = new LaunchRequest.Stream.File(Path.of("/dev/null"), true);
    LaunchRequest request = LaunchRequest.of(List.of("env")).withEnvironment(Map.of("A", "1", "B", ""))
        .withStreams(none,
            new LaunchRequest.Stream.File(directory.resolve("env"), false), none);
    try (ProbedProcess process = ProbedProcess.launch(request, ProbingOptions.defaults(),
        ProbedProcess.LaunchStop.FIRST_INSTRUCTION)) {
      assertThat(process.modules()).noneMatch(name -> name.startsWith("libc"));
      Probe probe = process.register(ProbeRequest.at("ld-linux-x86-64.so.2", "_dl_debug_state", hit -> {}));
      process.start();
      assertThat(process.end().get()).isEqualTo(new ProcessEnd.Exited(0));
      assertThat(probe.hits()).isGreaterThanOrEqualTo(2);
    }
    assertThat(Files.readAllLines(directory.resolve("env"))).containsExactlyInAnyOrder("A=1", "B=");
  }
}
