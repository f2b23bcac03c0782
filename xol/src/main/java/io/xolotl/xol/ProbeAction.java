package io.xolotl.xol;

import java.util.Objects;

/**
 * What a probe does at each hit. Code that looks at actions should be ready for more kinds of them than there
 * are in this version.
 */
public sealed interface ProbeAction {

  /**
   * Runs code of this JVM while the thread that has hit the probe is stopped.
   *
   * @param handler the code
   * @param context where it runs
   */
  record Handler(ProbeHandler handler, HandlerContext context) implements ProbeAction {

    /** Refuses null. */
    public Handler {
      Objects.requireNonNull(handler, "handler");
      Objects.requireNonNull(context, "context");
    }
  }
}
