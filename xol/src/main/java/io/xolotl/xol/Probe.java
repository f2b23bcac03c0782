package io.xolotl.xol;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.site.Site;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A handler at an instruction of a process, from its registration until it is unregistered, or the process
 * ends or executes another program. Any thread may use it, handlers included.
 */
public final class Probe {

  private final ProbedProcess process;
  private final ProbeRequest request;

  /** Whose entry or return it catches, or null. */
  private final @Nullable ReturnProbe owner;

  /**
   * Where the breakpoint is and how it works; null until the module is mapped. Written by the tracer thread
   * only.
   */
  private volatile @Nullable Placement placement;

  private record Placement(long address, Technique technique) {}

  /** Handlers of this probe that are handed to the executor and have not returned. */
  private final AtomicInteger running = new AtomicInteger();

  /**
   * What its handlers threw and nobody listened to; null as long as there is nothing. Guarded by
   * {@link #running}.
   */
  private @Nullable FailureLog failures;

  /** Of its handlers and its condition; whoever runs them counts. */
  private final AtomicLong errors = new AtomicLong();

  /** Written by the tracer thread only. */
  private volatile long hits;

  /** Written by the tracer thread only. */
  private volatile boolean active;

  /** Written by the tracer thread only. */
  private volatile boolean ended;

  /** Written by whoever asks for it, who all find the same. */
  private volatile long errnoFunction;

  /** Its handler may execute the instruction, and so comes behind all others. */
  private final boolean last;

  private final boolean internal;

  /** A probe that has no place yet. */
  Probe(ProbedProcess process, ProbeRequest request) {
    this(process, request, null, false);
  }

  /** A part of a return probe, that has no place yet. */
  Probe(ProbedProcess process, ProbeRequest request, @Nullable ReturnProbe owner, boolean last) {
    this(process, request, owner, last, false);
  }

  private Probe(ProbedProcess process, ProbeRequest request, @Nullable ReturnProbe owner, boolean last,
      boolean internal) {
    this.internal = internal;
    this.process = process;
    this.request = request;
    this.owner = owner;
    this.last = last;
  }

  /** A probe of the engine's own, that no user sees. */
  static Probe internal(ProbedProcess process, ProbeRequest request) {
    return new Probe(process, request, null, false, true);
  }

  /** A probe that a user has registered, or the entry of a return probe of one. */
  boolean isUsers() {
    return !internal && (owner == null || owner.isEntry(this));
  }

  boolean isInternal() {
    return internal;
  }

  boolean isLast() {
    return last;
  }

  /**
   * A probe like this one for a child that was forked, or nothing if it catches returns: the child's own
   * calls bring their own. Nothing either if it is limited to threads.
   */
  Optional<Probe> copyFor(ProbedProcess child) {
    if (internal || !request.threads().isEmpty()) {
      // The child has none of them.
      return Optional.empty();
    }
    if (owner == null) {
      return Optional.of(new Probe(child, request));
    }
    return owner.isEntry(this) ? Optional.of(owner.copyFor(child)) : Optional.empty();
  }

  /**
   * A probe like this one for another program, where it waits for its module; nothing if it is at an address,
   * which means nothing there, or limited to threads. Who insisted on a boundary did so about another file.
   */
  Optional<Probe> againIn(ProbedProcess user) {
    if (internal || request.location() instanceof ProbeLocation.Address || !request.threads().isEmpty()) {
      return Optional.empty();
    }
    if (owner == null) {
      return Optional.of(new Probe(user, request.inAnotherProgram()));
    }
    return owner.isEntry(this) ? Optional.of(owner.againIn(user)) : Optional.empty();
  }

  @Nullable
  ReturnProbe owner() {
    return owner;
  }

  /** {@return the process it probes} */
  public ProbedProcess process() {
    return process;
  }

  /** {@return the location that was asked for} */
  public ProbeLocation location() {
    return request.location();
  }

  /**
   * {@return address of the probed instruction in the process}
   *
   * @throws IllegalStateException if the module of the location is not mapped yet
   */
  public long address() {
    return placement().address();
  }

  /**
   * {@return how the displaced instruction is executed}
   *
   * @throws IllegalStateException if the module of the location is not mapped yet
   */
  public Technique technique() {
    return placement().technique();
  }

  /** {@return the address of the probed instruction in the process; empty as long as it is not known} */
  public OptionalLong placedAt() {
    Placement known = placement;
    return known == null ? OptionalLong.empty() : OptionalLong.of(known.address());
  }

  private Placement placement() {
    Placement known = placement;
    if (known == null) {
      throw new IllegalStateException("the module of " + location() + " is not mapped yet");
    }
    return known;
  }

  /**
   * {@return how often a thread arrived at the instruction while this probe was registered; with a probe that
   * is limited to threads or by a condition, one that it is for}
   */
  public long hits() {
    return hits;
  }

  /**
   * {@return how often its handler or its condition has failed: by what it threw, or because the executor
   * rejected the handler}
   */
  public long errors() {
    return owner == null || owner.isEntry(this) ? errors.get() : owner.errors();
  }

  /** {@return the return probe that this is a part of; empty if it is one of its own} */
  public Optional<ReturnProbe> returnProbe() {
    return Optional.ofNullable(owner);
  }

  /**
   * {@return true if hits are handled: the module is mapped, the probe is not unregistered, and the process
   * runs the same program}
   */
  public boolean isActive() {
    return active;
  }

  /** {@return true if the probe waits for its module to be mapped} */
  public boolean isWaiting() {
    return !active && !ended;
  }

  /**
   * Removes the probe. With the last one at an address the breakpoint leaves too. Idempotent; without effect
   * when the process has ended.
   *
   * <p>When it returns outside a handler, no handler of this probe runs and none will. Within a handler, of
   * whatever probe, it does not wait for those that run at the same time. One that it has waited for for a
   * second is {@linkplain ProbeHandler#onHit interrupted}.
   */
  public void unregister() {
    process.unregister(List.of(this));
  }

  // For the engine.

  ProbeRequest request() {
    return request;
  }

  ProbeHandler handler() {
    return request.handler().handler();
  }

  HandlerContext context() {
    return request.handler().context();
  }

  /** Tracer thread only. */
  @SuppressWarnings("NonAtomicOperationOnVolatileField")
  long countHit() {
    // One writer: the tracer thread.
    return hits = hits + 1;
  }

  /** Where the C library of the probed function tells where errno is; 0 as long as nobody has asked. */
  long errnoFunction() {
    return errnoFunction;
  }

  void errnoFunction(long address) {
    errnoFunction = address;
  }

  /** Tracer thread only. */
  void activate(Site site) {
    placement = new Placement(site.address(), site.technique());
    active = true;
  }

  /** It is not at its place any more, and may come back. Tracer thread only. */
  void suspend() {
    active = false;
  }

  /** Tracer thread only. */
  void deactivate() {
    active = false;
    boolean wasOver = ended;
    ended = true;
    FailureLog known;
    synchronized (running) {
      known = failures;
    }
    if (known != null && !wasOver) {
      known.end(this);
    }
  }

  /**
   * Those of a function's returns are its entry's: there is a probe for each place where it is left. Any
   * thread.
   */
  FailureLog failures() {
    if (owner != null && !owner.isEntry(this)) {
      return owner.entry().failures();
    }
    synchronized (running) {
      FailureLog known = failures;
      if (known == null) {
        known = new FailureLog();
        failures = known;
      }
      return known;
    }
  }

  /** The one whose errors count: for the parts of a return probe its entry. */
  private Probe counted() {
    return owner == null ? this : owner.entry();
  }

  /** A handler or a condition has failed. With as many errors as there may be, the probe ends. Any thread. */
  boolean countError() {
    Probe counted = counted();
    return counted.request.isEnough(counted.errors.incrementAndGet());
  }

  /** It has had all errors that it may have: nobody runs its handler any more. Any thread. */
  boolean isWornOut() {
    Probe counted = counted();
    return counted.request.isEnough(counted.errors.get());
  }

  /** Unregisters it, and all of the return probe that it is a part of; returns false if it was over. */
  boolean end() {
    return owner == null ? process.end(List.of(this)) : owner.end();
  }

  boolean isHandling() {
    return running.get() != 0;
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

  /**
   * Waits until no handler of this probe runs on the executor. None is scheduled any more once it is
   * inactive.
   *
   * @param interval how long to wait between two looks at what holds it up
   * @param look done then
   */
  void awaitHandlers(Duration interval, Runnable look) {
    boolean interrupted = false;
    long begin = System.nanoTime();
    while (isHandling()) {
      long left = interval.toNanos() - (System.nanoTime() - begin);
      if (left <= 0) {
        look.run();
        begin = System.nanoTime();
        continue;
      }
      synchronized (running) {
        try {
          if (isHandling()) {
            TimeUnit.NANOSECONDS.timedWait(running, left);
          }
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
