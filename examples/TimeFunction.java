import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ReturnProbeRequest;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Times calls of a function of a running process, by default 1000 of them or as many as there are until the
 * process ends or Ctrl-C. A time includes that of one stop of the thread, some microseconds.
 *
 * <pre>
 * mvn -DskipTests package
 * java --enable-native-access=io.xolotl.ptrace -p cli/target/lib --add-modules io.xolotl.xol \
 *     examples/TimeFunction.java 4711 libc.so.6:fflush 200
 * </pre>
 */
final class TimeFunction {

  static void main(String[] arguments) {
    if (arguments.length < 2 || arguments.length > 3 || !arguments[0].matches("[0-9]{1,9}")
        || arguments.length == 3 && !arguments[2].matches("[1-9][0-9]{0,6}")) {
      System.err.println("Usage: TimeFunction PID MODULE:FUNCTION [CALLS]");
      System.exit(2);
    }
    int pid = Integer.parseInt(arguments[0]);
    var nanos = new long[arguments.length == 3 ? Integer.parseInt(arguments[2]) : 1000];
    var timed = new AtomicInteger();
    var enough = new CompletableFuture<Void>();
    try (ProbedProcess process = ProbedProcess.attach(pid)) {
      ProbeLocation function = ProbeLocation.parse(arguments[1]);
      // All handlers of a session that are no tasks run in one thread, so one at a time.
      process.register(ReturnProbeRequest.of(function, hit -> System.nanoTime(), (hit, began) -> {
        int index = timed.get();
        if (index < nanos.length) {
          nanos[index] = System.nanoTime() - began;
          if (timed.incrementAndGet() == nanos.length) {
            enough.complete(null);
          }
        }
      }));
      // However this ends.
      Runtime.getRuntime().addShutdownHook(new Thread(() -> report(Arrays.copyOf(nanos, timed.get()))));
      System.out.println("Timing " + function + " in process " + pid + ".");
      CompletableFuture.anyOf(enough, process.end()).join();
    } catch (ProbeException | IllegalArgumentException e) {
      System.err.println(e.getMessage());
      System.exit(1);
    }
  }

  private static void report(long[] nanos) {
    if (nanos.length == 0) {
      System.out.println("No call has returned.");
      return;
    }
    Arrays.sort(nanos);
    System.out.printf(Locale.ROOT, "%d calls: mean %.1f us, median %.1f us, maximum %.1f us%n", nanos.length,
        Arrays.stream(nanos).average().orElseThrow() / 1000, nanos[nanos.length / 2] / 1000.0,
        nanos[nanos.length - 1] / 1000.0);
  }
}
