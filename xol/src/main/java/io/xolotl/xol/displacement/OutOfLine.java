package io.xolotl.xol.displacement;

import io.xolotl.decoder.Effect;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Detour;
import io.xolotl.xol.tracee.Tracee;

/** A displacement that has a thread execute a copy, from which it must be brought out again. */
@TracerThread
sealed interface OutOfLine extends Displacement, Detour permits Boosted, Trapped, SingleStepped {

  Copy copy();

  @Override
  default Lease lease() {
    return copy().lease();
  }

  @Override
  default void faulted(Tracee tracee, int signal) {
    copy().faulted(tracee, signal, isStepped());
  }

  @Override
  default void leave(Tracee tracee) {
    copy().leave(tracee, isStepped());
  }

  @Override
  default void resume(Tracee tracee, int signal) {
    tracee.thread().cont(signal);
  }

  @Override
  default boolean leaveIfThrough(Tracee tracee) {
    return false;
  }

  @Override
  default boolean endsUnseen() {
    return false;
  }

  @Override
  default boolean isStepped() {
    return false;
  }

  @Override
  default Detour whenSignalled() {
    return this;
  }

  @Override
  default boolean isBeforeSystemCall(Tracee tracee) {
    if (!isSystemCall()) {
      return false;
    }
    tracee.readRegisters();
    return tracee.registers().rip() == copy().start();
  }

  @Override
  default boolean isSystemCall() {
    return copy().effect() instanceof Effect.SystemCall;
  }

  @Override
  default void leaveBehind(ProcessMemory memory) {
    copy().leaveBehind(memory);
  }
}
