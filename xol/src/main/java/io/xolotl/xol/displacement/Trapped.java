package io.xolotl.xol.displacement;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;

/**
 * A copy with a breakpoint behind it: two stops a hit, also for a repeated string instruction, which would
 * trap after each iteration under the trap flag.
 *
 * @param copy leads to the byte behind it and nowhere else
 */
@TracerThread
record Trapped(Copy copy) implements OutOfLine {

  @Override
  public Technique technique() {
    return Technique.TRAPPED;
  }

  @Override
  public Outcome execute(Tracee tracee) {
    return copy.enter(tracee, this);
  }

  @Override
  public Progress trapped(Tracee tracee) {
    tracee.readRegisters();
    if (tracee.registers().rip() == copy.end() + 1) {
      // After an int3 rip is one past it.
      tracee.registers().rip(copy.end());
    }
    copy.finish(tracee, false);
    return Progress.DONE;
  }
}
