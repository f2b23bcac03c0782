import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ReturnProbeRequest;

/**
 * Fixes a bug of a running process: a function that returns wrong integers or pointers returns the right one,
 * until the process ends, or this does by Ctrl-C. The right value is decimal, or hexadecimal with 0x before
 * it.
 *
 * <pre>
 * mvn -DskipTests package
 * java --enable-native-access=io.xolotl.ptrace -p cli/target/lib --add-modules io.xolotl.xol \
 *     examples/FixBug.java 4711 shop:discount_percent 20
 * </pre>
 */
final class FixBug {

  static void main(String[] arguments) {
    if (arguments.length != 3 || !arguments[0].matches("[0-9]{1,9}")
        || !arguments[2].matches("-?(0x[0-9a-fA-F]{1,15}|[0-9]{1,18})")) {
      System.err.println("Usage: FixBug PID MODULE:FUNCTION VALUE");
      System.exit(2);
    }
    int pid = Integer.parseInt(arguments[0]);
    long right = Long.decode(arguments[2]);
    try (ProbedProcess process = ProbedProcess.attach(pid)) {
      ProbeLocation function = ProbeLocation.parse(arguments[1]);
      // What the entry handler returns, here the first argument, is what the return handler of that call
      // gets.
      process.register(ReturnProbeRequest.of(function,
          hit -> hit.registers().argument(0),
          (hit, argument) -> {
            long wrong = hit.registers().rax();
            hit.registers().rax(right);
            System.out.println("thread " + hit.threadId() + ": " + function + "(" + argument + ", ...) "
                + "returned "
                + wrong + ", made " + right);
          }).inContext(HandlerContext.TASK));
      System.out.println("Fixing " + function + " in process " + pid + ".");
      process.end().join();
    } catch (ProbeException | IllegalArgumentException e) {
      System.err.println(e.getMessage());
      System.exit(1);
    }
  }
}
