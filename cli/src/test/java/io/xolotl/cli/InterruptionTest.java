package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.xol.elf.CodeFile;
import io.xolotl.xol.elf.SymbolException;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

/** What the end of a command does to a thread that reads. */
class InterruptionTest {

  @Test
  void readingIsCutShort() throws Exception {
    var interruption = new Interruption();
    var reads = new CountDownLatch(1);
    Thread other = Thread.ofPlatform().start(() -> {
      try {
        reads.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
      interruption.request();
    });
    assertThatThrownBy(() -> interruption.cuttingShort(() -> {
      reads.countDown();
      while (true) {
        CodeFile.open(Path.of("/proc/self/exe")).functions();
      }
    })).isInstanceOf(Failure.class).hasMessageContaining("ended while files were read");
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
    other.join();
    // From now on nothing is begun, either.
    assertThatThrownBy(
        () -> interruption.cuttingShort(() -> CodeFile.open(Path.of("/proc/self/exe")).functions()))
        .isInstanceOf(Failure.class);
  }

  @Test
  void whatFailsForAnotherReasonSaysSo() {
    var interruption = new Interruption();
    assertThatThrownBy(() -> interruption.cuttingShort(() -> CodeFile.open(Path.of("/none"))))
        .isInstanceOf(SymbolException.class).hasMessageContaining("does not exist");
    assertThat(interruption.<Integer>cuttingShort(() -> 42)).isEqualTo(42);
  }
}
