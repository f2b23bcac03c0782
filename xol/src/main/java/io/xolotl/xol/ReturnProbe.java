package io.xolotl.xol;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A pair of handlers at the entry and the return of a function's calls.
 *
 * <p>The return address on the stack is never changed, so unwinding, C++ exceptions and shadow stacks see
 * what they see unprobed. Instead a breakpoint at the return address catches the return; it stays for later
 * calls from there. A thread that arrives at it returns from a probed call only if its stack pointer is where
 * that call's return leaves it: each call of a recursion is at another depth, and what arrives there
 * otherwise, by longjmp or a jump, is no return. A call that is left by longjmp, an exception or the end of
 * its thread never returns; its value is dropped when the next call at the same depth begins.
 *
 * <p>Any thread may use it, handlers included.
 */
public final class ReturnProbe {

  /** Bytes of arguments that a function of 32-bit code may pop and still be seen to return. */
  private static final int MOST_POPPED = 256;

  private final ProbedProcess process;
  private final ReturnProbeRequest<?> request;
  private final Map<Long, Probe> atReturns = new ConcurrentHashMap<>();
  private final AtomicLong returns = new AtomicLong();
  private final AtomicLong missed = new AtomicLong();
  private final Probe entry;
  private volatile boolean active = true;

  /** One whose entry is not registered yet. */
  <T extends @Nullable Object> ReturnProbe(ProbedProcess process, ReturnProbeRequest<T> request) {
    this.process = process;
    this.request = request;
    entry = new Probe(process, request.entry().handledBy(hit -> entered(hit, request)), this);
  }

  Probe entry() {
    return entry;
  }

  boolean isEntry(Probe probe) {
    return probe == entry;
  }

  /** The entry of a return probe like this one for a child that was forked. */
  Probe copyFor(ProbedProcess child) {
    return copied(child, request, entry.isActive()).entry;
  }

  private static <T extends @Nullable Object> ReturnProbe copied(ProbedProcess child,
      ReturnProbeRequest<T> request, boolean verified) {
    return new ReturnProbe(child, verified ? request.trustingBoundary() : request);
  }

  /**
   * A call that has not returned yet.
   *
   * @param returnAddress where it returns to
   * @param onReturn what is done then; knows what the entry handler shared
   */
  record Call(long returnAddress, ProbeHandler onReturn) {}

  private <T extends @Nullable Object> void entered(ProbeHit hit, ReturnProbeRequest<T> own)
      throws Exception {
    long stackPointer = hit.registers().rsp();
    long returnAddress = hit.readWord(stackPointer);
    T value = own.onEntry().onEntry(hit);
    if (hit.registers().rip() != hit.probe().address()) {
      // The handler has made the function return, or go elsewhere: there is no call.
      return;
    }
    try {
      catchReturnTo(returnAddress);
    } catch (ProbeException refused) {
      hit.calls(this).remove(stackPointer);
      switch (refused.reason()) {
        case CLOSED, PROCESS_GONE -> {
          // The session ends while this handler runs, and the observation of this call with it.
          return;
        }
        default -> {
          missed.incrementAndGet();
          throw refused;
        }
      }
    }
    hit.calls(this).put(stackPointer, new Call(returnAddress, h -> own.onReturn().onReturn(h, value)));
  }

  private void catchReturnTo(long returnAddress) {
    Probe known = atReturns.get(returnAddress);
    if (known != null && known.isActive() || !active) {
      return;
    }
    var fresh = new Probe(process, request.atReturn(returnAddress, this::returned), this);
    process.activate(List.of(fresh));
    Probe raced = atReturns.put(returnAddress, fresh);
    if (raced != null) {
      // Another thread, called from the same place, was as fast. One is enough.
      raced.unregister();
    }
    if (!active) {
      // Unregistered meanwhile, perhaps before this one could be seen.
      fresh.unregister();
    }
  }

  private void returned(ProbeHit hit) throws Exception {
    Call call = callThatReturns(hit, hit.calls(this));
    if (call != null) {
      returns.incrementAndGet();
      call.onReturn().onHit(hit);
    }
  }

  private static @Nullable Call callThatReturns(ProbeHit hit, Map<Long, Call> calls) {
    // ret has popped the return address, and of 32-bit code perhaps arguments: the address of where a
    // structure is returned to, or all of them (stdcall).
    long stackPointer = hit.registers().rsp() - hit.wordBytes();
    int mostPopped = hit.wordBytes() == 4 ? MOST_POPPED : 0;
    for (int popped = 0; popped <= mostPopped; popped += 4) {
      Call call = calls.remove(stackPointer - popped);
      if (call != null && call.returnAddress() == hit.probe().address()) {
        return call;
      }
    }
    return null;
  }

  /** The process it probes. */
  public ProbedProcess process() {
    return process;
  }

  /** The location that was asked for. */
  public ProbeLocation location() {
    return request.entry().location();
  }

  /** Address of the function's probed instruction. */
  public long address() {
    return entry.address();
  }

  /** How often the function was called. */
  public long calls() {
    return entry.hits();
  }

  /** How many of these calls have returned. */
  public long returns() {
    return returns.get();
  }

  /**
   * Calls whose return could not be observed, because the instruction at the return address cannot be probed.
   */
  public long missed() {
    return missed.get();
  }

  /** Returns true if calls are still observed. */
  public boolean isActive() {
    return active && entry.isActive();
  }

  /**
   * Removes both handlers, as {@link Probe#unregister} does; returns of calls that are under way are not
   * observed.
   */
  public void unregister() {
    active = false;
    var all = new ArrayList<Probe>(atReturns.values());
    all.add(entry);
    process.unregister(all);
  }

  @Override
  public String toString() {
    return "return probe at " + location() + " in process " + process.pid();
  }
}
