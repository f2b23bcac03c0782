package io.xolotl.lab.oracle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The x87, SSE, AVX and AVX-512 registers. What the CPU does not have is left out when the state is loaded.
 * Immutable.
 */
public final class VectorRegisters {

  /** How many vector registers there are, each of {@link #VECTOR_BYTES}. */
  public static final int VECTORS = 32;
  /** Bytes of a zmm register, of which the first 16 are xmm and the first 32 ymm. */
  public static final int VECTOR_BYTES = 64;
  /** Bytes of an x87 register, of which the first eight are an MMX register. */
  public static final int X87_BYTES = 10;

  private static final int MXCSR = 0;
  private static final int CONTROL = 4;
  private static final int STATUS = 6;
  private static final int TAGS = 8;
  private static final int X87 = 10;
  private static final int MASKS = X87 + 8 * X87_BYTES;
  private static final int ZMM = MASKS + 8 * 8;
  private static final int SIZE = ZMM + VECTORS * VECTOR_BYTES;

  private static final int INITIAL_MXCSR = 0x1f80;
  private static final int INITIAL_CONTROL = 0x37f;
  private static final int MXCSR_BITS = 0xffff;

  /** All registers zero, all exceptions masked: what a program starts with. */
  public static final VectorRegisters INITIAL = new VectorRegisters(new byte[SIZE]).withMxcsr(INITIAL_MXCSR)
      .withX87(INITIAL_CONTROL, 0, 0);

  private final byte[] content;

  private VectorRegisters(byte[] content) {
    this.content = content;
  }

  static VectorRegisters ofContent(byte[] content) {
    if (content.length != SIZE) {
      throw new IllegalArgumentException("a vector state has " + SIZE + " bytes, not " + content.length);
    }
    return new VectorRegisters(content.clone());
  }

  byte[] content() {
    return content.clone();
  }

  /** How many bytes differ between two states. */
  public int distance(VectorRegisters other) {
    int distance = 0;
    for (int i = 0; i < SIZE; i++) {
      distance += content[i] == other.content[i] ? 0 : 1;
    }
    return distance;
  }

  private VectorRegisters changed(Consumer<ByteBuffer> change) {
    byte[] copy = content.clone();
    change.accept(ByteBuffer.wrap(copy).order(ByteOrder.LITTLE_ENDIAN));
    return new VectorRegisters(copy);
  }

  private ByteBuffer view() {
    return ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Control and status of SSE. */
  public int mxcsr() {
    return view().getInt(MXCSR);
  }

  /**
   * The same with another MXCSR.
   *
   * @param mxcsr 16 bits; no CPU has the others
   */
  public VectorRegisters withMxcsr(int mxcsr) {
    if ((mxcsr & ~MXCSR_BITS) != 0) {
      throw new IllegalArgumentException("mxcsr has 16 bits: 0x" + Integer.toHexString(mxcsr));
    }
    return changed(b -> b.putInt(MXCSR, mxcsr));
  }

  /** The x87 control word. */
  public int x87Control() {
    return Short.toUnsignedInt(view().getShort(CONTROL));
  }

  /** The x87 status word, which holds the number of the register at the top of the stack. */
  public int x87Status() {
    return Short.toUnsignedInt(view().getShort(STATUS));
  }

  /** One bit for each x87 register by its number, set if it is in use. */
  public int x87Tags() {
    return Byte.toUnsignedInt(view().get(TAGS));
  }

  /** The same with other x87 words, as the methods of their names say. */
  public VectorRegisters withX87(int control, int status, int tags) {
    return changed(b -> b.putShort(CONTROL, (short) control).putShort(STATUS, (short) status)
        .put(TAGS, (byte) tags));
  }

  /**
   * One register of the x87 stack.
   *
   * @param index counted from the top of the stack
   */
  public byte[] x87(int index) {
    int from = X87 + index * X87_BYTES;
    return Arrays.copyOfRange(content, from, from + X87_BYTES);
  }

  /** The same with another value of a register of the x87 stack, {@link #X87_BYTES} long. */
  public VectorRegisters withX87(int index, byte[] value) {
    return changed(b -> b.put(X87 + index * X87_BYTES, value, 0, X87_BYTES));
  }

  /** The mask register k0 to k7. */
  public long mask(int index) {
    return view().getLong(MASKS + 8 * index);
  }

  /** The same with another value of a mask register. */
  public VectorRegisters withMask(int index, long value) {
    return changed(b -> b.putLong(MASKS + 8 * index, value));
  }

  /** The vector register zmm0 to zmm31, whole. */
  public byte[] vector(int index) {
    int from = ZMM + index * VECTOR_BYTES;
    return Arrays.copyOfRange(content, from, from + VECTOR_BYTES);
  }

  /** The same with another value of a vector register, {@link #VECTOR_BYTES} long. */
  public VectorRegisters withVector(int index, byte[] value) {
    return changed(b -> b.put(ZMM + index * VECTOR_BYTES, value, 0, VECTOR_BYTES));
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof VectorRegisters that && Arrays.equals(content, that.content);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(content);
  }

  /** What differs from {@link #INITIAL}. */
  @Override
  public String toString() {
    var text = new StringBuilder();
    if (mxcsr() != INITIAL_MXCSR) {
      text.append(" mxcsr=0x").append(Integer.toHexString(mxcsr()));
    }
    if (x87Control() != INITIAL_CONTROL || x87Status() != 0 || x87Tags() != 0) {
      text.append(" fcw=0x%x fsw=0x%x ftw=0x%x".formatted(x87Control(), x87Status(), x87Tags()));
    }
    for (int i = 0; i < 8; i++) {
      append(text, "st" + i, x87(i));
    }
    for (int i = 0; i < 8; i++) {
      if (mask(i) != 0) {
        text.append(" k").append(i).append("=0x").append(Long.toHexString(mask(i)));
      }
    }
    for (int i = 0; i < VECTORS; i++) {
      append(text, "zmm" + i, vector(i));
    }
    return text.toString().strip();
  }

  private static void append(StringBuilder text, String name, byte[] value) {
    String hex = Hex.reversed(value);
    if (!hex.equals("0")) {
      text.append(' ').append(name).append("=0x").append(hex);
    }
  }
}
