package io.xolotl.xol;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.lab.Await;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;

/** The main class of a JVM that probes a process and is killed meanwhile, by others or by itself. */
final class CrashingJvm {

  private static final int SIGKILL = 9;
  private static final MethodHandle KILL = Linker.nativeLinker().downcallHandle(
      Linker.nativeLinker().defaultLookup().findOrThrow("kill"),
      FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));

  private CrashingJvm() {}

  /**
   * Arguments: what goes on when it is killed (hits, task, interrupt, toggle, sessions); the number of the
   * call at which it kills itself, or 0; the process; what is probed,
   * MODULE:FUNCTIONS/STEP, every so many instructions of those whose names match.
   */
  public static void main(String[] arguments) throws Exception {
    String way = arguments[0];
    int number = Integer.parseInt(arguments[1]);
    int pid = Integer.parseInt(arguments[2]);
    List<String> functions = List.of(arguments).subList(3, arguments.length);
    if (number == 0) {
      run(way, pid, functions, true);
      return;
    }
    String call = Faults.before(number, CrashingJvm::kill, () -> run(way, pid, functions, false));
    System.out.println(call == null ? "end" : "survived " + call);
  }

  private static void kill() {
    System.out.println("killed in " + StackWalker.getInstance().walk(frames -> frames
        .filter(
            frame -> frame.getClassName().startsWith("io.xolotl.") && !frame.getClassName().contains("Crash"))
        .map(frame -> frame.getClassName().replaceAll(".*[.]", "") + "." + frame.getMethodName())
        .skip(3).limit(9).collect(Collectors.joining(" < "))));
    try {
      int failed = (int) KILL.invokeExact((int) ProcessHandle.current().pid(), SIGKILL);
      throw new AssertionError("kill returned " + failed);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static void run(String way, int pid, List<String> functions, boolean forever) {
    do {
      try (ProbedProcess process = ProbedProcess.attach(pid)) {
        List<Probe> probes = register(process, way, functions);
        Await.until(() -> probes.stream().anyMatch(probe -> probe.hits() > 20), () -> "hits");
        System.out.println("probing");
        if (way.equals("toggle")) {
          do {
            process.unregister(probes);
            probes.clear();
            probes.addAll(register(process, way, functions));
          } while (forever);
        }
        if (forever && !way.equals("sessions")) {
          LockSupport.park();
        }
      }
    } while (forever);
  }

  /** Every so many instructions of a function. */
  private static void addAll(ProbedProcess process, ModuleFunction function, int step, ProbeHandler handler,
      HandlerContext context, List<ProbeRequest> requests) {
    byte[] code = process.memory().read(function.address(), (int) function.size());
    int number = 0;
    for (int offset = 0; offset < code.length;) {
      var instruction = (DecodedInstruction) Decoder.forThisCpu().decode(code, offset, code.length - offset,
          function.address() + offset);
      if (number++ % step == 0) {
        requests.add(ProbeRequest.at(instruction.address(), handler).inContext(context).trustingBoundary());
      }
      offset += instruction.length();
    }
  }

  private static List<Probe> register(ProbedProcess process, String way, List<String> functions) {
    ProbeHandler handler = hit -> {
      switch (way) {
        case "task" -> LockSupport.parkNanos(100_000_000);
        case "interrupt" -> LockSupport.parkNanos(1_000_000);
        default -> {
          // It does nothing.
        }
      }
    };
    HandlerContext context = way.equals("task") ? HandlerContext.TASK : HandlerContext.INTERRUPT;
    List<ProbeRequest> requests = new ArrayList<>();
    for (String function : functions) {
      String[] parts = function.split("[:/]");
      int step = parts.length > 2 ? Integer.parseInt(parts[2]) : 1;
      process.functions(parts[0]).stream()
          .filter(each -> each.names().stream().anyMatch(name -> name.matches(parts[1])))
          .forEach(each -> addAll(process, each, step, handler, context, requests));
    }
    return new ArrayList<>(process.registerPossible(requests).probes());
  }
}
