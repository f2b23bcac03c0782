package io.xolotl.xol;

/** What happens at a hit. */
@FunctionalInterface
public interface ProbeHandler {

  /**
   * Called when a thread of the probed process is about to execute the probed instruction, and stopped until
   * this returns.
   *
   * <p>Where it runs is the probe's {@link HandlerContext}. What it throws is reported to the session's error
   * listener and changes nothing for the process.
   *
   * <p>It may take as long as it likes while nobody waits for it. When a call of the library has waited for
   * it for a second, as {@link ProbedProcess#close}, {@link Probe#unregister} and the exit of the JVM do, and
   * of a handler on the tracer thread every call that needs that thread, the handler's thread is
   * {@linkplain Thread#interrupt interrupted}; when the handler is out its thread is not interrupted any
   * more. If it runs on all the same, it is interrupted again after two seconds, four, eight and so on, and
   * each time a warning with its probe, process and stack goes to {@link System.Logger}, or, while the JVM
   * exits, to standard error. The call goes on when the handler returns. The same holds for conditions,
   * listeners and whatever else of a user's runs in the tracer thread.
   *
   * @param hit the thread's state, to look at and to change; valid until this method returns
   * @throws Exception anything; see above
   */
  void onHit(ProbeHit hit) throws Exception;
}
