package io.xolotl.xol;

import io.xolotl.ptrace.IdleCpus;
import io.xolotl.ptrace.TracerAffinity;
import java.util.Objects;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;

/**
 * What a user of a process chooses: where handlers run, who is told what, and what happens to children.
 * Immutable: each method returns a changed copy.
 */
public final class ProbingOptions {

  private static final ProcessListener NOBODY = new ProcessListener() {};

  private final Executor taskExecutor;
  private final BiConsumer<Probe, Throwable> errorListener;
  private final ForkPolicy forkPolicy;
  private final ProcessListener processListener;
  private final TracerAffinity tracerAffinity;
  private final IdleCpus idleCpus;

  private ProbingOptions(Executor taskExecutor, BiConsumer<Probe, Throwable> errorListener,
      ForkPolicy forkPolicy, ProcessListener processListener, TracerAffinity tracerAffinity,
      IdleCpus idleCpus) {
    this.taskExecutor = Objects.requireNonNull(taskExecutor, "taskExecutor");
    this.errorListener = Objects.requireNonNull(errorListener, "errorListener");
    this.forkPolicy = Objects.requireNonNull(forkPolicy, "forkPolicy");
    this.processListener = Objects.requireNonNull(processListener, "processListener");
    this.tracerAffinity = Objects.requireNonNull(tracerAffinity, "tracerAffinity");
    this.idleCpus = Objects.requireNonNull(idleCpus, "idleCpus");
  }

  /**
   * {@return what runs handlers in {@link HandlerContext#TASK}} It must not run them in the thread that hands
   * them over. A handler that is waited for for a second is {@linkplain ProbeHandler#onHit interrupted}
   * there, and the flag is cleared behind it.
   */
  public Executor taskExecutor() {
    return taskExecutor;
  }

  /**
   * {@return who is told what a handler threw} It is called in the thread of the handler, and is interrupted
   * as a handler is.
   */
  public BiConsumer<Probe, Throwable> errorListener() {
    return errorListener;
  }

  /** {@return what becomes of processes that the process creates} */
  public ForkPolicy forkPolicy() {
    return forkPolicy;
  }

  /** {@return who is told of such processes, and of programs that the process executes} */
  public ProcessListener processListener() {
    return processListener;
  }

  /**
   * {@return on which CPU the tracer thread runs, if this user opens the session} With
   * {@link TracerAffinity#FOLLOW} threads that a handler in {@link HandlerContext#INTERRUPT} starts inherit
   * one CPU.
   */
  public TracerAffinity tracerAffinity() {
    return tracerAffinity;
  }

  /**
   * {@return what becomes of idle CPUs while hits follow one another quickly, if this user opens the session}
   */
  public IdleCpus idleCpus() {
    return idleCpus;
  }

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
