import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ProcessEnd;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Injects a fault: runs a command in which one call of malloc, by default the 100th, fails: it returns 0,
 * and the thread's errno is ENOMEM. It tells who made that call and how the command ended.
 *
 * <pre>
 * mvn -DskipTests package
 * java --enable-native-access=io.xolotl.ptrace -p cli/target/lib --add-modules io.xolotl.xol \
 *     examples/FailAllocation.java 100 -- ls -l
 * </pre>
 */
final class FailAllocation {

  private static final int ENOMEM = 12;

  static void main(String[] arguments) {
    int separator = Arrays.asList(arguments).indexOf("--");
    if (separator < 0 || separator > 1 || separator == arguments.length - 1
        || separator == 1 && !arguments[0].matches("[1-9][0-9]{0,17}")) {
      System.err.println("Usage: FailAllocation [NUMBER] -- COMMAND [ARGUMENT...]");
      System.exit(2);
    }
    long number = separator == 1 ? Long.parseLong(arguments[0]) : 100;
    List<String> command = Arrays.asList(arguments).subList(separator + 1, arguments.length);

    // The command is held before any code of its libraries has run, so that no call is missed.
    try (ProbedProcess process = ProbedProcess.launch(LaunchRequest.of(command))) {
      var failed = new AtomicReference<String>();
      Probe malloc = process.register(ProbeRequest.at("libc.so.6", "malloc", hit -> {
        if (hit.number() == number) {
          long caller = hit.caller();
          hit.failFunction(0, ENOMEM);
          failed.set("malloc(" + hit.argument(0) + ") called from " + process.describe(caller)
              + " in thread " + hit.threadId() + " returned 0");
          hit.probe().unregister();
        }
      }));
      process.start();
      ProcessEnd end = process.end().join();

      System.err.println(failed.get() != null
          ? "Call " + number + ", " + failed.get() + "."
          : "There were only " + malloc.hits() + " calls of malloc; all went on as usual.");
      System.err.println(switch (end) {
        case ProcessEnd.Exited(int status) -> "The command exited with status " + status + ".";
        case ProcessEnd.Killed(int signal) -> "The command was killed by signal " + signal + ".";
        case ProcessEnd.Detached() -> "The command goes on.";
      });
    } catch (ProbeException e) {
      System.err.println(e.getMessage());
      System.exit(1);
    }
  }
}
