package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.lab.Await;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.Pipe;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Outputs that are read, or not. */
@Execution(ExecutionMode.CONCURRENT)
class OutletTest {

  private static final byte[] LINE = "a line\n".getBytes(StandardCharsets.UTF_8);

  /** A pipe of the kernel: it takes 64 KiB, and then nothing until somebody reads. */
  private record Stuck(Pipe pipe, OutputStream stream) implements AutoCloseable {
    static Stuck open() throws IOException {
      Pipe pipe = Pipe.open();
      return new Stuck(pipe, Channels.newOutputStream(pipe.sink()));
    }

    byte[] readAll() throws IOException {
      return Channels.newInputStream(pipe.source()).readAllBytes();
    }

    @Override
    public void close() throws IOException {
      pipe.source().close();
      pipe.sink().close();
    }
  }

  private static Outlet filled(Stuck stuck, Interruption interruption) {
    Outlet outlet = Outlet.of(stuck.stream(), true, interruption);
    synchronized (outlet) {
      while (outlet.hasRoom()) {
        outlet.add(LINE, 0, LINE.length);
      }
    }
    // The writer has taken all that there was and is stuck: now the buffer is filled for good.
    Await.until(outlet::hasRoom, () -> "the writer takes the buffer");
    synchronized (outlet) {
      while (outlet.hasRoom()) {
        outlet.add(LINE, 0, LINE.length);
      }
    }
    return outlet;
  }

  @Test
  void everythingIsWrittenWhoeverIsSlow() throws Exception {
    try (Stuck stuck = Stuck.open()) {
      Outlet outlet = filled(stuck, new Interruption());
      var writer = CompletableFuture.supplyAsync(() -> {
        try {
          outlet.write(LINE);
          outlet.flush();
          stuck.pipe().sink().close();
          return outlet.linesWritten();
        } catch (IOException e) {
          throw new AssertionError(e);
        }
      });
      byte[] read = stuck.readAll();
      assertThat(read.length).isGreaterThan(2 * Outlet.CAPACITY);
      assertThat(writer.join() * LINE.length).isEqualTo(read.length);
      assertThat(outlet.isIdle()).isTrue();
    }
  }

  @Test
  void anInterruptedCommandWaitsForNobodyForEver() throws Exception {
    try (Stuck stuck = Stuck.open()) {
      var interruption = new Interruption();
      Outlet outlet = filled(stuck, interruption);
      interruption.request();
      assertThatThrownBy(outlet::flush).isInstanceOf(Outlet.Unread.class);
      assertThatThrownBy(() -> outlet.write(LINE)).isInstanceOf(Outlet.Unread.class);
      long written = outlet.linesWritten();
      stuck.pipe().source().configureBlocking(false);
      var buffer = ByteBuffer.allocate(4 * Outlet.CAPACITY);
      while (stuck.pipe().source().read(buffer) > 0) {
        // There may be more.
      }
      assertThat(written).isPositive();
      // The writer was stuck with one piece. Reading makes room for it, and nothing follows it.
      assertThat(buffer.position() / LINE.length).isBetween((int) written,
          (int) written + 4096 / LINE.length);
      assertThat(buffer.position() % LINE.length).isZero();
    }
  }

  @Test
  void messagesAreDroppedRatherThanWaitedFor() throws Exception {
    try (Stuck stuck = Stuck.open()) {
      Outlet outlet = Outlet.lossy(stuck.stream(), new Interruption());
      for (int written = 0; written < 4 * Outlet.CAPACITY; written += LINE.length) {
        outlet.write(LINE);
      }
      outlet.flush();
      outlet.close();
      assertThat(outlet.linesWritten()).isPositive();
    }
  }

  @Test
  void whatIsHeldIsWrittenOnlyWhenItIsReleased() throws Exception {
    var target = new ByteArrayOutputStream();
    Outlet outlet = Outlet.of(target, false, new Interruption());
    outlet.hold();
    outlet.add(LINE, 0, LINE.length);
    outlet.discard();
    outlet.hold();
    outlet.add(LINE, 0, 2);
    outlet.release();
    outlet.flush();
    assertThat(target.toString(StandardCharsets.UTF_8)).isEqualTo("a ");
  }

  @Test
  void aReaderThatIsGone() throws Exception {
    try (Stuck stuck = Stuck.open()) {
      stuck.pipe().source().close();
      Outlet outlet = Outlet.of(stuck.stream(), true, new Interruption());
      assertThatThrownBy(() -> {
        outlet.write(LINE);
        outlet.flush();
      }).isInstanceOf(Outlet.ReaderGone.class);
      assertThat(outlet.failed()).isDone();
      assertThat(outlet.hasFailed()).isTrue();
    }
  }
}
