package io.xolotl.xol;

import io.xolotl.decoder.Decoder;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.TraceHandler;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.program.Startup;
import io.xolotl.xol.site.SiteException;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The sessions of this JVM: Linux allows one tracer a process, so there is one session a process, shared by
 * its users. Any thread.
 */
final class Sessions {

  /**
   * By process; a session that is being opened is not completed yet, and one that ends is taken out when it
   * has.
   */
  private static final Map<Integer, CompletableFuture<Session>> SESSIONS = new ConcurrentHashMap<>();

  private Sessions() {}

  /** Makes a new user of the session with a process, which is opened if there is none. */
  static ProbedProcess attach(int pid, ProbingOptions options) {
    while (true) {
      var opened = new CompletableFuture<Session>();
      CompletableFuture<Session> known = SESSIONS.putIfAbsent(pid, opened);
      if (known == null) {
        return open(pid, options, opened);
      }
      Session session;
      try {
        session = known.join();
      } catch (CompletionException refused) {
        // Another thread's attempt. This thread's own says why.
        SESSIONS.remove(pid, known);
        continue;
      }
      Optional<ProbedProcess> user = session.join(options);
      if (user.isPresent()) {
        return user.get();
      }
      session.end().await(session);
      SESSIONS.remove(pid, known);
    }
  }

  private static ProbedProcess open(int pid, ProbingOptions options, CompletableFuture<Session> opened) {
    try {
      ProbedProcess user = opened("xolotl-tracer-" + pid, options, opening -> {
        TracedProcess.attach(opening.tracer, pid, opening);
        // Only now, since it hands out stops.
        opening.session().completeAttach();
      });
      opened.complete(user.session());
      user.session().end().thenRun(() -> SESSIONS.remove(pid, opened));
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
            + ", which this JVM probes: use that session, whose probes are hit by both, or close it first");
      }
    }
  }

  /** Starts a program, and opens a session with its first user. */
  static ProbedProcess launch(LaunchRequest request, ProbingOptions options, ProbedProcess.LaunchStop stop) {
    ProbedProcess user = opened("xolotl-tracer", options, opening -> {
      TracedProcess launched = TracedProcess.launch(opening.tracer, request, opening);
      opening.session().hold();
      if (stop == ProbedProcess.LaunchStop.LIBRARIES_LOADED) {
        try {
          Startup.runToLibraries(launched.threads().getFirst()).ifPresent(address -> {
            throw new ProbeException(ProbeException.Reason.SYSTEM_ERROR, address,
                "the dynamic linker of process "
                    + launched.pid() + " cannot be read at " + SiteException.hex(address));
          });
        } catch (RuntimeException e) {
          // Nobody else knows of it.
          launched.kill();
          throw e;
        }
      }
    });
    enter(user.session());
    return user;
  }

  /** Makes the session when there is a process for it. Used by the tracer thread, once. */
  private static final class Opening implements Function<TracedProcess, TraceHandler> {
    private final Tracer tracer;
    private final UserCode onTracer;
    private @Nullable Session session;

    Opening(Tracer tracer, UserCode onTracer) {
      this.tracer = tracer;
      this.onTracer = onTracer;
    }

    @Override
    public TraceHandler apply(TracedProcess process) {
      session = new Session(tracer, process, new LinkedHashSet<>(), onTracer);
      return session.stops();
    }

    Session session() {
      return Objects.requireNonNull(session, "the tracer makes the handler of a process first");
    }
  }

  private static ProbedProcess opened(String name, ProbingOptions options, Consumer<Opening> how) {
    // Before anything is attached to.
    Objects.requireNonNull(Decoder.forThisCpu());
    Tracer tracer = Tracer.start(name, options.tracerAffinity(), options.idleCpus());
    var onTracer = new UserCode(true);
    ProbedProcess user;
    try {
      user = tracer.call(() -> {
        var opening = new Opening(tracer, onTracer);
        how.accept(opening);
        return opening.session().newUser(options);
      }, UserCode.INTERVAL, () -> onTracer.look(null));
    } catch (RuntimeException | Error e) {
      tracer.close();
      throw e;
    }
    if (!user.session().restoreAtExit()) {
      user.session().close();
      throw new ProbeException(ProbeException.Reason.CLOSED, "this JVM is shutting down");
    }
    return user;
  }

  /** Makes a session known with a process that nobody else can have attached to. */
  static void enter(Session session) {
    CompletableFuture<Session> opened = CompletableFuture.completedFuture(session);
    // What is there is of an earlier process with the same id, whose end is about to be noticed.
    SESSIONS.put(session.pid(), opened);
    session.end().thenRun(() -> SESSIONS.remove(session.pid(), opened));
  }
}
