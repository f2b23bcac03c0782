package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.tracee.Tracee;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;

/**
 * Calls what belongs to users: handlers, conditions, listeners, executors. Whatever they throw must not stop
 * the process that they look at, and whoever waits for them must be able to see what they do: see
 * {@link UserCode}. Tracer thread, but for handlers in task context.
 */
final class Handlers {

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private static final ThreadLocal<Boolean> IN_HANDLER = ThreadLocal.withInitial(() -> false);

  private final Tracer tracer;

  /** What runs of the users' on the tracer thread. */
  private final UserCode onTracer;

  private final SessionStatistics statistics;

  Handlers(Tracer tracer, UserCode onTracer, SessionStatistics statistics) {
    this.tracer = tracer;
    this.onTracer = onTracer;
    this.statistics = statistics;
  }

  /** Looks after what runs on the tracer thread. Any thread. */
  void look() {
    onTracer.look(null);
  }

  /** Returns true if the calling thread runs a handler. Any thread. */
  static boolean isInHandler() {
    return IN_HANDLER.get();
  }

  /** Returns true if the hit concerns a probe that is limited to threads or by a condition. */
  boolean accepts(Probe probe, Tracee tracee) {
    ProbeRequest request = probe.request();
    if (!request.threads().isEmpty() && !request.threads().contains(tracee.thread().tid())) {
      return false;
    }
    if (request.condition().isEmpty()) {
      return true;
    }
    Throwable thrown;
    onTracer.enter(UserCode.Kind.CONDITION, probe);
    try {
      return request.condition().get().test(tracee.registers());
    } catch (Throwable t) {
      thrown = t;
    } finally {
      onTracer.exit();
    }
    failed(onTracer, probe, thrown);
    return false;
  }

  /** Runs a handler in interrupt context. */
  void run(ProbeHit hit, Probe probe, long number) {
    runHandler(onTracer, hit, probe, number);
  }

  /**
   * Hands a hit to the executor.
   *
   * @return false if it is refused: the probed program goes on all the same
   */
  boolean handOver(ProbeHit hit, Probe probe, long number) {
    probe.handlerScheduled();
    hit.handedOver = probe;
    try {
      // An executor may start a thread for it.
      inUserCode(UserCode.Kind.EXECUTOR, probe,
          () -> probe.process().options().taskExecutor().execute(() -> {
            try {
              runHandler(hit.task, hit, probe, number);
            } finally {
              hit.handedOver = null;
              probe.handlerReturned();
              returned(hit);
            }
          }));
      return true;
    } catch (Throwable e) {
      // Rejected, or no memory for a thread, or whatever an executor in another language throws.
      hit.handedOver = null;
      probe.handlerReturned();
      failed(onTracer, probe, e);
      return false;
    }
  }

  /** On the executor. */
  private void returned(ProbeHit hit) {
    try {
      tracer.execute(hit.whenReturned());
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.CLOSED) {
        throw e;
      }
      // The JVM exits, and has not waited for this handler.
    }
  }

  private void runHandler(UserCode code, ProbeHit hit, Probe probe, long number) {
    hit.begin(probe, number);
    boolean outer = IN_HANDLER.get();
    IN_HANDLER.set(true);
    Throwable thrown = null;
    try {
      code.enter(UserCode.Kind.HANDLER, probe);
      try {
        probe.handler().onHit(hit);
      } catch (Throwable t) {
        thrown = t;
      } finally {
        code.exit();
      }
      if (thrown != null) {
        if (probe.owner() == null || hit.isUsersFailure()) {
          failed(code, probe, thrown);
        } else {
          reportError(code, probe, thrown);
        }
      }
    } finally {
      IN_HANDLER.set(outer);
      hit.end();
    }
  }

  /** A user's code has failed. With as many errors as a probe may have, it ends. */
  private void failed(UserCode code, Probe probe, Throwable thrown) {
    statistics.handlerError();
    reportError(code, probe, thrown);
    if (!probe.countError()) {
      return;
    }
    try {
      if (probe.end()) {
        statistics.lost(ProbeException.Reason.TOO_MANY_ERRORS);
        reportError(code, probe, new ProbeException(ProbeException.Reason.TOO_MANY_ERRORS,
            probe.returnProbe().map(ReturnProbe::toString).orElseGet(probe::toString)
                + " is unregistered: it has failed " + probe.errors() + " times, as often as it may"));
      }
    } catch (RuntimeException e) {
      // The thread that has hit must go on.
      reportError(code, probe, e);
    }
  }

  /** Tells the user of a probe what went wrong. */
  void reportError(Probe probe, Throwable thrown) {
    reportError(onTracer, probe, thrown);
  }

  private static void reportError(UserCode code, Probe probe, Throwable thrown) {
    // A run of its own: it is not to be interrupted for what the handler did.
    code.enter(UserCode.Kind.ERROR_LISTENER, probe);
    try {
      probe.process().options().errorListener().accept(probe, thrown);
    } catch (Throwable t) {
      ProbingOptions.log(probe, thrown);
      ProbingOptions.log(probe, t);
    } finally {
      code.exit();
    }
  }

  /** Does something of a user's that may start threads. */
  void inUserCode(UserCode.Kind kind, Object whose, Runnable action) {
    onTracer.enter(kind, whose);
    try {
      tracer.unpinned(action);
    } finally {
      onTracer.exit();
    }
  }

  /** Calls process listeners. */
  void notifyUsers(Session session, Collection<ProbedProcess> users, Consumer<ProbedProcess> call) {
    for (ProbedProcess user : List.copyOf(users)) {
      // One may have left in a call for another.
      if (users.contains(user)) {
        notified(session, () -> call.accept(user));
      }
    }
  }

  /** Calls one process listener. */
  void notified(Session session, Runnable call) {
    try {
      inUserCode(UserCode.Kind.PROCESS_LISTENER, session, call);
    } catch (Throwable t) {
      LOGGER.log(System.Logger.Level.ERROR, UserCode.Kind.PROCESS_LISTENER.of(session) + " failed", t);
    }
  }
}
