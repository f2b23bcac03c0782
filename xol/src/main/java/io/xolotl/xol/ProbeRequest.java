package io.xolotl.xol;

import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.Registers;
import io.xolotl.xol.elf.Boundary;
import io.xolotl.xol.site.Place;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Predicate;

/**
 * What to probe and how. Immutable: each method returns a changed copy. Two requests are equal only if they
 * are the same.
 */
public final class ProbeRequest {

  /** The error limit of requests that set none. */
  private static final long NO_LIMIT = Long.MAX_VALUE;

  private final ProbeLocation location;
  private final ProbeAction action;
  private final RelocationPolicy policy;
  private final Optional<Technique> technique;
  private final boolean whenMapped;
  private final boolean allowUnverifiedBoundary;
  private final Set<Integer> threads;
  private final Optional<Predicate<Registers>> condition;
  private final long errorLimit;

  private ProbeRequest(ProbeLocation location, ProbeAction action, RelocationPolicy policy,
      Optional<Technique> technique, boolean whenMapped, boolean allowUnverifiedBoundary,
      Set<Integer> threads, Optional<Predicate<Registers>> condition, long errorLimit) {
    this.location = Objects.requireNonNull(location, "location");
    this.action = Objects.requireNonNull(action, "action");
    this.policy = Objects.requireNonNull(policy, "policy");
    this.technique = technique;
    this.whenMapped = whenMapped;
    this.allowUnverifiedBoundary = allowUnverifiedBoundary;
    this.threads = Set.copyOf(threads);
    this.condition = condition;
    this.errorLimit = errorLimit;
  }

  /** {@return where it probes} */
  public ProbeLocation location() {
    return location;
  }

  /** {@return what happens at a hit} */
  public ProbeAction action() {
    return action;
  }

  /** {@return whether the copy of the displaced instruction may be changed} */
  public RelocationPolicy policy() {
    return policy;
  }

  /** {@return how the displaced instruction must be executed; empty to let the engine choose} */
  public Optional<Technique> technique() {
    return technique;
  }

  /** {@return whether to wait for the location's module if it is not mapped yet} */
  public boolean whenMapped() {
    return whenMapped;
  }

  /** {@return whether an address is accepted of which nothing proves that an instruction starts there} */
  public boolean allowUnverifiedBoundary() {
    return allowUnverifiedBoundary;
  }

  /** {@return ids of the threads whose hits count; none for all threads} */
  public Set<Integer> threads() {
    return threads;
  }

  /** {@return what must hold for a hit to count} */
  public Optional<Predicate<Registers>> condition() {
    return condition;
  }

  /**
   * {@return how many errors of the handler and the condition end the probe, at least 1; empty if none do}
   */
  public OptionalLong errorLimit() {
    return errorLimit == NO_LIMIT ? OptionalLong.empty() : OptionalLong.of(errorLimit);
  }

  /** Returns true if so many errors are as many as there may be. */
  boolean isEnough(long errors) {
    return errors >= errorLimit;
  }

  /**
   * {@return a probe on a location, with its handler in {@link HandlerContext#INTERRUPT}}
   *
   * @param location where
   * @param handler what happens at a hit
   */
  public static ProbeRequest at(ProbeLocation location, ProbeHandler handler) {
    return at(location, new ProbeAction.Handler(handler, HandlerContext.INTERRUPT));
  }

  /**
   * {@return a probe on a location}
   *
   * @param location where
   * @param action what happens at a hit
   */
  public static ProbeRequest at(ProbeLocation location, ProbeAction action) {
    return new ProbeRequest(location, action, RelocationPolicy.FULL, Optional.empty(), false, false,
        Set.of(), Optional.empty(), NO_LIMIT);
  }

  /**
   * {@return a probe on an address}
   *
   * @param address of an instruction's first byte in the process, unsigned
   * @param handler what happens at a hit
   */
  public static ProbeRequest at(long address, ProbeHandler handler) {
    return at(new ProbeLocation.Address(address), handler);
  }

  /**
   * {@return a probe on the first instruction of a function}
   *
   * @param module names a mapped ELF file, as {@link ProbeLocation.Symbol} says
   * @param symbol names the function
   * @param handler what happens at a hit
   */
  public static ProbeRequest at(String module, String symbol, ProbeHandler handler) {
    return at(new ProbeLocation.Symbol(module, symbol, 0), handler);
  }

  /**
   * {@return the same with the handler in another context}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbeRequest inContext(HandlerContext replacement) {
    return doing(new ProbeAction.Handler(handler().handler(), replacement));
  }

  /**
   * {@return the same under another policy}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbeRequest under(RelocationPolicy replacement) {
    return new ProbeRequest(location, action, replacement, technique, whenMapped,
        allowUnverifiedBoundary, threads, condition, errorLimit);
  }

  /**
   * {@return the same with a technique that the engine must use}
   *
   * @param forced the technique
   */
  public ProbeRequest with(Technique forced) {
    return new ProbeRequest(location, action, policy, Optional.of(forced), whenMapped,
        allowUnverifiedBoundary, threads, condition, errorLimit);
  }

  /**
   * {@return the same, waiting for the module of the location if it is not mapped yet: the probe becomes
   * active when the dynamic linker has mapped the module, before any of its code, constructors included,
   * runs} An IFUNC is waited for as well: the probe becomes active when the process has chosen an
   * implementation, and before that is called.
   */
  public ProbeRequest whenItIsMapped() {
    return new ProbeRequest(location, action, policy, technique, true, allowUnverifiedBoundary, threads,
        condition, errorLimit);
  }

  /**
   * {@return the same, insisting that an instruction starts at the location although nothing proves it} A
   * breakpoint among data or in the middle of an instruction changes what the process computes.
   */
  public ProbeRequest trustingBoundary() {
    return new ProbeRequest(location, action, policy, technique, whenMapped, true, threads,
        condition, errorLimit);
  }

  /**
   * {@return the same for some threads only} Others that arrive at the instruction execute it, and their hits
   * are not counted.
   *
   * <p>A thread that has ended since somebody asked for it does not exist, and the registration is refused
   * with {@link ProbeException.Reason#NO_SUCH_THREAD}.
   *
   * @param threadIds ids of threads in this JVM's pid namespace, at least one
   */
  public ProbeRequest inThreads(Set<Integer> threadIds) {
    if (threadIds.isEmpty()) {
      throw new IllegalArgumentException("a probe needs at least one thread; without inThreads it has all");
    }
    return withThreadsOf(threadIds);
  }

  /** The same for some threads only; none for all threads. */
  ProbeRequest withThreadsOf(Set<Integer> threadIds) {
    return new ProbeRequest(location, action, policy, technique, whenMapped,
        allowUnverifiedBoundary, threadIds, condition, errorLimit);
  }

  /**
   * {@return the same for some hits only}
   *
   * @param test asked about the registers before the hit is counted and its handler is run or scheduled, on
   *     the tracer thread: it must be short, must not block and must not change them. If it throws, the
   *     session's error listener is told and the hit does not count.
   */
  public ProbeRequest onlyIf(Predicate<Registers> test) {
    return new ProbeRequest(location, action, policy, technique, whenMapped,
        allowUnverifiedBoundary, threads, Optional.of(test), errorLimit);
  }

  /**
   * {@return the same for so many errors only: with the last of them the probe is unregistered, and the
   * session's error listener is told so by a {@link ProbeException} with {@link
   * ProbeException.Reason#TOO_MANY_ERRORS}} An error is whatever the handler or the condition throws, and a
   * handler in {@link HandlerContext#TASK} that the executor rejects. Handlers that run at that moment run
   * on; no other begins.
   *
   * <p>Copies of the probe, in children that are followed and in programs that are executed, count for
   * themselves.
   *
   * @param errors at least 1
   */
  public ProbeRequest withErrorLimit(long errors) {
    if (errors < 1) {
      throw new IllegalArgumentException("a probe may fail once before it ends, not " + errors + " times");
    }
    return new ProbeRequest(location, action, policy, technique, whenMapped, allowUnverifiedBoundary,
        threads, condition, errors);
  }

  private ProbeRequest doing(ProbeAction replacement) {
    return new ProbeRequest(location, replacement, policy, technique, whenMapped, allowUnverifiedBoundary,
        threads, condition, errorLimit);
  }

  /** What it runs at a hit, and where. */
  ProbeAction.Handler handler() {
    return switch (action) {
      case ProbeAction.Handler handler -> handler;
    };
  }

  /** The same with another handler. */
  ProbeRequest handledBy(ProbeHandler replacement) {
    return doing(new ProbeAction.Handler(replacement, handler().context()));
  }

  /** The same for a program that is executed, in which nothing is mapped yet, and nothing was insisted on. */
  ProbeRequest inAnotherProgram() {
    return new ProbeRequest(location, action, policy, technique, true, false, threads, condition,
        errorLimit);
  }

  /** Where its location is, on its terms. */
  Place place(long address, Boundary boundary) {
    return new Place(address, boundary, policy, technique, allowUnverifiedBoundary);
  }

  @Override
  public String toString() {
    return "probe request at " + location;
  }
}
