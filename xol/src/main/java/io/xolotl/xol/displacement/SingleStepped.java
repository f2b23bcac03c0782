package io.xolotl.xol.displacement;

import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Technique;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;

/**
 * A copy that is executed under the CPU's trap flag: two stops a hit, and for a repeated string instruction
 * one an iteration. It works for every instruction, wherever that leads, and is the reference for the others.
 *
 * @param copy of any instruction
 */
@TracerThread
record SingleStepped(Copy copy) implements OutOfLine {

  @Override
  public Technique technique() {
    return Technique.SINGLE_STEPPED;
  }

  @Override
  public Outcome execute(Tracee tracee) {
    // Who waits for its child of vfork cannot be stopped, so that nobody could take the trap flag off it if
    // the session ended: it runs towards the trap behind the copy. Its own trap flag stays in any case.
    return !tracee.stepsItself() && SystemCalls.createsByVfork(copy.effect(), tracee)
        ? new Trapped(copy).execute(tracee)
        : copy.enter(tracee, this);
  }

  @Override
  public Progress trapped(Tracee tracee) {
    tracee.readRegisters();
    // The thread was interrupted by us in a system call, and has been brought in front of it to make it again
    // (InterruptedCalls); or it is between two iterations.
    if (tracee.registers().rip() == copy.start() && !tracee.stepsItself()
        && (copy.effect() instanceof Effect.Repeated || isSystemCall())) {
      resume(tracee, 0);
      return Progress.IN_COPY;
    }
    copy.finish(tracee, true);
    return Progress.DONE;
  }

  @Override
  public void resume(Tracee tracee, int signal) {
    tracee.thread().step(signal);
  }

  @Override
  public boolean isStepped() {
    return true;
  }
}
