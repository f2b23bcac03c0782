package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Locale;

/**
 * A copy of a thread's general registers. Reading and changing it touches no process: {@link
 * TracedThread#readRegisters} fills it, {@link TracedThread#writeRegisters} writes it back.
 *
 * <p>Not thread-safe: it belongs to one thread at a time.
 */
public final class Registers {

  static final int COUNT = UserRegister.values().length;
  static final long BYTES = COUNT * 8L;

  /** The registers in front of the bases and selectors of segments, rax to ss. */
  private static final int COUNT_WITHOUT_SEGMENTS = UserRegister.FS_BASE.ordinal();

  private final long[] values = new long[COUNT];
  private boolean changed;
  /** A base or selector of a segment was set. */
  private boolean segments;
  /** How many registers must be written: those in front of the segments', and up to the last that was set. */
  private int count = COUNT_WITHOUT_SEGMENTS;

  /** Creates registers that are all zero. */
  public Registers() {}

  /**
   * {@return a register's value}
   *
   * @param register which one
   */
  public long get(UserRegister register) {
    return values[register.ordinal()];
  }

  /**
   * Changes a register.
   *
   * @param register which one
   * @param value its new value
   */
  public void set(UserRegister register, long value) {
    values[register.ordinal()] = value;
    changed = true;
    segments |= register == UserRegister.CS || register == UserRegister.SS
        || register.ordinal() >= COUNT_WITHOUT_SEGMENTS;
    count = Math.max(count, register.ordinal() + 1);
  }

  /** {@return true if a register was set since the values were read from the thread} */
  public boolean isChanged() {
    return changed;
  }

  /** {@return true if a base or selector of a segment was set since the values were read from the thread} */
  public boolean isSegmentChanged() {
    return changed && segments;
  }

  /**
   * Sets all but the bases and selectors of segments to what they are in other registers.
   *
   * @param other from where
   */
  public void setAllButSegments(Registers other) {
    long cs = get(UserRegister.CS);
    long ss = get(UserRegister.SS);
    System.arraycopy(other.values, 0, values, 0, COUNT_WITHOUT_SEGMENTS);
    values[UserRegister.CS.ordinal()] = cs;
    values[UserRegister.SS.ordinal()] = ss;
    changed = true;
  }

  /** {@return the instruction pointer} */
  public long rip() {
    return get(UserRegister.RIP);
  }

  /**
   * Sets the instruction pointer.
   *
   * @param value the new one
   */
  public void rip(long value) {
    set(UserRegister.RIP, value);
  }

  /** {@return the stack pointer} */
  public long rsp() {
    return get(UserRegister.RSP);
  }

  /**
   * Sets the stack pointer.
   *
   * @param value the new one
   */
  public void rsp(long value) {
    set(UserRegister.RSP, value);
  }

  /** {@return register rax: by the System V ABI the value that a function returns} */
  public long rax() {
    return get(UserRegister.RAX);
  }

  /**
   * Sets register rax.
   *
   * @param value the new one
   */
  public void rax(long value) {
    set(UserRegister.RAX, value);
  }

  /** {@return the flags register} */
  public long rflags() {
    return get(UserRegister.RFLAGS);
  }

  /**
   * Sets the flags register; the kernel accepts only the flags that user code may change, and TF.
   *
   * @param value the new one
   */
  public void rflags(long value) {
    set(UserRegister.RFLAGS, value);
  }

  /**
   * {@return an integer argument at the first instruction of a function, by the System V ABI for x86-64}
   * Arguments of 32-bit code are on the stack.
   *
   * @param index 0 to 5: rdi, rsi, rdx, rcx, r8, r9
   */
  public long argument(int index) {
    return get(argumentRegister(index));
  }

  /**
   * Changes an integer argument at the first instruction of a function, by the System V ABI for x86-64.
   *
   * @param index 0 to 5: rdi, rsi, rdx, rcx, r8, r9
   * @param value its new value
   */
  public void argument(int index, long value) {
    set(argumentRegister(index), value);
  }

  private static UserRegister argumentRegister(int index) {
    return switch (index) {
      case 0 -> UserRegister.RDI;
      case 1 -> UserRegister.RSI;
      case 2 -> UserRegister.RDX;
      case 3 -> UserRegister.RCX;
      case 4 -> UserRegister.R8;
      case 5 -> UserRegister.R9;
      default -> throw new IllegalArgumentException("integer argument " + index + " is not in a register");
    };
  }

  /**
   * Makes this a copy of other registers.
   *
   * @param other from where
   */
  public void copyFrom(Registers other) {
    System.arraycopy(other.values, 0, values, 0, COUNT);
    changed = other.changed;
    segments = other.segments;
    count = other.count;
  }

  void load(MemorySegment userRegs) {
    MemorySegment.copy(userRegs, JAVA_LONG, 0, values, 0, COUNT);
    changed = false;
    segments = false;
    count = COUNT_WITHOUT_SEGMENTS;
  }

  void storeAll(MemorySegment userRegs) {
    MemorySegment.copy(values, 0, userRegs, JAVA_LONG, 0, COUNT);
  }

  /** Stores what must be written, and returns how many bytes that is. */
  long store(MemorySegment userRegs) {
    MemorySegment.copy(values, 0, userRegs, JAVA_LONG, 0, count);
    changed = false;
    return count * 8L;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Registers that && Arrays.equals(values, that.values);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(values);
  }

  @Override
  public String toString() {
    var text = new StringBuilder();
    for (UserRegister register : UserRegister.values()) {
      text.append(text.isEmpty() ? "" : " ").append(register.name().toLowerCase(Locale.ROOT))
          .append("=0x")
          .append(Long.toHexString(get(register)));
    }
    return text.toString();
  }
}
