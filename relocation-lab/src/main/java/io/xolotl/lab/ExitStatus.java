package io.xolotl.lab;

/** How a process ended. */
public sealed interface ExitStatus {

  /**
   * It called exit.
   *
   * @param code its exit code, 0 to 255
   */
  record Exited(int code) implements ExitStatus {}

  /**
   * A signal killed it.
   *
   * @param signal the signal's number
   */
  record Killed(int signal) implements ExitStatus {}

  /** The status of a process that ended well. */
  ExitStatus SUCCESS = new Exited(0);
}
