package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;

/**
 * A copy of a thread's x87, SSE, AVX and further state, in the standard (not compacted) format of XSAVE, as
 * the kernel hands it out for {@code NT_X86_XSTATE}. Its size depends on the CPU. Belongs to one thread at a
 * time.
 *
 * @see <a href="https://www.intel.com/sdm">Intel SDM volume 1, chapter 13: offsets 0 (x87, SSE), 512 (header)
 *     and 576 (upper halves of YMM) are architectural; all others come from CPUID leaf 0xD</a>
 */
public final class VectorState {

  private static final int MXCSR = 24;
  private static final int ST = 32;
  private static final int XMM = 160;
  private static final int XSTATE_BV = 512;
  private static final int YMM_HIGH = 576;
  private static final int LEGACY_BYTES = 576;
  private static final long SSE = 1 << 1;
  private static final long AVX = 1 << 2;

  private final byte[] bytes;
  private boolean changed;

  VectorState(MemorySegment xstate) {
    bytes = xstate.toArray(JAVA_BYTE);
  }

  /** {@return the size of the state in bytes, as this CPU and kernel define it} */
  public int size() {
    return bytes.length;
  }

  /** {@return a copy of all the bytes} */
  public byte[] toByteArray() {
    return bytes.clone();
  }

  /** {@return true if this CPU has the YMM registers} */
  public boolean hasAvx() {
    return bytes.length >= YMM_HIGH + 256;
  }

  /**
   * {@return the 16 bytes of an XMM register, lowest first}
   *
   * @param index 0 to 15
   */
  public byte[] xmm(int index) {
    int offset = offset(XMM, index, 16);
    return Arrays.copyOfRange(bytes, offset, offset + 16);
  }

  /**
   * Changes an XMM register; the rest of the YMM or ZMM register stays.
   *
   * @param index 0 to 15
   * @param value 16 bytes, lowest first
   */
  public void xmm(int index, byte[] value) {
    put(offset(XMM, index, 16), value, 16, SSE);
  }

  /**
   * {@return the lower eight bytes of an XMM register as a double: a floating-point argument or result by the
   * ABI}
   *
   * @param index counted from 0
   */
  public double xmmDouble(int index) {
    return Double.longBitsToDouble(segment().get(JAVA_LONG_UNALIGNED, offset(XMM, index, 16)));
  }

  /**
   * {@return the lower four bytes of an XMM register as a float: a floating-point argument or result by the
   * ABI}
   *
   * @param index counted from 0
   */
  public float xmmFloat(int index) {
    return Float.intBitsToFloat(segment().get(JAVA_INT_UNALIGNED, offset(XMM, index, 16)));
  }

  /**
   * Changes the lower four bytes of an XMM register.
   *
   * @param index counted from 0
   * @param value the new one
   */
  public void xmmFloat(int index, float value) {
    segment().set(JAVA_INT_UNALIGNED, offset(XMM, index, 16), Float.floatToRawIntBits(value));
    mark(SSE);
  }

  /**
   * Changes the lower eight bytes of an XMM register.
   *
   * @param index counted from 0
   * @param value the new one
   */
  public void xmmDouble(int index, double value) {
    segment().set(JAVA_LONG_UNALIGNED, offset(XMM, index, 16), Double.doubleToRawLongBits(value));
    mark(SSE);
  }

  /**
   * {@return the 32 bytes of a YMM register, lowest first}
   *
   * @param index 0 to 15
   * @throws UnsupportedOperationException if the CPU has none
   */
  public byte[] ymm(int index) {
    requireAvx();
    byte[] value = Arrays.copyOf(xmm(index), 32);
    System.arraycopy(bytes, offset(YMM_HIGH, index, 16), value, 16, 16);
    return value;
  }

  /**
   * Changes a YMM register.
   *
   * @param index 0 to 15
   * @param value 32 bytes, lowest first
   * @throws UnsupportedOperationException if the CPU has none
   */
  public void ymm(int index, byte[] value) {
    requireAvx();
    if (value.length != 32) {
      throw new IllegalArgumentException("a YMM register has 32 bytes, not " + value.length);
    }
    put(offset(XMM, index, 16), Arrays.copyOf(value, 16), 16, SSE);
    put(offset(YMM_HIGH, index, 16), Arrays.copyOfRange(value, 16, 32), 16, AVX);
  }

  /**
   * {@return the ten bytes of an x87 register, counted from the top of its stack, lowest first}
   *
   * @param index counted from 0
   */
  public byte[] st(int index) {
    int offset = ST + Objects.checkIndex(index, 8) * 16;
    return Arrays.copyOfRange(bytes, offset, offset + 10);
  }

  /** {@return the control and status register of SSE} */
  public int mxcsr() {
    return segment().get(JAVA_INT_UNALIGNED, MXCSR);
  }

  /**
   * Changes the control and status register of SSE.
   *
   * @param value the new one
   */
  public void mxcsr(int value) {
    segment().set(JAVA_INT_UNALIGNED, MXCSR, value);
    mark(SSE);
  }

  /** {@return true if something was set since the state was read} */
  public boolean isChanged() {
    return changed;
  }

  MemorySegment segment() {
    return MemorySegment.ofArray(bytes);
  }

  private void requireAvx() {
    if (!hasAvx()) {
      throw new UnsupportedOperationException("this CPU has no YMM registers");
    }
  }

  private static int offset(int base, int index, int size) {
    return base + Objects.checkIndex(index, 16) * size;
  }

  private void put(int offset, byte[] value, int length, long component) {
    if (value.length != length) {
      throw new IllegalArgumentException("expected " + length + " bytes, not " + value.length);
    }
    System.arraycopy(value, 0, bytes, offset, length);
    mark(component);
  }

  /** A component whose bit in XSTATE_BV is clear is loaded with its initial value, whatever its bytes say. */
  private void mark(long component) {
    changed = true;
    if (bytes.length >= LEGACY_BYTES) {
      MemorySegment s = segment();
      s.set(JAVA_LONG_UNALIGNED, XSTATE_BV, s.get(JAVA_LONG_UNALIGNED, XSTATE_BV) | component);
    }
  }
}
