import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Prints the calls of a function of a running process: the thread and the six integer arguments that are in
 * registers, of which the function may have fewer. Ends with the process, or by Ctrl-C, which leaves the
 * process as it was.
 *
 * <pre>
 * mvn -DskipTests package
 * java --enable-native-access=io.xolotl.ptrace -p cli/target/lib --add-modules io.xolotl.xol \
 *     examples/TraceArguments.java 4711 libc.so.6:malloc
 * </pre>
 */
final class TraceArguments {

  static void main(String[] arguments) {
    if (arguments.length != 2 || !arguments[0].matches("[0-9]{1,9}")) {
      System.err.println("Usage: TraceArguments PID MODULE:FUNCTION");
      System.exit(2);
    }
    int pid = Integer.parseInt(arguments[0]);
    try (ProbedProcess process = ProbedProcess.attach(pid)) {
      ProbeLocation function = ProbeLocation.parse(arguments[1]);
      // As a task: where the output goes may be slow, and must not hold up the process's other threads.
      process.register(ProbeRequest.at(function, hit -> {
        String values = IntStream.range(0, 6)
            .mapToObj(i -> "0x" + Long.toHexString(hit.registers().argument(i)))
            .collect(Collectors.joining(", "));
        System.out.println("thread " + hit.threadId() + ": " + function + "(" + values + ")");
      }).inContext(HandlerContext.TASK));
      System.out.println("Tracing " + function + " in process " + pid + ".");
      process.end().join();
    } catch (ProbeException | IllegalArgumentException e) {
      System.err.println(e.getMessage());
      System.exit(1);
    }
  }
}
