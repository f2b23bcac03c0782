package io.xolotl.xol;

/** What happens at a hit. */
@FunctionalInterface
public interface ProbeHandler {

  /**
   * Called when a thread of the probed process is about to execute the probed instruction, and stopped until this
   * returns.
   *
   * <p>Where it runs is the probe's {@link HandlerContext}. What it throws is reported to the session's error listener
   * and changes nothing for the process.
   *
   * @param hit the thread's state, to look at and to change; valid until this method returns
   * @throws Exception anything; see above
   */
  void onHit(ProbeHit hit) throws Exception;
}
