package io.xolotl.xol;

import io.xolotl.ptrace.IdleCpus;
import io.xolotl.ptrace.TracerAffinity;
import java.util.Objects;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;

/**
 * What a user of a process chooses: where handlers run, who is told what, and what happens to children.
 *
 * @param taskExecutor runs handlers in {@link HandlerContext#TASK}; it must not run them in the thread that
 *     hands them over. A handler that is waited for for a second is
 *     {@linkplain ProbeHandler#onHit interrupted} there, and the flag is cleared behind it
 * @param errorListener is told what a handler threw, in the thread of the handler, and is interrupted as a
 *     handler is
 * @param forkPolicy what becomes of processes that the process creates
 * @param processListener is told of such processes, and of programs that the process executes
 * @param tracerAffinity on which CPU the tracer thread runs, if this user opens the session; with
 *     {@link TracerAffinity#FOLLOW} threads that a handler in {@link HandlerContext#INTERRUPT} starts inherit
 *     one CPU
 * @param idleCpus what becomes of idle CPUs while hits follow one another quickly, if this user opens the
 *     session
 */
public record ProbingOptions(Executor taskExecutor, BiConsumer<Probe, Throwable> errorListener,
    ForkPolicy forkPolicy, ProcessListener processListener, TracerAffinity tracerAffinity,
    IdleCpus idleCpus) {

  /** Refuses null. */
  public ProbingOptions {
    Objects.requireNonNull(taskExecutor, "taskExecutor");
    Objects.requireNonNull(errorListener, "errorListener");
    Objects.requireNonNull(forkPolicy, "forkPolicy");
    Objects.requireNonNull(processListener, "processListener");
    Objects.requireNonNull(tracerAffinity, "tracerAffinity");
    Objects.requireNonNull(idleCpus, "idleCpus");
  }

  private static final ProcessListener NOBODY = new ProcessListener() {};

  /**
   * {@return the defaults} Each hit gets a virtual thread; one thread is kept ready while hits follow one
   * another quickly. Errors are logged to {@link System.Logger}: the first of each probe and class with its
   * stack trace, then their number whenever there are ten times as many. Children are detached, and nobody is
   * told of them. The tracer thread runs on any CPU, and idle CPUs are treated as {@linkplain
   * IdleCpus#suitable suits} the machine.
   */
  public static ProbingOptions defaults() {
    IdleCpus idleCpus = IdleCpus.suitable();
    return new ProbingOptions(new HandlerThreads(idleCpus), ProbingOptions::log,
        ForkPolicy.DETACH, NOBODY, TracerAffinity.FREE, idleCpus);
  }

  static void log(Probe probe, Throwable thrown) {
    probe.failures().add(probe, thrown);
  }

  /**
   * {@return the same with another executor}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbingOptions withTaskExecutor(Executor replacement) {
    return new ProbingOptions(replacement, errorListener, forkPolicy, processListener, tracerAffinity,
        idleCpus);
  }

  /**
   * {@return the same with another listener}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbingOptions withErrorListener(BiConsumer<Probe, Throwable> replacement) {
    return new ProbingOptions(taskExecutor, replacement, forkPolicy, processListener, tracerAffinity,
        idleCpus);
  }

  /**
   * {@return the same with another way to treat children}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbingOptions withForkPolicy(ForkPolicy replacement) {
    return new ProbingOptions(taskExecutor, errorListener, replacement, processListener, tracerAffinity,
        idleCpus);
  }

  /**
   * {@return the same with a listener for children and executions}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbingOptions withProcessListener(ProcessListener replacement) {
    return new ProbingOptions(taskExecutor, errorListener, forkPolicy, replacement, tracerAffinity, idleCpus);
  }

  /**
   * {@return the same with the tracer thread elsewhere}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbingOptions withTracerAffinity(TracerAffinity replacement) {
    return new ProbingOptions(taskExecutor, errorListener, forkPolicy, processListener, replacement,
        idleCpus);
  }

  /**
   * {@return the same with idle CPUs treated in another way}
   *
   * @param replacement in place of what was asked for before
   */
  public ProbingOptions withIdleCpus(IdleCpus replacement) {
    Executor executor = taskExecutor instanceof HandlerThreads
        ? new HandlerThreads(replacement)
        : taskExecutor;
    return new ProbingOptions(executor, errorListener, forkPolicy, processListener, tracerAffinity,
        replacement);
  }
}
