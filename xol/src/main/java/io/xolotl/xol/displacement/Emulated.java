package io.xolotl.xol.displacement;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.Signals;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;
import org.jspecify.annotations.Nullable;

/**
 * The effect of the instruction is computed on the saved registers: one stop a hit, and the thread is never
 * away from the program's code. Where its memory access faults, or grows the stack, only the CPU can execute
 * it: then the fallback does.
 *
 * @param effect what is computed
 * @param instruction the original
 * @param fallback a copy for those cases; null if the instruction has none, or none could be had
 * @param wantsFallback whether there would be a copy if memory for it could be had
 */
@TracerThread
record Emulated(Effect effect, DecodedInstruction instruction, @Nullable OutOfLine fallback,
    boolean wantsFallback) implements Displacement {

  @Override
  public Technique technique() {
    return Technique.EMULATED;
  }

  @Override
  public @Nullable Lease lease() {
    return fallback == null ? null : fallback.lease();
  }

  @Override
  public Outcome execute(Tracee tracee) {
    if (Emulator.emulate(effect, instruction, tracee.registers(), tracee.memory())) {
      tracee.writeRegistersIfChanged();
      return Outcome.DONE;
    }
    if (fallback != null) {
      return fallback.execute(tracee);
    }
    if (wantsFallback) {
      return Outcome.IMPOSSIBLE;
    }
    deliverFault(tracee);
    return Outcome.FAULTED;
  }

  /**
   * Raises the fault of an instruction that must not be copied, in place of the trap that the thread is
   * stopped for. What the kernel keeps of a fault besides (cr2, the error code) is that of an earlier one.
   */
  private void deliverFault(Tracee tracee) {
    long operand = instruction.ripRelativeTarget().orElse(0);
    boolean readable = operand == 0
        || tracee.memory().tryRead(operand, new byte[Long.BYTES], 0, Long.BYTES) == Long.BYTES;
    tracee.signal().fault(Signals.SIGSEGV, readable ? tracee.registers().rsp() - 8 : operand);
    tracee.writeRegistersIfChanged();
    tracee.writeSignal();
    tracee.thread().cont(Signals.SIGSEGV);
  }
}
