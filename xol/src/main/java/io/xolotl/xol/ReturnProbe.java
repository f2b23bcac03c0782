package io.xolotl.xol;

import io.xolotl.decoder.Effect;
import io.xolotl.ptrace.Registers;
import io.xolotl.xol.OpenCalls.Call;
import io.xolotl.xol.elf.FunctionBody;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A pair of handlers at the entry and the return of a function's calls.
 *
 * <p>The return address on the stack is never changed, so unwinding, C++ exceptions and shadow stacks see
 * what they see unprobed. A call is known by where its return address is, since no two calls that have not
 * returned share that place, whichever thread goes on with them. It returns where the function executes a
 * {@code ret} with the stack pointer there: what goes on elsewhere, by longjmp or an exception, is no return.
 * A call is also caught where it returns to, by a breakpoint, if it may have been left otherwise: by a tail
 * call, and where the function's extent is not known. It has returned then if the word that was popped is
 * that address, and neither longjmp nor an exception has left it: for these their last instructions are
 * probed, wherever code ends as they do, and where exceptions are caught nothing returns.
 *
 * <p>A call that is left by longjmp, an exception or the end of its thread never returns; its value is
 * dropped when the next call at the same depth begins.
 *
 * <p>Any thread may use it, handlers included.
 */
public final class ReturnProbe {

  /** Bytes of arguments that a function of 32-bit code may pop and still be seen to return. */
  private static final int MOST_POPPED = 256;

  private final ProbedProcess process;
  private final ReturnProbeRequest<?> request;
  /** Where the function is left; none as long as they are not known. Written under the monitor. */
  private volatile Map<Long, Probe> exits = Map.of();
  private final Map<Long, Probe> atReturns = new ConcurrentHashMap<>();
  private final OpenCalls calls = new OpenCalls();
  private final AtomicLong returns = new AtomicLong();
  private final AtomicLong missed = new AtomicLong();
  private final Probe entry;
  /** There is no other way to leave the function. */
  private volatile boolean watchesAll;
  /** There are conditional jumps to its start. */
  private volatile boolean repeats;
  private volatile boolean searched;
  private volatile boolean active = true;

  /** One whose entry is not registered yet. */
  <T extends @Nullable Object> ReturnProbe(ProbedProcess process, ReturnProbeRequest<T> request) {
    this.process = process;
    this.request = request;
    ProbeRequest atEntry = request.entry().handledBy(hit -> entered(hit, request));
    entry = new Probe(process,
        atEntry.condition().map(condition -> atEntry.onlyIf(registers -> accepts(condition, registers)))
            .orElse(atEntry),
        this, false);
  }

  /** A call that is not observed ends what was left at its depth all the same. */
  private boolean accepts(Predicate<Registers> condition, Registers registers) {
    boolean accepted = false;
    try {
      accepted = condition.test(registers);
      return accepted;
    } finally {
      if (!accepted) {
        calls.remove(registers.rsp());
      }
    }
  }

  Probe entry() {
    return entry;
  }

  boolean isEntry(Probe probe) {
    return probe == entry;
  }

  /** The entry of a return probe like this one for another program. */
  Probe againIn(ProbedProcess user) {
    return copied(user, request.inAnotherProgram()).entry;
  }

  /** The entry of a return probe like this one for a child that was forked. */
  Probe copyFor(ProbedProcess child) {
    return copied(child, request).entry;
  }

  private static <T extends @Nullable Object> ReturnProbe copied(ProbedProcess child,
      ReturnProbeRequest<T> request) {
    return new ReturnProbe(child, request);
  }

  /**
   * Finds where the function is left, and puts probes there, before any call is observed. Where one of them
   * is refused the function stays one of which they are not known. Not while calls may be observed by
   * handlers in interrupt context: these must not wait for who waits for the tracer thread.
   *
   * @param address of the entry
   */
  synchronized void watchExits(long address) {
    if (searched) {
      return;
    }
    searched = true;
    FunctionBody body = process.body(address).orElse(null);
    if (body == null) {
      return;
    }
    repeats = body.repeats();
    if (body.exits().isEmpty()) {
      return;
    }
    var probes = new HashMap<Long, Probe>();
    for (FunctionBody.Exit exit : body.exits()) {
      probes.put(exit.address(),
          new Probe(process, request.atExit(exit.address(), hit -> leaving(hit, exit.effect())), this, true));
    }
    try {
      process.activate(List.copyOf(probes.values()));
    } catch (ProbeException refused) {
      return;
    }
    watchesAll = body.complete();
    exits = probes;
    if (!active) {
      // Unregistered meanwhile, perhaps before these could be seen.
      process.unregister(probes.values());
    }
  }

  /** Whether a call that begins now is seen to return wherever it leaves the function. */
  private boolean watchesAll() {
    if (!watchesAll) {
      return false;
    }
    for (Probe exit : exits.values()) {
      if (!exit.isActive()) {
        // The program has changed the code there, for instance.
        return false;
      }
    }
    return true;
  }

  private <T extends @Nullable Object> void entered(ProbeHit hit, ReturnProbeRequest<T> own)
      throws Exception {
    long stackPointer = hit.registers().rsp();
    long returnAddress = hit.readWord(stackPointer);
    Call before = calls.remove(stackPointer);
    if (before != null && before.isLeft()) {
      before = null;
    }
    // A function that has waited for its module, or a child's. If it begins with an exit, this hit is not
    // seen there any more.
    boolean first = !searched;
    watchExits(entry.address());
    T value = hit.ofUsers(() -> own.onEntry().onEntry(hit));
    if (hit.registers().rip() != hit.probe().address()) {
      // The handler has made the function return, or go elsewhere: there is no call.
      return;
    }
    boolean unseen = first || !watchesAll();
    if (unseen && !isCaught(returnAddress)) {
      return;
    }
    var call = new Call(hit.threadId(), returnAddress, h -> h.ofUsers(() -> {
      own.onReturn().onReturn(h, value);
      return true;
    }),
        jumper(before, returnAddress));
    call.left = unseen;
    if (before != null && call.jumper == null && (before.left && !unseen || repeats || before.again)) {
      // What it has jumped to has returned elsewhere, or called this one by a jump; or this is a loop. Who is
      // at the same depth otherwise was left by longjmp or an exception.
      missed.addAndGet(before.jumps() + 1L);
    }
    if (!calls.add(stackPointer, call)) {
      missed.addAndGet(call.jumps() + 1L);
    }
  }

  private static @Nullable Call jumper(@Nullable Call before, long returnAddress) {
    return before != null && before.again && before.returnAddress == returnAddress && !before.isLast()
        ? before
        : null;
  }

  /** Puts a probe at a return address; false if the call cannot be observed, or never returns. */
  private boolean isCaught(long returnAddress) {
    try {
      return catchReturnTo(returnAddress);
    } catch (ProbeException refused) {
      switch (refused.reason()) {
        case CLOSED, PROCESS_GONE -> {
          // The session ends while this handler runs, and the observation of this call with it.
          return false;
        }
        default -> {
          missed.incrementAndGet();
          throw refused;
        }
      }
    }
  }

  private boolean catchReturnTo(long returnAddress) {
    Probe known = atReturns.get(returnAddress);
    if (known != null && known.isActive() || !active) {
      return true;
    }
    if (process.isLandingPad(returnAddress)) {
      // Compilers put one behind a call that never returns. The unwinder gets there by a ret, perhaps.
      return false;
    }
    // Before the call is kept, so that nothing leaves it unseen.
    process.unwindings().tell(calls);
    var fresh = new Probe(process, request.atReturn(returnAddress, this::returned), this, false);
    process.activate(List.of(fresh));
    Probe raced = atReturns.put(returnAddress, fresh);
    if (raced != null) {
      // Another thread, called from the same place, was as fast. One is enough.
      raced.unregister();
    }
    if (!active) {
      // Unregistered meanwhile, perhaps before this one could be seen.
      unregister();
    }
    return true;
  }

  /** A thread is about to execute an instruction that leaves the function. */
  private void leaving(ProbeHit hit, Effect effect) throws Exception {
    if (hit.registers().rip() != hit.probe().address()
        && !(hit.hasReturned() && effect instanceof Effect.Return)) {
      // Another handler has made the thread go elsewhere.
      return;
    }
    switch (effect) {
      case Effect.Return(int extra, _) -> {
        long stackPointer = hit.hasReturned() ? hit.returnedFrom() : hit.registers().rsp();
        long returnAddress = hit.readWord(stackPointer);
        Call call = calls.remove(stackPointer);
        if (call != null && call.returnAddress == returnAddress) {
          hit.performReturn(extra);
          finish(hit, call);
        } else if (call != null || calls.removeReturningTo(returnAddress)) {
          // The program has changed where it returns to, or where its stack is.
          missed.incrementAndGet();
        }
      }
      case Effect.Jump(long target) -> {
        // A tail call leaves nothing on the stack but the return address; a jump to a piece that the compiler
        // has moved away leaves all.
        Call call = calls.at(hit.registers().rsp());
        if (call != null && target == entry.address()) {
          call.again = true;
          return;
        }
        Call left = call != null ? call : calls.innermost(hit.registers().rsp());
        if (left != null && isCaught(left.returnAddress)) {
          left.left = true;
        }
      }
      default -> throw new IllegalStateException("no exit is a " + effect);
    }
  }

  /** A thread has arrived at a return address. */
  private void returned(ProbeHit hit) throws Exception {
    // ret has popped the return address, and of 32-bit code perhaps arguments: the address of where a
    // structure is returned to, or all of them (stdcall).
    long stackPointer = hit.registers().rsp() - hit.wordBytes();
    int mostPopped = hit.wordBytes() == 4 ? MOST_POPPED : 0;
    for (int popped = 0; popped <= mostPopped; popped += 4) {
      Call call = calls.at(stackPointer - popped);
      if (call != null && call.returnAddress == hit.probe().address()) {
        calls.remove(stackPointer - popped);
        // Who comes by a jump has called something else meanwhile, most probably.
        if (call.left && !call.isLeft() && hit.readWord(stackPointer - popped) == call.returnAddress) {
          if (call.isDoubtful() || process.unwindings().isBlind()) {
            missed.addAndGet(call.jumps() + 1L);
          } else {
            finish(hit, call);
          }
        }
        return;
      }
    }
  }

  /** A call has returned, and those that had jumped to its function. */
  private void finish(ProbeHit hit, Call call) throws Exception {
    Throwable failure = null;
    for (Call each = call; each != null; each = each.jumper) {
      returns.incrementAndGet();
      try {
        each.onReturn.onHit(hit);
      } catch (Throwable e) {
        if (failure == null) {
          failure = e;
        } else if (failure != e) {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure instanceof Error e) {
      throw e;
    }
    if (failure instanceof Exception e) {
      throw e;
    }
  }

  /** {@return the process it probes} */
  public ProbedProcess process() {
    return process;
  }

  /** {@return the location that was asked for} */
  public ProbeLocation location() {
    return request.entry().location();
  }

  /** {@return address of the function's probed instruction} */
  public long address() {
    return entry.address();
  }

  /** {@return how often the function was called} */
  public long calls() {
    return entry.hits();
  }

  /** {@return how many of these calls have returned} */
  public long returns() {
    return returns.get();
  }

  /**
   * {@return calls whose return was not matched: their stack was moved meanwhile, as Go moves it; or they
   * left the function by a jump, and nobody was seen to return for them; or the instruction at the return
   * address cannot be probed; or something like longjmp has left their stack and come back to it, and the
   * function is one of which not all exits are known} Those that were left by longjmp or an exception are not
   * among them, as far as that can be told.
   */
  public long missed() {
    return missed.get();
  }

  /** {@return how often its handlers or its condition have failed; see {@link Probe#errors}} */
  public long errors() {
    return entry.errors();
  }

  /** {@return true if calls are still observed} */
  public boolean isActive() {
    return active && entry.isActive();
  }

  /**
   * Removes both handlers, as {@link Probe#unregister} does; returns of calls that are under way are not
   * observed.
   */
  public void unregister() {
    end();
  }

  /** The same; returns false if all of it was over. */
  boolean end() {
    active = false;
    var all = new ArrayList<Probe>(List.of(entry));
    all.addAll(exits.values());
    all.addAll(atReturns.values());
    boolean any = process.end(all);
    process.unwindings().tellNoMore(calls);
    return any;
  }

  @Override
  public String toString() {
    return "return probe at " + location() + " in process " + process.pid();
  }
}
