package consumer;

import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ProcessEnd;
import java.util.List;

/**
 * Counts the calls of malloc of a process, and the bytes that they ask for: {@code mvn compile exec:exec}.
 */
public final class CountAllocations {

  private CountAllocations() {}

  /**
   * Launches {@code ls} and prints a line about it, or fails if it does not end as it does without probes.
   */
  public static void main(String... arguments) {
    // Written by the tracer thread, which runs all handlers of a session, and read once the process has
    // ended.
    var bytes = new long[1];
    try (var process = ProbedProcess.launch(LaunchRequest.of(List.of("ls", "/")))) {
      Probe malloc = process.register(
          ProbeRequest.at("libc.so.6", "malloc", hit -> bytes[0] += hit.registers().argument(0)));
      process.start();
      ProcessEnd end = process.end().join();
      if (!end.equals(new ProcessEnd.Exited(0)) || malloc.hits() == 0 || bytes[0] == 0) {
        throw new IllegalStateException(end + " after " + malloc.hits() + " calls of malloc");
      }
      System.out.println("ls: " + malloc.hits() + " calls of malloc, " + bytes[0] + " bytes");
    }
  }
}
