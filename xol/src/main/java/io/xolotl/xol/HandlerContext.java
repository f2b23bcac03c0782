package io.xolotl.xol;

/** Where a handler runs. */
public enum HandlerContext {

  /**
   * On the tracer thread. All hits of the session wait meanwhile: the handler must be short and must not
   * block; it may register and unregister probes.
   *
   * <p>One that does not return even when it is {@linkplain ProbeHandler#onHit interrupted} keeps the session
   * from being closed and the JVM from exiting. Once it has been said why, another SIGINT, SIGTERM or SIGHUP
   * ends a JVM that exits; as after SIGKILL, breakpoints stay in the process then, which dies of the next
   * one.
   */
  INTERRUPT,

  /**
   * On the session's executor, by default in a thread of its own for each hit. The handler may block; only
   * the thread that hit the probe stays stopped, others hit it, run the same handler at the same time and go
   * on.
   *
   * <p>When the JVM exits, one that does not return even when it is
   * {@linkplain ProbeHandler#onHit interrupted} is abandoned: its thread goes on as if the handler had not
   * been called, and the process is unharmed.
   */
  TASK
}
