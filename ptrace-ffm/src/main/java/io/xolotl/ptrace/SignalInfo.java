package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A copy of a signal's {@code siginfo_t}: where a signal came from. Belongs to one thread at a time.
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/sigaction.2.html">sigaction(2)</a>
 */
public final class SignalInfo {

  /** {@code si_code} of a signal that the kernel raised without a closer reason, for instance for int3. */
  public static final int SI_KERNEL = 0x80;
  /** {@code si_code} of a single-step (and, since Linux 4.x, of most hardware traps). */
  public static final int TRAP_TRACE = 2;
  /** {@code si_code} of a single-step behind a system call. */
  public static final int TRAP_BRKPT = 1;

  private static final int SEGV_MAPERR = 1;

  static final int BYTES = 128;

  // An array of longs, because the layouts need eight-byte alignment.
  private final MemorySegment bytes = MemorySegment.ofArray(new long[BYTES / 8]);

  /** Creates an empty one, to be filled by {@link TracedThread#readSignalInfo}. */
  public SignalInfo() {}

  void load(MemorySegment siginfo) {
    bytes.copyFrom(siginfo.asSlice(0, BYTES));
  }

  void store(MemorySegment siginfo) {
    siginfo.copyFrom(bytes);
  }

  /**
   * Makes this a copy of another.
   *
   * @param other from where
   */
  public void copyFrom(SignalInfo other) {
    bytes.copyFrom(other.bytes);
  }

  /** {@return the number of the signal} */
  public int signal() {
    return bytes.get(JAVA_INT, 0);
  }

  /** {@return {@code si_code}: above 0 the kernel raised the signal, otherwise a process sent it} */
  public int code() {
    return bytes.get(JAVA_INT, 8);
  }

  /**
   * {@return true if the kernel raised the signal for something that the thread did, a fault or a trap,
   * rather than that somebody sent it}
   */
  public boolean isFault() {
    return code() > 0;
  }

  /**
   * {@return {@code si_addr}: for a fault, the address of the instruction or of the data, as sigaction(2)
   * says}
   */
  public long address() {
    return bytes.get(JAVA_LONG, 16);
  }

  /**
   * Changes {@code si_addr}.
   *
   * @param value the new one
   */
  public void address(long value) {
    bytes.set(JAVA_LONG, 16, value);
  }

  /**
   * Makes this the information on an access to memory that is not mapped.
   *
   * @param signal SIGSEGV or SIGBUS
   * @param address the memory
   */
  public void fault(int signal, long address) {
    set(signal, SEGV_MAPERR, address);
  }

  /**
   * Makes this the information on the trap after an instruction that was executed with the trap flag set.
   *
   * @param address of the next instruction
   */
  public void singleStep(long address) {
    set(Signals.SIGTRAP, TRAP_TRACE, address);
  }

  private void set(int signal, int code, long address) {
    bytes.fill((byte) 0);
    bytes.set(JAVA_INT, 0, signal);
    bytes.set(JAVA_INT, 8, code);
    address(address);
  }

  /** {@return {@code si_pid}: the process that sent the signal, if one did} */
  public int senderPid() {
    return bytes.get(JAVA_INT, 16);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof SignalInfo that && bytes.mismatch(that.bytes) < 0;
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes.toArray(JAVA_BYTE));
  }

  @Override
  public String toString() {
    return Signals.name(signal()) + " code " + code() + " address 0x" + Long.toHexString(address());
  }
}
