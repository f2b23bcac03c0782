package io.xolotl.decoder.tables;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Writes what {@link Tables} reads: numbers in little-endian order, arrays with their length before them. */
final class TableWriter {

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private static ByteBuffer buffer(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void write(ByteBuffer buffer) {
    out.writeBytes(buffer.array());
  }

  void put(int number) {
    write(buffer(Integer.BYTES).putInt(number));
  }

  /** Writes text of a fixed size, with blanks behind it. */
  void put(String text, int size) {
    out.writeBytes(String.format("%-" + size + "s", text).getBytes(StandardCharsets.US_ASCII));
  }

  TableWriter put(byte[] array) {
    put(array.length);
    out.writeBytes(array);
    return this;
  }

  TableWriter put(char[] array) {
    put(array.length);
    ByteBuffer buffer = buffer(array.length * Character.BYTES);
    buffer.asCharBuffer().put(array);
    write(buffer);
    return this;
  }

  TableWriter put(int[] array) {
    put(array.length);
    ByteBuffer buffer = buffer(array.length * Integer.BYTES);
    buffer.asIntBuffer().put(array);
    write(buffer);
    return this;
  }

  TableWriter put(long[] array) {
    put(array.length);
    ByteBuffer buffer = buffer(array.length * Long.BYTES);
    buffer.asLongBuffer().put(array);
    write(buffer);
    return this;
  }

  byte[] bytes() {
    return out.toByteArray();
  }
}
