package io.xolotl.lab.oracle;

import io.xolotl.lab.LabProgram;
import io.xolotl.lab.TargetProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;

/** A process of the oracle program and the memory that it shares with this JVM. One thread at a time. */
final class OracleInstance {

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final int WORDS = 8;

  /**
   * A case that does not come out is given up after 2 seconds of CPU time; a batch has few of them, or
   * something is wrong with all.
   */
  private static final Duration PATIENCE = Duration.ofMinutes(3);

  final TargetProcess target;
  private final Arena arena = Arena.ofShared();
  final MemorySegment memory;
  final XsaveImage image;

  OracleInstance(String... arguments) {
    target = TargetProcess.start(LabProgram.ORACLE, arguments);
    try {
      String descriptor = target.awaitLine("memory ").substring("memory ".length());
      Path file = Path.of("/proc/" + target.pid() + "/fd/" + descriptor);
      try (var channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, Layout.BYTES, arena);
      } catch (IOException e) {
        throw new UncheckedIOException("cannot share memory with " + target, e);
      }
      checkLayout();
      int[] offsets = new int[WORDS];
      for (int i = 0; i < offsets.length; i++) {
        offsets[i] = memory.get(INT, Layout.HEAD_COMPONENTS + 8L * i);
      }
      image = new XsaveImage(memory.get(LONG, Layout.HEAD_XSAVE_MASK), offsets);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private void checkLayout() {
    boolean same = memory.get(LONG, 0) == Layout.MAGIC;
    for (int i = 0; i < Layout.LAYOUT.length; i++) {
      same &= memory.get(LONG, Layout.HEAD_LAYOUT + 8L * i) == Layout.LAYOUT[i];
    }
    if (!same) {
      throw new IllegalStateException(
          "the oracle program and this class have different layouts of their memory");
    }
  }

  long input(int i) {
    return Layout.HEAD_BYTES + (long) i * Layout.RECORD_BYTES;
  }

  long result(int i) {
    return input(Layout.BATCH + i);
  }

  void count(int count) {
    memory.set(INT, Layout.HEAD_COUNT, count);
    memory.set(INT, Layout.HEAD_CURRENT, 0);
  }

  byte[] record(long at) {
    return memory.asSlice(at, Layout.RECORD_BYTES).toArray(ValueLayout.JAVA_BYTE);
  }

  /** The result that is in a record, which must not be changed any more. */
  Result result(byte[] record) {
    return new Result(Ending.of(record), record, image);
  }

  /** Returns true if the process has lived to say that it is done. */
  boolean order(String command) {
    target.send(command);
    return awaitDone();
  }

  /** The same for a command that was sent before. */
  boolean awaitDone() {
    try {
      target.awaitLine("done", PATIENCE);
      return true;
    } catch (AssertionError e) {
      if (!target.endsOutput()) {
        throw e;
      }
      return false;
    }
  }

  /** Kills the process, if it lives; any thread. */
  void kill() {
    ProcessHandle.of(target.pid()).ifPresent(ProcessHandle::destroyForcibly);
  }

  /** Ends the process; nothing if that was done. */
  void close() {
    if (arena.scope().isAlive()) {
      try {
        target.close();
      } finally {
        arena.close();
      }
    }
  }
}
