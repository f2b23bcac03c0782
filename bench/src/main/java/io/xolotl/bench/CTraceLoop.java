package io.xolotl.bench;

import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.TargetProcess;
import java.util.List;
import java.util.Optional;

/**
 * The least that a tracer in C can do for a breakpoint: {@code waitpid}, PTRACE_GETREGS, PTRACE_SETREGS and
 * PTRACE_CONT a stop, on the CPU where the process runs. It executes the displaced instruction by the
 * techniques that Xolotl has, with the same stops, and so shows what ptrace itself costs.
 *
 * {@snippet :
 * try (HitLoop loop = HitLoop.start();
 *     CTraceLoop tracer = CTraceLoop.attach(loop, "mov", "trapped", 1_000).orElseThrow()) {
 *   long nanos = loop.run("mov", 1_000);
 *   tracer.awaitDetached();
 * }
 * }
 */
public final class CTraceLoop implements AutoCloseable {

  private final TargetProcess tracer;
  private final long hits;

  private CTraceLoop(TargetProcess tracer, long hits) {
    this.tracer = tracer;
    this.hits = hits;
  }

  /**
   * Attaches to a process and puts a breakpoint on an instruction. It detaches by itself at the last hit.
   *
   * @param loop the process, which nobody traces
   * @param kind the instruction
   * @param technique {@code emulated}, {@code boosted}, {@code trapped} or {@code single-stepped}
   * @param hits how many there will be, at least one
   * @return the tracer; empty if it cannot execute that instruction by that technique
   * @throws AssertionError if it may not trace the process
   */
  public static Optional<CTraceLoop> attach(HitLoop loop, String kind, String technique, long hits) {
    TargetProcess tracer = TargetProcess.start(List.of(BenchProgram.tracer().toString(),
        Integer.toString(loop.pid()), Long.toString(loop.site(kind)), Integer.toString(loop.length(kind)),
        Long.toString(loop.slot()), Long.toString(hits), technique));
    boolean attached = false;
    try {
      attached = tracer.awaitLine(line -> line.startsWith("ready ") || line.equals("unsupported"),
          Await.PATIENCE).startsWith("ready ");
      return attached ? Optional.of(new CTraceLoop(tracer, hits)) : Optional.empty();
    } finally {
      if (!attached) {
        tracer.close();
      }
    }
  }

  /**
   * Waits until it has detached, behind the last hit.
   *
   * @throws AssertionError if it does not detach, or saw another number of hits
   */
  public void awaitDetached() {
    tracer.awaitLine(("hits " + hits)::equals, Await.PATIENCE);
    if (!tracer.exitStatus().equals(ExitStatus.SUCCESS)) {
      throw new AssertionError(tracer.transcript());
    }
  }

  /** Ends the tracer. Before it has detached, the process it traces dies at the next hit. */
  @Override
  public void close() {
    tracer.close();
  }
}
