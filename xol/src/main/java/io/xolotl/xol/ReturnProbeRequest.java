package io.xolotl.xol;

import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.Registers;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The calls of a function to observe, from entry to return. Immutable: each method returns a changed copy.
 *
 * @param <T> what the handlers at the entry and the return share for each call
 */
public final class ReturnProbeRequest<T extends @Nullable Object> {

  /** What is registered at the entry; its own handler is never called. */
  private final ProbeRequest entry;
  private final EntryHandler<T> onEntry;
  private final ReturnHandler<T> onReturn;

  private ReturnProbeRequest(ProbeRequest entry, EntryHandler<T> onEntry, ReturnHandler<T> onReturn) {
    this.entry = entry;
    this.onEntry = Objects.requireNonNull(onEntry, "onEntry");
    this.onReturn = Objects.requireNonNull(onReturn, "onReturn");
  }

  ProbeRequest entry() {
    return entry;
  }

  EntryHandler<T> onEntry() {
    return onEntry;
  }

  ReturnHandler<T> onReturn() {
    return onReturn;
  }

  /** {@return the function's first instruction} */
  public ProbeLocation location() {
    return entry.location();
  }

  /**
   * What happens at the entry of a call.
   *
   * @param <T> what it shares with the return of that call
   */
  @FunctionalInterface
  public interface EntryHandler<T extends @Nullable Object> {

    /**
     * Called when a thread is about to execute the function's first instruction.
     *
     * @param hit the thread's state, to look at and to change; valid until this method returns
     * @return what the return handler of the same call is given
     * @throws Exception anything: it goes to the session's error listener, and the call's return is not
     *     observed
     */
    T onEntry(ProbeHit hit) throws Exception;
  }

  /**
   * What happens at the return of a call.
   *
   * @param <T> what the entry of the call has shared
   */
  @FunctionalInterface
  public interface ReturnHandler<T extends @Nullable Object> {

    /**
     * Called when the function has returned, before the caller's next instruction.
     *
     * @param hit the thread's state, with rip at the return address and the results in rax, rdx and xmm0;
     *     what is changed is what the caller gets
     * @param value what the entry handler of the same call returned
     * @throws Exception anything: it goes to the session's error listener
     */
    void onReturn(ProbeHit hit, T value) throws Exception;
  }

  /**
   * {@return the calls of a function, with both handlers in {@link HandlerContext#INTERRUPT}}
   *
   * @param location the function's first instruction
   * @param onEntry called at entry
   * @param onReturn called at return
   * @param <T> what the two share for each call
   */
  public static <T extends @Nullable Object> ReturnProbeRequest<T> of(ProbeLocation location,
      EntryHandler<T> onEntry,
      ReturnHandler<T> onReturn) {
    return new ReturnProbeRequest<>(ProbeRequest.at(location, _ -> {}), onEntry, onReturn);
  }

  /**
   * {@return the same with both handlers in another context}
   *
   * @param context where they run
   */
  public ReturnProbeRequest<T> inContext(HandlerContext context) {
    return new ReturnProbeRequest<>(entry.inContext(context), onEntry, onReturn);
  }

  /**
   * {@return the same under another policy}
   *
   * @param policy whether copies may be changed
   */
  public ReturnProbeRequest<T> under(RelocationPolicy policy) {
    return new ReturnProbeRequest<>(entry.under(policy), onEntry, onReturn);
  }

  /**
   * {@return the same with a technique that the engine must use at the entry}
   *
   * @param forced the technique
   */
  public ReturnProbeRequest<T> with(Technique forced) {
    return new ReturnProbeRequest<>(entry.with(forced), onEntry, onReturn);
  }

  /** {@return the same, waiting for the function's module as {@link ProbeRequest#whenItIsMapped} says} */
  public ReturnProbeRequest<T> whenItIsMapped() {
    return new ReturnProbeRequest<>(entry.whenItIsMapped(), onEntry, onReturn);
  }

  /** {@return the same, insisting on the location as {@link ProbeRequest#trustingBoundary} says} */
  public ReturnProbeRequest<T> trustingBoundary() {
    return new ReturnProbeRequest<>(entry.trustingBoundary(), onEntry, onReturn);
  }

  /**
   * {@return the same for the calls of some threads only, as {@link ProbeRequest#inThreads} says}
   *
   * @param threadIds ids of threads in this JVM's pid namespace, at least one
   */
  public ReturnProbeRequest<T> inThreads(Set<Integer> threadIds) {
    return new ReturnProbeRequest<>(entry.inThreads(threadIds), onEntry, onReturn);
  }

  /**
   * {@return the same for some calls only: the condition is asked at the entry, as {@link
   * ProbeRequest#onlyIf} says}
   *
   * @param condition asked at the entry
   */
  public ReturnProbeRequest<T> onlyIf(Predicate<Registers> condition) {
    return new ReturnProbeRequest<>(entry.onlyIf(condition), onEntry, onReturn);
  }

  /**
   * {@return the same for so many errors of both handlers only, as {@link ProbeRequest#withErrorLimit} says}
   *
   * @param errors at least 1
   */
  public ReturnProbeRequest<T> withErrorLimit(long errors) {
    return new ReturnProbeRequest<>(entry.withErrorLimit(errors), onEntry, onReturn);
  }

  /** What is registered where a call returns to: nothing else shows that an instruction starts there. */
  ProbeRequest atReturn(long returnAddress, ProbeHandler handler) {
    return atExit(returnAddress, handler).trustingBoundary();
  }

  /** What is registered at an instruction that leaves the function. */
  ProbeRequest atExit(long address, ProbeHandler handler) {
    return ProbeRequest.at(address, handler).inContext(entry.handler().context()).under(entry.policy())
        .withThreadsOf(entry.threads());
  }

  /** The same for a program that is executed, as {@link ProbeRequest#inAnotherProgram} says. */
  ReturnProbeRequest<T> inAnotherProgram() {
    return new ReturnProbeRequest<>(entry.inAnotherProgram(), onEntry, onReturn);
  }

  @Override
  public String toString() {
    return "return probe request at " + location();
  }
}
