package io.xolotl.xol;

/** Where a handler runs. */
public enum HandlerContext {

  /**
   * On the tracer thread. All hits of the session wait meanwhile: the handler must be short and must not block; it may
   * register and unregister probes.
   */
  INTERRUPT,

  /**
   * On the session's executor, by default a virtual thread a hit. The handler may block; only the thread that hit the
   * probe stays stopped, others hit it, run the same handler at the same time and go on.
   */
  TASK
}
