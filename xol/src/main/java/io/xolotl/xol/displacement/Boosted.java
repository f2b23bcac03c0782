package io.xolotl.xol.displacement;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;

/**
 * A copy with a jump back behind it: one stop a hit, since the thread goes on by itself. So nobody tells when
 * it is out: it keeps its pin until a later stop finds it elsewhere.
 *
 * @param copy needs no correction afterwards: it has no scratch register, and does not name its own place
 * @param underTrapFlag the same for a thread that steps itself: it traps behind the copy, and never gets to
 *     the jump
 * @param whenSignalled the same for a thread that must stop behind the copy, to receive a signal
 */
@TracerThread
record Boosted(Copy copy, Trapped underTrapFlag, SingleStepped whenSignalled) implements OutOfLine {

  @Override
  public Technique technique() {
    return Technique.BOOSTED;
  }

  @Override
  public Outcome execute(Tracee tracee) {
    return tracee.stepsItself() ? underTrapFlag.execute(tracee) : copy.enter(tracee, this);
  }

  @Override
  public Progress trapped(Tracee tracee) {
    tracee.readRegisters();
    copy.finish(tracee, false);
    return Progress.DONE;
  }

  /** A thread in front of the jump back is at the next instruction for the program, and is brought there. */
  @Override
  public boolean leaveIfThrough(Tracee tracee) {
    tracee.readRegisters();
    long rip = tracee.registers().rip();
    if (rip == copy.end()) {
      // A restartable sequence may begin there, whose abort the kernel would forget if it found the thread
      // elsewhere (rseq_ip_fixup() in kernel/rseq.c).
      tracee.registers().rip(copy.instruction().nextAddress());
      tracee.writeRegistersIfChanged();
      return true;
    }
    return !copy.contains(rip);
  }

  @Override
  public boolean endsUnseen() {
    return true;
  }
}
