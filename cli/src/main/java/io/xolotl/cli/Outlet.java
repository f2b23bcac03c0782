package io.xolotl.cli;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * An output that somebody else reads, perhaps never: a bounded buffer and a thread that writes it. So it is
 * for whoever has something to say to decide how long it waits for the reader: not at all ({@link #add}), or
 * until the command is interrupted and nothing has been read for some seconds ({@link #write} and
 * {@link #flush}).
 *
 * <p>All its state is guarded by its monitor, which is notified at every change. Any thread.
 */
final class Outlet extends OutputStream {

  /**
   * How long an interrupted command waits for a reader that reads no results, and for one that reads no
   * messages.
   */
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(5);
  private static final long PATIENCE_FOR_MESSAGES = TimeUnit.SECONDS.toNanos(1);

  /** Bytes that may wait while others are being written. */
  static final int CAPACITY = 1 << 20;

  /**
   * PIPE_BUF: a pipe takes as many bytes all or not at all (pipe(7)), so what was not taken is known exactly.
   */
  private static final int PIECE = 4096;

  /** Nobody reads the output any more. */
  static final class ReaderGone extends IOException {
    private static final long serialVersionUID = 1L;

    ReaderGone(IOException cause) {
      super(cause.getMessage(), cause);
    }
  }

  /** An interrupted command has waited long enough for its reader. */
  static final class Unread extends IOException {
    private static final long serialVersionUID = 1L;

    Unread() {
      super("nobody reads them");
    }
  }

  private final OutputStream target;
  private final boolean isPipe;
  private final boolean lossy;
  private final CompletableFuture<Void> failed = new CompletableFuture<>();

  private byte[] waiting = new byte[PIECE];
  private int length;
  private boolean writing;
  private boolean held;
  private boolean started;
  private boolean closed;
  private boolean interrupted;
  private long lastProgress = System.nanoTime();
  private long linesWritten;
  private @Nullable IOException failure;

  private Outlet(OutputStream target, boolean isPipe, boolean lossy, Interruption interruption) {
    this.target = target;
    this.isPipe = isPipe;
    this.lossy = lossy;
    interruption.requested().thenRun(this::interrupted);
  }

  /**
   * An output for results.
   *
   * @param target what is written to
   * @param isPipe true if a write fails only because the reader is gone
   * @param interruption until then results wait for their reader
   */
  static Outlet of(OutputStream target, boolean isPipe, Interruption interruption) {
    return new Outlet(target, isPipe, false, interruption);
  }

  /** An output for messages: nobody ever waits to write one, and those that find no room are dropped. */
  static Outlet lossy(OutputStream target, Interruption interruption) {
    return new Outlet(target, false, true, interruption);
  }

  private synchronized void interrupted() {
    interrupted = true;
    lastProgress = System.nanoTime();
    notifyAll();
  }

  /** From now on bytes are kept, not written, until they are released. */
  synchronized void hold() {
    held = true;
  }

  /** Ends {@link #hold}. */
  synchronized void release() {
    held = false;
    notifyAll();
  }

  /** Drops what was held. */
  synchronized void discard() {
    length = 0;
    release();
  }

  /** Returns true if somebody may add bytes without waiting. */
  synchronized boolean hasRoom() {
    return length < CAPACITY;
  }

  /** Returns true if fewer bytes wait than a limit, whatever the capacity is. */
  synchronized boolean fits(int limit) {
    return length < limit;
  }

  /** Returns true if everything was written. */
  synchronized boolean isIdle() {
    return length == 0 && !writing;
  }

  /** Returns true if nothing can be written any more. */
  synchronized boolean hasFailed() {
    return failure != null;
  }

  /** Completes when something cannot be written. */
  CompletableFuture<Void> failed() {
    return failed;
  }

  /** How many line feeds were written: not only buffered. */
  synchronized long linesWritten() {
    return linesWritten;
  }

  /**
   * Adds bytes whether there is room or not.
   *
   * @param bytes where they are
   * @param offset of the first
   * @param count how many
   */
  synchronized void add(byte[] bytes, int offset, int count) {
    if (failure != null) {
      return;
    }
    if (waiting.length - length < count) {
      waiting = Arrays.copyOf(waiting, Math.max(2 * waiting.length, length + count));
    }
    if (isIdle()) {
      // Nobody had anything to read.
      lastProgress = System.nanoTime();
    }
    System.arraycopy(bytes, offset, waiting, length, count);
    length += count;
    if (!started) {
      started = true;
      Thread.ofPlatform().daemon().name("xolotl-output").start(this::writeAll);
    }
    notifyAll();
  }

  @Override
  public void write(int b) throws IOException {
    write(new byte[]{(byte) b}, 0, 1);
  }

  /**
   * Adds bytes when there is room.
   *
   * @throws Unread if the command was interrupted, and nobody reads
   * @throws ReaderGone if the reader is gone
   * @throws IOException if something could not be written, now or earlier
   */
  @Override
  public synchronized void write(byte[] bytes, int offset, int count) throws IOException {
    if (lossy) {
      if (hasRoom()) {
        add(bytes, offset, count);
      }
      return;
    }
    int end = offset + count;
    for (int next = offset; next < end;) {
      while (failure == null && !hasRoom()) {
        awaitProgress();
      }
      throwFailure();
      int piece = Math.min(end - next, CAPACITY - length);
      add(bytes, next, piece);
      next += piece;
    }
  }

  /** Waits until everything is written; throws as {@link #write(byte[], int, int)}. */
  @Override
  public synchronized void flush() throws IOException {
    if (lossy) {
      return;
    }
    while (failure == null && !isIdle()) {
      awaitProgress();
    }
    throwFailure();
  }

  private void throwFailure() throws IOException {
    IOException known = failure;
    if (known != null) {
      throw known;
    }
  }

  private void awaitProgress() throws IOException {
    long patience = lossy ? PATIENCE_FOR_MESSAGES : PATIENCE;
    long left = lastProgress + patience - System.nanoTime();
    if (interrupted && left <= 0) {
      fail(new Unread());
      return;
    }
    try {
      if (interrupted) {
        TimeUnit.NANOSECONDS.timedWait(this, left);
      } else {
        wait();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("the thread that writes them was interrupted");
    }
  }

  private synchronized void fail(IOException thrown) {
    failure = thrown;
    length = 0;
    notifyAll();
    failed.complete(null);
  }

  /**
   * Waits until everything is written, but not for a reader that reads nothing for a while; then writes
   * nothing more.
   */
  @Override
  public synchronized void close() {
    closed = true;
    interrupted();
    boolean wasInterrupted = false;
    while (failure == null && !isIdle()) {
      try {
        awaitProgress();
      } catch (IOException e) {
        wasInterrupted = Thread.interrupted();
      }
    }
    if (wasInterrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** What the thread does. It is the only one that writes, and it writes without the monitor. */
  private void writeAll() {
    var taken = new byte[PIECE];
    while (true) {
      int count;
      synchronized (this) {
        while (failure == null && (length == 0 || held) && !(closed && length == 0)) {
          try {
            wait();
          } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts this thread, which would lose bytes", e);
          }
        }
        if (failure != null || length == 0) {
          return;
        }
        byte[] emptied = taken;
        taken = waiting;
        waiting = emptied;
        count = length;
        length = 0;
        writing = true;
        notifyAll();
      }
      for (int offset = 0; offset < count;) {
        int piece = piece(taken, offset, count);
        try {
          target.write(taken, offset, piece);
          target.flush();
        } catch (IOException e) {
          fail(isPipe ? new ReaderGone(e) : e);
          return;
        }
        offset += piece;
        if (!wrote(taken, offset - piece, offset)) {
          return;
        }
      }
      synchronized (this) {
        writing = false;
        notifyAll();
      }
    }
  }

  /** How many bytes to write together: whole lines if one ends among them. */
  private static int piece(byte[] bytes, int offset, int end) {
    if (end - offset <= PIECE) {
      return end - offset;
    }
    for (int i = offset + PIECE; i > offset; i--) {
      if (bytes[i - 1] == '\n') {
        return i - offset;
      }
    }
    return PIECE;
  }

  /** Counts what was written; returns false if nothing is to be written any more. */
  private synchronized boolean wrote(byte[] bytes, int from, int to) {
    lastProgress = System.nanoTime();
    for (int i = from; i < to; i++) {
      if (bytes[i] == '\n') {
        linesWritten++;
      }
    }
    notifyAll();
    return failure == null;
  }
}
