package io.xolotl.xol;

/**
 * Is told what a probed process does as a whole. How it ends is told by {@link ProbedProcess#end}.
 *
 * <p>Every method runs on the tracer thread, and what it is about is stopped meanwhile: it must be short and
 * must not block, but it may register and unregister probes, and close sessions. One that blocks is
 * {@linkplain ProbeHandler#onHit interrupted} as a handler is. What it throws goes to {@link System.Logger}
 * and changes nothing for the process.
 */
public interface ProcessListener {

  /**
   * A probed process has created another one, by fork, vfork, posix_spawn or clone. It has not executed
   * anything yet.
   *
   * @param parent the process that created it
   * @param child its id in this JVM's pid namespace
   */
  default void created(ProbedProcess parent, int child) {}

  /**
   * A child has become a probed process, as {@link ForkPolicy#FOLLOW} says. It is the listener's to close; it
   * also ends when the child does, or with this JVM.
   *
   * @param parent the process that created it
   * @param child the child, with copies of the parent's probes
   */
  default void followed(ProbedProcess parent, ProbedProcess child) {}

  /**
   * A probed process has executed a program. All its probes are unregistered; those that
   * {@link ForkPolicy#FOLLOW_EXEC} registers again are there. Probes that are registered now
   * are there before the first instruction of the new program, when only it and its dynamic linker are
   * mapped: those in libraries can wait ({@link ProbeRequest#whenItIsMapped}).
   *
   * @param process the process
   */
  default void executed(ProbedProcess process) {}
}
