package io.xolotl.xol;

/** How a session's process came to its end, as far as the session saw it. */
public sealed interface ProcessEnd {

  /**
   * The program ended by itself.
   *
   * @param status its exit status, 0 to 255
   */
  record Exited(int status) implements ProcessEnd {}

  /**
   * A signal ended the program.
   *
   * @param signal number of the signal
   */
  record Killed(int signal) implements ProcessEnd {}

  /** The session was closed before; the process lives on. */
  record Detached() implements ProcessEnd {}
}
