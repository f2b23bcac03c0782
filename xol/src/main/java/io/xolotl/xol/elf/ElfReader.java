package io.xolotl.xol.elf;

import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.function.Consumer;
import net.fornwall.jelf.BackingFile;
import net.fornwall.jelf.ElfException;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of an ELF file, for jelf and for what jelf does not parse. Every access is checked against the
 * length of the file.
 *
 * <p>It reads through a window instead of mapping the file: a file truncated while mapped raises SIGBUS, and
 * in the first second of a JVM plain arrays are read many times faster than mapped buffers. A
 * {@code RandomAccessFile} and no channel, because an interrupt would close the channel.
 */
final class ElfReader implements BackingFile, Closeable {
  private static final int WINDOW_SIZE = 1 << 16;
  /** What may be read of any file, however small, and of any, however large. */
  private static final long LEAST_BUDGET = 1 << 26;
  private static final long LARGEST_BUDGET = 1 << 30;

  private final @Nullable RandomAccessFile file;
  private final long size;
  private final byte[] window;
  private long windowStart;
  private int windowLength;
  private long position;
  /**
   * How many bytes of tables may still be read. A file has each of its tables once, so all of them together
   * are not larger than the file: tables that overlap would otherwise make a small file cost hours, and a
   * sparse one, which costs its maker nothing, more memory than there is.
   */
  private long budget;

  private ElfReader(@Nullable RandomAccessFile file, long size, byte[] window, int windowLength) {
    this.file = file;
    this.size = size;
    this.window = window;
    this.windowLength = windowLength;
    // Twice: some tables are read for more than one purpose.
    budget = Math.clamp(2 * Math.min(size, LARGEST_BUDGET), LEAST_BUDGET, LARGEST_BUDGET);
  }

  static ElfReader open(Path path) throws IOException {
    var file = new RandomAccessFile(path.toFile(), "r");
    try {
      return new ElfReader(file, file.length(), new byte[WINDOW_SIZE], 0);
    } catch (IOException e) {
      file.close();
      throw e;
    }
  }

  static ElfReader of(byte[] bytes) {
    return new ElfReader(null, bytes.length, bytes, bytes.length);
  }

  long size() {
    return size;
  }

  @Override
  public void seek(long offset) {
    if (offset < 0 || offset > size) {
      throw new ElfException(
          "offset 0x" + Long.toHexString(offset) + " is outside of its 0x" + Long.toHexString(size)
              + " bytes");
    }
    position = offset;
  }

  @Override
  public void skip(int bytesToSkip) {
    seek(position + bytesToSkip);
  }

  @Override
  public short readUnsignedByte() {
    long inWindow = position - windowStart;
    if (inWindow < 0 || inWindow >= windowLength) {
      fillWindow();
      inWindow = 0;
    }
    position++;
    return (short) (window[(int) inWindow] & 0xff);
  }

  @Override
  public int read(byte[] data) {
    if (data.length > size - position) {
      throw new ElfException(
          "0x" + Integer.toHexString(data.length) + " bytes at offset 0x" + Long.toHexString(position)
              + " reach beyond its end");
    }
    int done = 0;
    while (done < data.length) {
      long inWindow = position - windowStart;
      if (inWindow < 0 || inWindow >= windowLength) {
        fillWindow();
        inWindow = 0;
      }
      int length = Math.min(data.length - done, windowLength - (int) inWindow);
      System.arraycopy(window, (int) inWindow, data, done, length);
      done += length;
      position += length;
    }
    return data.length;
  }

  /** Reads a part of the file; the caller has bounded {@code length}. */
  ByteBuffer read(long offset, int length) {
    seek(offset);
    if (length > size - offset) {
      throw new ElfException(
          "0x" + Integer.toHexString(length) + " bytes at offset 0x" + Long.toHexString(offset)
              + " reach beyond its end");
    }
    budget -= length;
    if (budget < 0) {
      throw new ElfException("its tables are larger than the file, or than any program's");
    }
    var data = new byte[length];
    read(data);
    return ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Passes all bytes of the file to somebody, once. */
  void forEachChunk(Consumer<ByteBuffer> consumer) {
    var chunk = new byte[WINDOW_SIZE];
    for (seek(0); position < size;) {
      byte[] part = size - position < chunk.length ? new byte[(int) (size - position)] : chunk;
      read(part);
      consumer.accept(ByteBuffer.wrap(part));
    }
  }

  private void fillWindow() {
    if (file == null || position >= size) {
      throw new ElfException("it ends at offset 0x" + Long.toHexString(size));
    }
    Reading.check();
    try {
      file.seek(position);
      windowStart = position;
      windowLength = Math.max(0, file.read(window));
    } catch (IOException e) {
      windowLength = 0;
      throw new UncheckedIOException(e.getMessage(), e);
    }
    if (windowLength == 0) {
      throw new ElfException("it was truncated while it was read");
    }
  }

  @Override
  public void close() {
    if (file != null) {
      try {
        file.close();
      } catch (IOException e) {
        // Nothing was written, so nothing is lost.
      }
    }
  }
}
