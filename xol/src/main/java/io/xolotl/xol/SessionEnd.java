package io.xolotl.xol;

import io.xolotl.ptrace.Tracer;
import java.util.Collection;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * How the end of a session is told, and how it is waited for. Whoever waits looks meanwhile at what users'
 * code holds the end up, since nobody else does: see {@link UserCode}. Any thread, but for {@link #reached}.
 */
final class SessionEnd {

  private final Tracer tracer;
  private final Handlers handlers;
  private final Collection<ProbeHit> hits;

  private final CompletableFuture<ProcessEnd> told = new CompletableFuture<>();
  /** Completes when the process is let go, or has ended and all handlers have returned. */
  private final CompletableFuture<Boolean> released = new CompletableFuture<>();
  /** Written before {@link #released} completes: nobody else needs the tracer. */
  private volatile boolean lastOfTracer;

  /**
   * The end of a session that has just begun.
   *
   * @param hits all threads that handlers may run for
   */
  SessionEnd(Tracer tracer, Handlers handlers, Collection<ProbeHit> hits) {
    this.tracer = tracer;
    this.handlers = handlers;
    this.hits = hits;
  }

  /** How the session ends, for users. */
  CompletableFuture<ProcessEnd> told() {
    return told;
  }

  /** Does something when the process is let go, or has ended and all handlers have returned. */
  void thenRun(Runnable action) {
    released.thenRun(action);
  }

  boolean isReached() {
    return released.isDone();
  }

  /** Tracer thread, once. The tracer ends with the last of its sessions. */
  void reached(boolean last) {
    lastOfTracer = last;
    released.complete(true);
    if (last) {
      tracer.close();
    }
  }

  /**
   * Neither a handler nor what a user hangs on {@link #told}, on the tracer thread, can wait for handlers.
   */
  boolean mayBeAwaited() {
    return !Handlers.isInHandler() && !tracer.isTracerThread();
  }

  /**
   * Waits until the session has ended.
   *
   * @throws ProbeException in a handler of the session, which is one of those that it waits for
   */
  void await(Session session) {
    if (!mayBeAwaited()) {
      throw new ProbeException(ProbeException.Reason.CLOSED,
          "the session with " + session + " is closing and waits for this handler to return");
    }
    var wait = new TaskWait(hits, null);
    while (!awaitAWhile()) {
      handlers.look();
      wait.look();
    }
    if (lastOfTracer) {
      // A listener that has closed the session may still run.
      tracer.close(UserCode.INTERVAL, handlers::look);
    }
  }

  /**
   * Waits for the session to end while the JVM exits: what handlers wait for may never come then.
   *
   * @param abandon done at most once, if handlers are given up
   */
  void awaitAtExit(Runnable abandon) {
    var wait = new TaskWait(hits, null);
    while (!awaitAWhile()) {
      handlers.look();
      if (wait.look()) {
        abandon.run();
        break;
      }
    }
  }

  /** Waits a while for the end; returns true if it is reached. */
  private boolean awaitAWhile() {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return released.get(UserCode.INTERVAL.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
          return false;
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (ExecutionException e) {
          throw new IllegalStateException("nothing completes it exceptionally", e);
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Waits until no handler of a probe runs on the executor. */
  void awaitHandlers(Probe probe) {
    probe.awaitHandlers(UserCode.INTERVAL, new TaskWait(hits, probe)::look);
  }
}
