package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.ProcFs;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The experiment, and what it is compared with. */
class HitLoopTest {

  private static final List<String> KINDS = List.of("nop", "push", "call", "jcc", "mov", "lea", "ret", "vex",
      "nop5");
  private static final int HITS = 200;

  @Test
  void everyKindCountsItsExecutions() {
    try (HitLoop loop = HitLoop.start()) {
      // A CPU without AVX leaves one out.
      assertThat(KINDS).containsAll(loop.kinds());
      assertThat(loop.kinds()).hasSizeGreaterThanOrEqualTo(KINDS.size() - 1);
      for (String kind : loop.kinds()) {
        assertThat(loop.run(kind, 1_000_000)).as(kind).isPositive();
      }
    }
  }

  @Test
  void sitesHaveTheirInstructions() {
    try (HitLoop loop = HitLoop.start()) {
      assertThat(ProcFs.memory(loop.pid(), loop.site("ret"), loop.length("ret"))).containsExactly(0xc3);
      assertThat(ProcFs.memory(loop.pid(), loop.site("nop5"), loop.length("nop5"))).containsExactly(0x0f,
          0x1f, 0x44, 0, 0);
      assertThat(loop.length("call")).isEqualTo(5);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"emulated", "boosted", "trapped", "single-stepped"})
  void theTracerInCChangesNothing(String technique) {
    try (HitLoop loop = HitLoop.start()) {
      int supported = 0;
      for (String kind : loop.kinds()) {
        byte[] code = ProcFs.memory(loop.pid(), loop.site(kind), loop.length(kind));
        Optional<CTraceLoop> attached = CTraceLoop.attach(loop, kind, technique, HITS);
        if (attached.isPresent()) {
          supported++;
          try (CTraceLoop tracer = attached.get()) {
            loop.run(kind, HITS);
            tracer.awaitDetached();
          }
          assertThat(ProcFs.memory(loop.pid(), loop.site(kind), loop.length(kind))).isEqualTo(code);
        }
      }
      assertThat(supported).isGreaterThanOrEqualTo(5);
      assertThat(ProcFs.tracerPid(loop.pid())).isZero();
    }
  }

  @Test
  void gdbChangesNothing() {
    try (HitLoop loop = HitLoop.start()) {
      Optional<GdbBreakpoint> attached = GdbBreakpoint.attach(loop, "mov", HITS);
      attached.ifPresent(breakpoint -> {
        try (breakpoint) {
          loop.run("mov", HITS);
          breakpoint.awaitDetached();
        }
      });
      assertThat(ProcFs.tracerPid(loop.pid())).isZero();
      loop.run("mov", HITS);
    }
  }
}
