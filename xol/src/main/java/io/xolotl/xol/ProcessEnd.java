package io.xolotl.xol;

/** How a session's process ended, as far as the session saw it. */
public sealed interface ProcessEnd {

  /**
   * The process exited.
   *
   * @param status its exit status, 0 to 255
   */
  record Exited(int status) implements ProcessEnd {}

  /**
   * A signal killed the process.
   *
   * @param signal number of the signal
   */
  record Killed(int signal) implements ProcessEnd {}

  /** The session was closed before; the process runs on. */
  record Detached() implements ProcessEnd {}
}
