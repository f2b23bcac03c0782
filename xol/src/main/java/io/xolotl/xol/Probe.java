package io.xolotl.xol;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * A handler at an instruction of a process, from its registration until it is unregistered, or the process ends or
 * executes another program. Any thread may use it, handlers included.
 */
public final class Probe {

  private final ProbedProcess process;
  private final ProbeRequest request;
  private final long address;
  private final Technique technique;

  /** Handlers of this probe that are handed to the executor and have not returned. */
  private final AtomicInteger running = new AtomicInteger();

  /** Written by the tracer thread only. */
  private volatile long hits;

  /** Written by the tracer thread only. */
  private volatile boolean active = true;

  Probe(ProbedProcess process, ProbeRequest request, long address, Technique technique) {
    this.process = process;
    this.request = request;
    this.address = address;
    this.technique = technique;
  }

  /** The process it probes. */
  public ProbedProcess process() {
    return process;
  }

  /** The location that was asked for. */
  public ProbeLocation location() {
    return request.location();
  }

  /** Address of the probed instruction in the process. */
  public long address() {
    return address;
  }

  /** How the displaced instruction is executed. */
  public Technique technique() {
    return technique;
  }

  /** How often a thread arrived at the instruction while this probe was registered. */
  public long hits() {
    return hits;
  }

  /** Tells whether hits are still handled: it is not unregistered and its process runs the same program. */
  public boolean isActive() {
    return active;
  }

  /**
   * Removes the probe. With the last one at an address the breakpoint leaves too. Idempotent; without effect when the
   * process has ended.
   *
   * <p>When it returns outside a handler, no handler of this probe runs and none will. Within a handler, of whatever
   * probe, it does not wait for those that run at the same time.
   */
  public void unregister() {
    process.unregister(this);
  }

  // For the engine.

  ProbeRequest request() {
    return request;
  }

  ProbeHandler handler() {
    return request.handler();
  }

  HandlerContext context() {
    return request.context();
  }

  /** Tracer thread only. */
  @SuppressWarnings("NonAtomicOperationOnVolatileField")
  long countHit() {
    // One writer: the tracer thread.
    return hits = hits + 1;
  }

  /** Tracer thread only. */
  void deactivate() {
    active = false;
  }

  void handlerScheduled() {
    running.incrementAndGet();
  }

  void handlerReturned() {
    if (running.decrementAndGet() == 0) {
      synchronized (running) {
        running.notifyAll();
      }
    }
  }

  /** Waits until no handler of this probe runs on the executor. None is scheduled any more once it is inactive. */
  void awaitHandlers() {
    boolean interrupted = false;
    synchronized (running) {
      while (running.get() != 0) {
        try {
          running.wait();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public String toString() {
    return "probe at " + location() + " in process " + process.pid();
  }
}
