package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.TracedProcess;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The sessions of this JVM: Linux allows one tracer a process, so there is one session a process, shared by
 * its users. Any thread.
 */
final class Sessions {

  /**
   * By process; a session that is being opened is not completed yet, and one that ends is taken out when it
   * has.
   */
  private static final Map<Integer, CompletableFuture<Engine>> SESSIONS = new ConcurrentHashMap<>();

  private Sessions() {}

  /** Makes a new user of the session with a process, which is opened if there is none. */
  static ProbedProcess attach(int pid, ProbingOptions options) {
    while (true) {
      var opened = new CompletableFuture<Engine>();
      CompletableFuture<Engine> known = SESSIONS.putIfAbsent(pid, opened);
      if (known == null) {
        return open(pid, options, opened);
      }
      Engine engine;
      try {
        engine = known.join();
      } catch (CompletionException refused) {
        // Another thread's attempt. This thread's own says why.
        SESSIONS.remove(pid, known);
        continue;
      }
      Optional<ProbedProcess> user = engine.join(options);
      if (user.isPresent()) {
        return user.get();
      }
      engine.awaitReleased();
      SESSIONS.remove(pid, known);
    }
  }

  private static ProbedProcess open(int pid, ProbingOptions options, CompletableFuture<Engine> opened) {
    try {
      ProbedProcess user = Engine.attach(pid, options);
      opened.complete(user.engine());
      user.engine().released().thenRun(() -> SESSIONS.remove(pid, opened));
      return user;
    } catch (RuntimeException | Error e) {
      SESSIONS.remove(pid, opened);
      opened.completeExceptionally(e);
      if (e instanceof PtraceException p && p.reason() == PtraceException.Reason.ALREADY_TRACED) {
        refuseIfProbedWithAnother(pid);
      }
      throw e;
    }
  }

  /** A process that runs in the memory of one with a session is traced by that. */
  private static void refuseIfProbedWithAnother(int pid) {
    for (int other : SESSIONS.keySet()) {
      if (other != pid && TracedProcess.shareMemory(other, pid)) {
        throw new ProbeException(ProbeException.Reason.ADDRESS_SPACE_SHARED, "process " + pid
            + " shares the memory of process " + other
            + ", which this JVM probes: that session's probes are hit by"
            + " both, so use it, or close it first");
      }
    }
  }

  /** Makes a session known with a process that nobody else can have attached to. */
  static void enter(Engine engine) {
    CompletableFuture<Engine> opened = CompletableFuture.completedFuture(engine);
    // What is there is of an earlier process with the same id, whose end is about to be noticed.
    SESSIONS.put(engine.pid(), opened);
    engine.released().thenRun(() -> SESSIONS.remove(engine.pid(), opened));
  }
}
