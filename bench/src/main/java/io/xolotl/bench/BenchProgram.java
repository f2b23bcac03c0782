package io.xolotl.bench;

import io.xolotl.lab.BundledProgram;
import io.xolotl.lab.ProgramFiles;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The programs of this module. */
enum BenchProgram implements BundledProgram {

  /** One instruction executed very often: see {@link HitLoop}. */
  LOOPS;

  private static final String TRACER = "tracer";

  /** Holder: looked for when a program is first asked for. */
  private static final class Programs {
    static final ProgramFiles FILES = new ProgramFiles(BenchProgram.class::getResource,
        List.of(TRACER, "loops", "loops.symbols"), Set.of());
  }

  /** What {@link CTraceLoop} runs. */
  static Path tracer() {
    return Programs.FILES.path(TRACER);
  }

  @Override
  public Path path() {
    return Programs.FILES.path("loops");
  }

  @Override
  public boolean hasFixedAddress() {
    return false;
  }

  @Override
  public Map<String, Long> symbols() {
    return Programs.FILES.symbols("loops");
  }
}
