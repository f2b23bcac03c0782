package io.xolotl.cli;

import io.xolotl.ptrace.Registers;
import io.xolotl.xol.ProbeHandler;
import io.xolotl.xol.ProbeHit;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Takes hits from handlers, at once, and writes them from a thread of its own, which always writes all there is: single
 * hits without delay, many of them in large pieces, and nothing is left behind at the end.
 *
 * <p>Handlers wait only when more than a megabyte waits to be written: the process then runs no faster than its hits are
 * read.
 */
final class TraceOutput implements AutoCloseable {
  private static final int MOST_WAITING = 1 << 20;
  private static final int FIRST_SIZE = 1 << 16;
  /** No number has more digits. */
  private static final int DIGITS = 20;

  private final OutputStream out;
  private final TraceFormat format;
  private final CompletableFuture<Void> failed = new CompletableFuture<>();
  private final Thread writer = new Thread(this::write, "xolotl-trace-output");

  // Guarded by this, which is notified when bytes come, are taken, or will no longer.
  private byte[] waiting = new byte[FIRST_SIZE];
  private int length;
  /** The zero of the hits' times. */
  private long began = System.nanoTime();
  private boolean anyHit;
  private boolean begun;
  private boolean patient = true;
  private boolean ended;
  private @Nullable IOException failure;

  TraceOutput(OutputStream out, TraceFormat format) {
    this.out = out;
    this.format = format;
    append(format.prologue());
  }

  /** A handler that writes its hits with this location. */
  ProbeHandler handler(String location) {
    byte[] place = format.place(location);
    return hit -> append(hit, place);
  }

  /** Starts to write. Until then hits are only kept: they come as soon as the first probe is registered. */
  synchronized void begin() {
    if (!anyHit) {
      began = System.nanoTime();
    }
    begun = true;
    writer.start();
  }

  private synchronized void append(ProbeHit hit, byte[] place) throws InterruptedException {
    while (length > MOST_WAITING && begun && patient && failure == null) {
      wait();
    }
    if (failure != null) {
      return;
    }
    Registers registers = hit.registers();
    long micros = (System.nanoTime() - began) / 1000;
    if (anyHit) {
      append(format.separator());
    }
    anyHit = true;
    append(format.beforeTime());
    appendSeconds(micros, format.timeWidth());
    append(format.beforeThread());
    appendDecimal(hit.threadId(), format.threadWidth());
    append(place);
    for (int i = 0; i < format.registers().size(); i++) {
      append(format.beforeRegisters().get(i));
      appendHex(registers.get(format.registers().get(i)));
      append(format.afterRegister());
    }
    append(format.end());
    notifyAll();
  }

  private void appendSeconds(long micros, int width) {
    appendDecimal(micros / 1_000_000, width - 7);
    ensureRoom(7);
    waiting[length++] = '.';
    long fraction = micros % 1_000_000;
    for (int i = 5; i >= 0; i--, fraction /= 10) {
      waiting[length + i] = (byte) ('0' + fraction % 10);
    }
    length += 6;
  }

  private void appendDecimal(long value, int width) {
    int digits = 1;
    for (long rest = value / 10; rest != 0; rest /= 10) {
      digits++;
    }
    ensureRoom(DIGITS + width);
    for (int i = digits; i < width; i++) {
      waiting[length++] = ' ';
    }
    for (int i = digits - 1; i >= 0; i--, value /= 10) {
      waiting[length + i] = (byte) ('0' + value % 10);
    }
    length += digits;
  }

  private void appendHex(long value) {
    ensureRoom(DIGITS);
    waiting[length++] = '0';
    waiting[length++] = 'x';
    int shift = Math.max(0, (63 - Long.numberOfLeadingZeros(value)) & ~3);
    for (; shift >= 0; shift -= 4) {
      waiting[length++] = (byte) Character.forDigit((int) (value >>> shift) & 0xf, 16);
    }
  }

  private void append(byte[] bytes) {
    ensureRoom(bytes.length);
    System.arraycopy(bytes, 0, waiting, length, bytes.length);
    length += bytes.length;
  }

  private void ensureRoom(int more) {
    if (waiting.length - length < more) {
      waiting = Arrays.copyOf(waiting, Math.max(2 * waiting.length, length + more));
    }
  }

  private void write() {
    var taken = new byte[FIRST_SIZE];
    while (true) {
      int count;
      synchronized (this) {
        while (length == 0 && !ended) {
          try {
            wait();
          } catch (InterruptedException e) {
            // Nobody interrupts this thread, and giving up here would lose hits.
            throw new IllegalStateException(e);
          }
        }
        if (length == 0) {
          return;
        }
        byte[] emptied = taken;
        taken = waiting;
        waiting = emptied;
        count = length;
        length = 0;
        notifyAll();
      }
      try {
        out.write(taken, 0, count);
        out.flush();
      } catch (IOException e) {
        synchronized (this) {
          failure = e;
          notifyAll();
        }
        failed.complete(null);
        return;
      }
    }
  }

  /** Completes when the hits cannot be written. */
  CompletableFuture<Void> failed() {
    return failed;
  }

  /** From now on handlers wait for nothing: whoever ends the session would wait for them. */
  synchronized void waitNoLonger() {
    patient = false;
    notifyAll();
  }

  /**
   * Waits until everything is written.
   *
   * @param epilogue what stands behind all hits
   * @throws IOException if something could not be written
   */
  void end(String epilogue) throws IOException {
    synchronized (this) {
      append(epilogue.getBytes(StandardCharsets.UTF_8));
    }
    close();
    synchronized (this) {
      if (failure != null) {
        throw failure;
      }
    }
  }

  /** Waits until the hits so far are written; without {@link #begin} nothing is. Idempotent. */
  @Override
  public void close() {
    synchronized (this) {
      if (!begun) {
        return;
      }
      ended = true;
      notifyAll();
    }
    boolean interrupted = false;
    while (writer.isAlive()) {
      try {
        writer.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
