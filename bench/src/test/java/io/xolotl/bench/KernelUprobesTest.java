package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.abort;

import io.xolotl.bench.KernelUprobes.Counter;
import io.xolotl.bench.KernelUprobes.Refused;
import io.xolotl.bench.KernelUprobes.Result;
import io.xolotl.bench.KernelUprobes.Unavailable;
import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class KernelUprobesTest {

  private static Counter counter(Result result) {
    return switch (result) {
      case Counter counter -> counter;
      case Unavailable(String reason) -> abort(reason);
      case Refused refused -> throw new AssertionError(refused);
    };
  }

  @Test
  void countsEveryHit() {
    try (HitLoop loop = HitLoop.start()) {
      for (String kind : loop.kinds()) {
        try (Counter counter = counter(KernelUprobes.open(loop.file(), loop.fileOffset(kind), loop.pid()))) {
          assertThat(counter.hits()).isZero();
          loop.run(kind, 1_000);
          assertThat(counter.hits()).as(kind).isEqualTo(1_000);
        }
        byte[] code = ProcFs.memory(loop.pid(), loop.site(kind), 1);
        assertThat(code).as(kind).doesNotContain(0xcc);
      }
    }
  }

  @Test
  void countsReturns() {
    long function = BenchProgram.LOOPS.symbol("loop_nop");
    try (HitLoop loop = HitLoop.start();
        Counter counter = counter(
            KernelUprobes.openReturn(loop.file(), function,
                loop.pid()))) {
      loop.run("nop", 1_000);
      loop.run("nop", 1_000);
      assertThat(counter.hits()).isEqualTo(2);
    }
  }

  @Test
  void aRefusalIsAValue(@RunsFixture(FixtureProgram.INSNS) TargetProcess target) {
    Path file = FixtureProgram.INSNS.path();
    long offset = ProcFs.fileOffset(target.pid(), target.address("site_int3_own"));
    Result result = KernelUprobes.open(file, offset, target.pid());
    if (result instanceof Unavailable(String reason)) {
      abort(reason);
    }
    assertThat(result).isEqualTo(new Refused(KernelUprobes.ENOTSUPP));
  }

  @Test
  void aFileThatDoesNotExist() {
    Result available = KernelUprobes.open(BenchProgram.LOOPS.path(), 0, 1);
    if (available instanceof Unavailable(String reason)) {
      abort(reason);
    }
    ((Counter) available).close();
    assertThatThrownBy(() -> KernelUprobes.open(Path.of("/does/not/exist"), 0, 1))
        .isInstanceOf(UncheckedIOException.class).hasMessageContaining("/does/not/exist");
  }

  @Test
  void aClosedCounter() {
    try (HitLoop loop = HitLoop.start()) {
      Counter counter = counter(KernelUprobes.open(loop.file(), loop.fileOffset("nop"), loop.pid()));
      counter.close();
      counter.close();
      assertThatThrownBy(counter::hits).isInstanceOf(IllegalStateException.class);
    }
  }
}
