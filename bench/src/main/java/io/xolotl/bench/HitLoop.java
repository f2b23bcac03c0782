package io.xolotl.bench;

import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/**
 * A process that executes one instruction very often, and says how long that took: the experiment by which
 * breakpoints are measured. There is a loop for each kind of instruction: {@code nop}, {@code push},
 * {@code call}, {@code jcc}, {@code mov}, {@code lea} (relative to rip), {@code ret}, {@code vex} and
 * {@code nop5}.
 *
 * <p>Instances may be used by any thread, one at a time.
 */
public final class HitLoop implements AutoCloseable {

  /** A slow hit, of a debugger on a busy machine, takes this long. */
  private static final Duration LONGEST_HIT = Duration.ofMillis(20);

  private final TargetProcess target;
  private final long loadAddress;

  private HitLoop(TargetProcess target) {
    this.target = target;
    loadAddress = ProcFs.loadAddress(target.pid(), file());
  }

  /**
   * Starts the process.
   *
   * @throws AssertionError if it cannot be started
   */
  public static HitLoop start() {
    return new HitLoop(TargetProcess.start(BenchProgram.LOOPS));
  }

  /** The process id. */
  public int pid() {
    return target.pid();
  }

  /** The file of the program. */
  public Path file() {
    return BenchProgram.LOOPS.path();
  }

  /** The kinds of instructions that this CPU has. */
  public List<String> kinds() {
    target.send("kinds");
    return Arrays.stream(target.awaitLine("kinds ").split(" ")).skip(1).toList();
  }

  /** The address of the instruction of a kind. */
  public long site(String kind) {
    return loadAddress + BenchProgram.LOOPS.symbol("site_" + kind);
  }

  /** How many bytes the instruction of a kind has. */
  public int length(String kind) {
    return (int) (BenchProgram.LOOPS.symbol("next_" + kind) - BenchProgram.LOOPS.symbol("site_" + kind));
  }

  /** Where the instruction of a kind is in the {@linkplain #file file}. */
  public long fileOffset(String kind) {
    return ProcFs.fileOffset(pid(), site(kind));
  }

  /** Room in the process for a copy of an instruction and what a tracer puts behind it. */
  long slot() {
    return loadAddress + BenchProgram.LOOPS.symbol("loop_slot");
  }

  /**
   * Executes an instruction.
   *
   * @param kind which one
   * @param times how often, at least once
   * @return how long that took by the process's own clock, in nanoseconds
   * @throws AssertionError if an execution did not have its effect, or it does not end
   */
  public long run(String kind, long times) {
    begin(kind, times);
    return end(times);
  }

  /** The first half of {@link #run}. */
  public void begin(String kind, long times) {
    target.send(kind + " " + times);
  }

  /** The second half of {@link #run}. */
  public long end(long times) {
    Duration atMost = Await.PATIENCE.plus(LONGEST_HIT.multipliedBy(times));
    long elapsed = Long.parseLong(target.awaitLine("elapsed ", atMost).substring("elapsed ".length()));
    target.awaitOk();
    return elapsed;
  }

  /** Kills the process, so that whoever waits for it fails at once. Without effect on one that has ended. */
  public void kill() {
    if (target.isAlive()) {
      target.signal("KILL");
    }
  }

  /** Ends the process. */
  @Override
  public void close() {
    target.close();
  }
}
