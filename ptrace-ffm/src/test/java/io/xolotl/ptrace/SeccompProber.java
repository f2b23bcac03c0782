package io.xolotl.ptrace;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.lab.TargetProcess;
import java.util.List;

/**
 * The main class of a JVM that makes a system call in a program: once at first, and once after that has added
 * a filter. It prints "made" or "refused" each time, and "launched" at last when it has launched another.
 */
final class SeccompProber {

  private static final int SYS_GETPID = 39;

  private SeccompProber() {}

  /**
   * Arguments: what the program does before it is attached to; or "attach" and the id of a process, for one
   * call in that.
   */
  public static void main(String[] commands) {
    if (commands.length > 0 && commands[0].equals("attach")) {
      try (var traced = Traced.attach(Integer.parseInt(commands[1]), new Recorder())) {
        System.out.println(call(traced));
      }
      return;
    }
    try (var target = TargetProcess.start(FixtureProgram.SANDBOX)) {
      List.of(commands).forEach(command -> done(target, command));
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        System.out.println(call(traced));
        if (!List.of(commands).contains("strict")) {
          done(target, "filter allow 39");
          System.out.println(call(traced));
        }
      }
      done(target, "work");
    }
    try (var traced = Traced.launch(LaunchRequest.of(List.of("/bin/true")), new Recorder())) {
      traced.tracer.call(() -> {
        traced.process.threads().getFirst().handleStop();
        return 0;
      });
      System.out.println("launched");
    }
  }

  private static void done(TargetProcess target, String command) {
    target.send(command);
    target.awaitLine("done");
  }

  private static String call(Traced traced) {
    return traced.stopped(traced.mainThread(), thread -> {
      try {
        return thread.systemCall(SYS_GETPID) == traced.process.pid() ? "made" : "wrong";
      } catch (PtraceException e) {
        return e.reason() == PtraceException.Reason.SECCOMP ? "refused" : e.toString();
      }
    });
  }
}
