package io.xolotl.xol;

import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.VectorState;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.site.Site;
import io.xolotl.xol.tracee.Tracee;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A thread that has arrived at a probed instruction, stopped before executing it.
 *
 * <p>The object is used again for the thread's next hit: it belongs to the handler until that returns. A
 * handler may pass it to other threads as long as it waits for them.
 */
public final class ProbeHit {

  /** MAX_ERRNO of the kernel's include/linux/err.h. */
  private static final int MOST_ERRNO = 4095;

  private final Session session;
  private final Tracee tracee;
  private final Runnable whenReturned;
  private @Nullable Probe probe;
  private long number;
  private @Nullable VectorState vectorState;

  // What the engine knows of the hit. Owned by the tracer thread, but for what says otherwise.

  /** Handlers of this thread's hits on the executor. */
  final UserCode task = new UserCode(false);

  /**
   * The probe whose handler for this thread's hit is handed to the executor and has not returned; else null.
   * Written by the tracer thread before, and by the executor's behind it; read by those who wait.
   */
  volatile @Nullable Probe handedOver;

  /** The site that was hit last. */
  private @Nullable Site site;

  /** The probes of this hit, and which of them is next. */
  private Probe[] chain = {};
  private int next;

  /**
   * Where the return address was, if a handler of this hit has executed the return; else 0. The handler's.
   */
  private long returnedFrom;

  /**
   * What is known of a thread.
   *
   * @param whenReturned done on the tracer thread when a handler of it has returned on the executor
   */
  ProbeHit(Session session, TracedThread thread, Consumer<ProbeHit> whenReturned) {
    this.session = session;
    tracee = new Tracee(thread);
    this.whenReturned = () -> whenReturned.accept(this);
  }

  Tracee tracee() {
    return tracee;
  }

  /** Made once, so that no hit pays for it. */
  Runnable whenReturned() {
    return whenReturned;
  }

  /** When the stop was seen, and for how many probes it is one. Written by the tracer thread. */
  private long seenAt;
  private int handlers;

  void countHandler() {
    handlers++;
  }

  int handlers() {
    return handlers;
  }

  /** The same as {@link #seenAt}, for the engine, also when all handlers have returned. */
  long stoppedAt() {
    return seenAt;
  }

  /** A thread has hit a site, with these probes. */
  void arrive(Site hit, Probe[] probes) {
    seenAt = System.nanoTime();
    handlers = 0;
    site = hit;
    chain = probes;
    next = 0;
    returnedFrom = 0;
  }

  /** The site that was hit last. */
  Site site() {
    return Objects.requireNonNull(site, "the thread has hit nothing");
  }

  /** The next probe of the hit; null if there is none. */
  @Nullable
  Probe nextProbe() {
    return next < chain.length ? chain[next++] : null;
  }

  /** The probe that {@link #nextProbe} has returned last; null if it has returned none. */
  @Nullable
  Probe latestProbe() {
    return next == 0 ? null : chain[next - 1];
  }

  /** {@return the probe that was hit} */
  public Probe probe() {
    return current();
  }

  /**
   * {@return id of the thread that hit, in this JVM's pid namespace} It may belong to another process that
   * runs in the same memory, whose hits count as those of the process that is probed.
   */
  public int threadId() {
    current();
    return tracee.thread().tid();
  }

  /** {@return number of this hit among those of the probe, from 1} */
  public long number() {
    current();
    return number;
  }

  /**
   * {@return when the tracer thread saw that the thread had stopped, by {@link System#nanoTime}} The thread
   * arrived earlier, by the time that the tracer thread was busy with other hits; handlers of several probes
   * at one instruction have the same time.
   */
  public long seenAt() {
    current();
    return seenAt;
  }

  /**
   * {@return the thread's general registers, with rip at the probed instruction} What is changed holds for
   * the displaced instruction; if rip is changed, the displaced instruction is skipped and the thread goes on
   * there.
   */
  public Registers registers() {
    current();
    return tracee.registers();
  }

  /** {@return the process's memory} */
  public ProcessMemory memory() {
    current();
    return session.memory();
  }

  /**
   * {@return the thread's x87, SSE and AVX registers, fetched when first asked for; what is changed holds
   * from now on}
   */
  public VectorState vectorState() {
    current();
    VectorState state = vectorState;
    if (state == null) {
      state = session.call(tracee.thread()::readVectorState);
      vectorState = state;
    }
    return state;
  }

  /**
   * An integer argument of the function whose first instruction is probed, by the System V ABI for the code
   * that the thread is in. In 64-bit code the first six are in registers and the others on the stack; in
   * 32-bit code all are on the stack (cdecl), and one of 64 bits takes two places.
   *
   * @param index from 0
   * @return its value; in 32-bit code the lower half, zero-extended
   */
  public long argument(int index) {
    return isInRegister(index) ? registers().argument(index) : readWord(stackArgument(index));
  }

  /**
   * Changes an integer argument of the function whose first instruction is probed; see
   * {@link #argument(int)}.
   *
   * @param index from 0
   * @param value its new value; in 32-bit code the lower half counts
   */
  public void argument(int index, long value) {
    if (isInRegister(index)) {
      registers().argument(index, value);
    } else if (wordBytes() == 8) {
      memory().writeLong(stackArgument(index), value);
    } else {
      memory().writeInt(stackArgument(index), (int) value);
    }
  }

  /**
   * {@return a {@code float} argument of the function whose first instruction is probed, by the System V ABI}
   *
   * @param index in 64-bit code the number of the argument among those of type float and double, 0 to 7; in
   *     32-bit code, where all arguments are on the stack, its place there as {@link #argument(int)} counts
   */
  public float floatArgument(int index) {
    return wordBytes() == 8
        ? vectorState().xmmFloat(Objects.checkIndex(index, 8))
        : Float.intBitsToFloat(memory().readInt(stackArgument(index)));
  }

  /**
   * {@return a {@code double} argument of the function whose first instruction is probed, by the System V
   * ABI}
   *
   * @param index as of {@link #floatArgument}; in 32-bit code it takes two places
   */
  public double doubleArgument(int index) {
    return wordBytes() == 8
        ? vectorState().xmmDouble(Objects.checkIndex(index, 8))
        : Double.longBitsToDouble(memory().readLong(stackArgument(index)));
  }

  /**
   * The string that an argument points to, in UTF-8 up to its zero byte; where the bytes are no UTF-8 it has
   * the replacement character.
   *
   * @param argument number of the argument, as of {@link #argument(int)}
   * @param limit most bytes to read, not negative; a longer string is cut there
   * @return empty if the argument points to memory that cannot be read, as 0 does, or cannot be read itself;
   *     also if the string runs into such memory before its end and the limit
   */
  public Optional<String> string(int argument, int limit) {
    if (limit < 0) {
      throw new IllegalArgumentException("a string has at least 0 bytes, not " + limit);
    }
    try {
      return Optional.of(memory().readString(argument(argument), limit));
    } catch (PtraceException e) {
      if (e.reason() == PtraceException.Reason.MEMORY_INACCESSIBLE) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * {@return what the function returns, at its return: the value of rax, in 32-bit code that of eax,
   * zero-extended} Of a function that returns an {@code int} only the lower half is defined: cast it.
   */
  public long returnValue() {
    return truncated(registers().rax());
  }

  /**
   * Changes what the function returns, at its return.
   *
   * @param value its new value; in 32-bit code the lower half counts
   */
  public void returnValue(long value) {
    registers().rax(truncated(value));
  }

  /**
   * {@return where the function returns to: the address behind the instruction that has called it} In the
   * handlers of a {@link ReturnProbe}, and in that of a probe on a function's first instruction.
   */
  public long caller() {
    Probe hit = current();
    ReturnProbe owner = hit.owner();
    return owner == null || owner.isEntry(hit) ? readWord(entryStackPointer()) : registers().rip();
  }

  private boolean isInRegister(int index) {
    return Abi.of(registers()) == Abi.X86_64 && Objects.checkIndex(index, Integer.MAX_VALUE) < 6;
  }

  /** Behind the return address. */
  private long stackArgument(int index) {
    int place = Objects.checkIndex(index, Integer.MAX_VALUE) - (wordBytes() == 8 ? 6 : 0);
    return truncated(entryStackPointer() + (1L + place) * wordBytes());
  }

  /** Where the return address is, or was if a handler of this hit has made the function return. */
  private long entryStackPointer() {
    return hasReturned() ? returnedFrom : registers().rsp();
  }

  /**
   * Makes the function whose first instruction is probed return at once to its caller, by the System V ABI.
   * Other handlers of this hit still run; if one of them does the same, what it returns counts.
   *
   * @param returnValue what it returns in rax, of 32-bit code in eax
   */
  public void returnFromFunction(long returnValue) {
    performReturn(0);
    registers().rax(returnValue);
  }

  /**
   * Makes the function whose first instruction is probed fail as functions of the C library do: it returns at
   * once to its caller, as {@link #returnFromFunction} says, and the thread's {@code errno} is set. That is
   * the errno of the C library that the function is in, or else of the only one that the process has. Nothing
   * of it is executed to find out where that is.
   *
   * @param returnValue what it returns, for instance −1, or 0 for a null pointer
   * @param errno the number of the error, 1 to 4095
   * @throws ProbeException with {@link ProbeException.Reason#ERRNO_NOT_FOUND} if nothing shows where errno
   *     is, as in a program that is linked statically and has no symbols; the function is executed then
   */
  public void failFunction(long returnValue, int errno) {
    if (errno < 1 || errno > MOST_ERRNO) {
      throw new IllegalArgumentException("errno is 1 to " + MOST_ERRNO + ", not " + errno);
    }
    Probe hit = current();
    // What cannot be read is noticed before anything is changed.
    caller();
    try {
      memory().writeInt(errnoAddress(hit), errno);
    } catch (PtraceException e) {
      if (e.reason() == PtraceException.Reason.MEMORY_INACCESSIBLE) {
        throw errnoNotFound(hit, String.valueOf(e.getMessage()));
      }
      throw e;
    }
    returnFromFunction(returnValue);
  }

  private long errnoAddress(Probe hit) {
    long known = hit.errnoFunction();
    OptionalLong address = known == 0 ? OptionalLong.empty() : session.errno(known, registers());
    if (address.isEmpty()) {
      // Not asked for yet; or a C library was unmapped since, which does not happen to people.
      long function;
      try {
        function = session.locator().errnoFunction(hit.address());
      } catch (SymbolException e) {
        throw errnoNotFound(hit, String.valueOf(e.getMessage()));
      }
      address = session.errno(function, registers());
      hit.errnoFunction(function);
    }
    return address.orElseThrow(
        () -> errnoNotFound(hit, "its C library finds it by code that is not understood"));
  }

  private static ProbeException errnoNotFound(Probe probe, String why) {
    return new ProbeException(ProbeException.Reason.ERRNO_NOT_FOUND, probe.address(),
        "errno for the " + probe + " cannot be set: " + why);
  }

  /** Size of an address in the code that the thread is in. */
  int wordBytes() {
    return Abi.of(registers()).wordBytes();
  }

  long readWord(long address) {
    return wordBytes() == 8 ? memory().readLong(address) : Integer.toUnsignedLong(memory().readInt(address));
  }

  /** An address in the code that the thread is in. */
  long truncated(long address) {
    return wordBytes() == 8 ? address : address & 0xffff_ffffL;
  }

  /** Returns true if {@link #performReturn} was called. */
  boolean hasReturned() {
    return returnedFrom != 0;
  }

  /** Where the return address was. */
  long returnedFrom() {
    return returnedFrom;
  }

  /** Does what a {@code ret} does, once however many ask. */
  void performReturn(int extraPopBytes) {
    if (hasReturned()) {
      return;
    }
    Registers registers = registers();
    long stackPointer = registers.rsp();
    registers.rip(readWord(stackPointer));
    long behind = stackPointer + wordBytes() + extraPopBytes;
    registers.rsp(wordBytes() == Long.BYTES ? behind : behind & 0xffff_ffffL);
    returnedFrom = stackPointer;
  }

  /** What a user's code throws that the engine's handler calls is that user's error. The handler's thread. */
  private boolean usersFailure;

  boolean isUsersFailure() {
    return usersFailure;
  }

  /** Runs code of a user's within a handler of the engine's. */
  <T extends @Nullable Object> T ofUsers(Callable<T> code) throws Exception {
    try {
      return code.call();
    } catch (Throwable t) {
      usersFailure = true;
      throw t;
    }
  }

  private Probe current() {
    return Objects.requireNonNull(probe, "a hit is valid only until its handler returns");
  }

  // For the engine, on the thread that runs the handler.

  void begin(Probe hit, long hitNumber) {
    probe = hit;
    number = hitNumber;
    usersFailure = false;
  }

  void end() {
    probe = null;
  }

  /** Tracer thread, when all handlers of the hit have returned. */
  void flushVectorState() {
    VectorState state = vectorState;
    vectorState = null;
    if (state != null && state.isChanged()) {
      tracee.thread().writeVectorState(state);
    }
  }
}
