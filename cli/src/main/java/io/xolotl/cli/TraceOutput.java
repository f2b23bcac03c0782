package io.xolotl.cli;

import io.xolotl.ptrace.Registers;
import io.xolotl.xol.ProbeHandler;
import io.xolotl.xol.ProbeHit;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/**
 * Takes hits from handlers, at once, and hands them on to an {@link Outlet}, whose thread always writes all
 * there is: single hits without delay, many of them in large pieces, and nothing is left behind at the end.
 *
 * <p>Lines that find no room, because nobody reads as fast as they come, are left out and counted, so that
 * the process waits for nobody. A lossless output lets it wait, and says so.
 *
 * <p>Everything is guarded by the outlet's monitor. Any thread.
 */
final class TraceOutput {
  private static final int FIRST_SIZE = 256;
  /** No number has more digits. */
  private static final int DIGITS = 20;
  /**
   * Bytes that a lossless output takes where handlers must not wait: before all is registered, and at the
   * end.
   */
  private static final int MOST_WAITING = 1 << 26;
  private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

  private final Shell shell;
  private final Outlet out;
  private final TraceFormat format;
  private final boolean lossless;

  /** The hit that is being formatted. */
  private byte[] line = new byte[FIRST_SIZE];
  private int length;
  /** Handlers may wait. */
  private boolean patient;
  private boolean begun;
  /** The zero of the hits' times. */
  private long began = System.nanoTime();
  /** Lines handed on, and lines left out. */
  private long taken;
  private long lost;
  /** How many lines must be lost, or nanoseconds be waited, until the next message. */
  private long nextLoss = 1;
  private long nextWait = SECOND;
  private long waited;

  /** An output that keeps what it gets until {@link #begin}. */
  TraceOutput(Shell shell, TraceFormat format, boolean lossless) {
    this.shell = shell;
    out = shell.output();
    this.format = format;
    this.lossless = lossless;
    out.hold();
    out.add(format.prologue(), 0, format.prologue().length);
  }

  /** A handler that writes its hits with this location. */
  ProbeHandler handler(String location) {
    byte[] place = format.place(location);
    return hit -> append(hit, place);
  }

  /** Starts to write. Until then hits are only kept: they come as soon as the first probe is registered. */
  void begin() {
    synchronized (out) {
      if (taken == 0) {
        began = System.nanoTime();
      }
      begun = true;
      patient = lossless;
      out.release();
    }
  }

  private void append(ProbeHit hit, byte[] place) {
    synchronized (out) {
      awaitRoom();
      if (out.hasFailed()) {
        return;
      }
      if (!out.hasRoom() && !(lossless && out.fits(MOST_WAITING))) {
        lose();
        return;
      }
      format(hit, place);
      taken++;
      out.add(line, 0, length);
    }
  }

  private void awaitRoom() {
    if (!patient || out.hasRoom()) {
      return;
    }
    long begin = System.nanoTime();
    long before = waited;
    while (patient && !out.hasFailed() && !out.hasRoom()) {
      try {
        TimeUnit.NANOSECONDS.timedWait(out, Math.max(1, nextWait - before - (System.nanoTime() - begin)));
      } catch (InterruptedException e) {
        // Whoever waits for this handler has lost patience; this hit goes where there is no room.
        return;
      }
      waited = before + System.nanoTime() - begin;
      if (waited >= nextWait) {
        shell.say("the process has waited %d s for the reader of the output (--lossless)"
            .formatted(waited / SECOND));
        nextWait *= 10;
      }
    }
  }

  private void lose() {
    lost++;
    if (lost == nextLoss) {
      nextLoss *= 10;
      shell.say((lost == 1 ? "1 line is" : lost + " lines are")
          + " left out, because nobody reads as fast as they come; with --lossless the process waits");
    }
  }

  private void format(ProbeHit hit, byte[] place) {
    Registers registers = hit.registers();
    long micros = (System.nanoTime() - began) / 1000;
    length = 0;
    if (taken > 0) {
      append(format.separator());
    }
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
  }

  private void appendSeconds(long micros, int width) {
    appendDecimal(micros / 1_000_000, width - 7);
    ensureRoom(7);
    line[length++] = '.';
    long fraction = micros % 1_000_000;
    for (int i = 5; i >= 0; i--, fraction /= 10) {
      line[length + i] = (byte) ('0' + fraction % 10);
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
      line[length++] = ' ';
    }
    for (int i = digits - 1; i >= 0; i--, value /= 10) {
      line[length + i] = (byte) ('0' + value % 10);
    }
    length += digits;
  }

  private void appendHex(long value) {
    ensureRoom(DIGITS);
    line[length++] = '0';
    line[length++] = 'x';
    int shift = Math.max(0, (63 - Long.numberOfLeadingZeros(value)) & ~3);
    for (; shift >= 0; shift -= 4) {
      line[length++] = (byte) Character.forDigit((int) (value >>> shift) & 0xf, 16);
    }
  }

  private void append(byte[] bytes) {
    ensureRoom(bytes.length);
    System.arraycopy(bytes, 0, line, length, bytes.length);
    length += bytes.length;
  }

  private void ensureRoom(int more) {
    if (line.length - length < more) {
      line = Arrays.copyOf(line, Math.max(2 * line.length, length + more));
    }
  }

  /** From now on handlers wait for nothing: whoever ends the session would wait for them. */
  void waitNoLonger() {
    synchronized (out) {
      patient = false;
      out.notifyAll();
    }
  }

  /** Drops everything, if nothing was begun. */
  void discard() {
    synchronized (out) {
      if (!begun) {
        out.discard();
      }
    }
  }

  private static String lines(long count) {
    return count + (count == 1 ? " line was" : " lines were");
  }

  /** What stands behind all hits. */
  interface Epilogue {
    String after(long lost);
  }

  /**
   * Waits until everything is written, and says how many lines were not.
   *
   * @throws IOException if something could not be written
   */
  void end(Epilogue epilogue) throws IOException {
    byte[] last;
    synchronized (out) {
      last = epilogue.after(lost).getBytes(StandardCharsets.UTF_8);
    }
    try {
      out.write(last, 0, last.length);
      out.flush();
    } catch (Outlet.Unread e) {
      long written = Math.max(0, out.linesWritten() - format.linesBefore());
      throw new Failure(lines(lost + taken - written) + " not written, because nobody reads them");
    }
    if (lost > 0) {
      shell.say(lines(lost) + " not written, because nobody read as fast as they came");
    }
  }
}
