package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An interrupt lands in the run that it is for, or nowhere. */
class UserCodeTest {

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void anInterruptRacesWithTheReturn(boolean onTracerThread) throws Exception {
    var code = new UserCode(onTracerThread);
    var over = new AtomicBoolean();
    var sent = new AtomicLong();
    Thread interrupter = Thread.ofPlatform().start(() -> {
      while (!over.get()) {
        long run = code.run();
        if (run != 0 && code.interrupt(run)) {
          sent.incrementAndGet();
        }
      }
    });
    try {
      long landed = 0;
      // Ten thousand that were interrupted, and as many others as come between.
      for (long i = 0; landed < 10_000; i++) {
        code.enter(UserCode.Kind.HANDLER, this);
        for (int work = 0; work < i % 64; work++) {
          Thread.onSpinWait();
        }
        landed += Thread.currentThread().isInterrupted() ? 1 : 0;
        code.exit();
        assertThat(Thread.currentThread().isInterrupted()).as("after run %d", i).isFalse();
        if (i % 64 == 0) {
          // Where both share a CPU.
          Thread.yield();
        }
      }
    } finally {
      over.set(true);
      interrupter.join();
    }
    assertThat(Thread.interrupted()).isFalse();
    assertThat(sent.get()).isGreaterThanOrEqualTo(10_000);
  }

  /** What the owner of a thread of the user's has to say to it is not taken away. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void anInterruptOfSomebodyElse(boolean onTracerThread) {
    var code = new UserCode(onTracerThread);
    code.enter(UserCode.Kind.HANDLER, this);
    Thread.currentThread().interrupt();
    assertThat(code.interrupt(code.run())).isTrue();
    code.exit();
    assertThat(Thread.interrupted()).isEqualTo(!onTracerThread);
    assertThat(code.interrupt(1)).as("a run that is over").isFalse();
    assertThat(Thread.interrupted()).isFalse();
  }
}
