package io.xolotl.xol.displacement;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Effect.Call;
import io.xolotl.decoder.Effect.ConditionalJump;
import io.xolotl.decoder.Effect.EipRelative;
import io.xolotl.decoder.Effect.IndirectCall;
import io.xolotl.decoder.Effect.IndirectJump;
import io.xolotl.decoder.Effect.Jump;
import io.xolotl.decoder.Effect.LoadAddress;
import io.xolotl.decoder.Effect.Loop;
import io.xolotl.decoder.Effect.Nop;
import io.xolotl.decoder.Effect.Plain;
import io.xolotl.decoder.Effect.PopFlags;
import io.xolotl.decoder.Effect.PushFlags;
import io.xolotl.decoder.Effect.PushRegister;
import io.xolotl.decoder.Effect.Repeated;
import io.xolotl.decoder.Effect.Return;
import io.xolotl.decoder.Effect.RipRelative;
import io.xolotl.decoder.Effect.SystemCall;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.ScratchRegister;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Detour;
import io.xolotl.xol.tracee.Tracee;
import org.jspecify.annotations.Nullable;

/**
 * A copy of a displaced instruction in a slot. What a thread does there names the copy's place: rip, a pushed
 * return address, rcx after a system call, the address of a fault. So whoever comes out of it has that put
 * right, and gets the scratch register's own value back. Tracer thread only.
 */
@TracerThread
public final class Copy {

  private static final long TF = 0x100;

  private final DecodedInstruction instruction;
  /** What the instruction does. */
  private final Effect effect;
  private final Lease lease;
  /** The register that stands for rip in the copy, or null. */
  private final @Nullable UserRegister scratch;
  /** What that register must hold. */
  private final long scratchValue;

  private Copy(DecodedInstruction instruction, Effect effect, Lease lease,
      @Nullable UserRegister scratch,
      long scratchValue) {
    this.instruction = instruction;
    this.effect = effect;
    this.lease = lease;
    this.scratch = scratch;
    this.scratchValue = scratchValue;
    lease.attachment(this);
  }

  /** One without scratch register. */
  static Copy plain(DecodedInstruction instruction, Effect effect, Lease lease) {
    return new Copy(instruction, effect, lease, null, 0);
  }

  static Copy withScratch(ScratchRegister scratch, Effect effect, Lease lease) {
    return new Copy(scratch.instruction(), effect, lease, UserRegister.general(scratch.register().index()),
        scratch.value());
  }

  /** The original. */
  DecodedInstruction instruction() {
    return instruction;
  }

  /** What it does. */
  Effect effect() {
    return effect;
  }

  Lease lease() {
    return lease;
  }

  long start() {
    return lease.address();
  }

  /** The address behind the copy, where a trap or a jump back is. */
  long end() {
    return lease.address() + instruction.length();
  }

  /** Returns true if an address is that of the copy or behind it, as far as the byte behind its trap. */
  boolean contains(long rip) {
    return rip >= start() && rip <= end() + 1;
  }

  /** Brings a thread in that is stopped at the original, and lets it run. */
  Displacement.Outcome enter(Tracee tracee, Detour detour) {
    Registers registers = tracee.registers();
    registers.rip(start());
    if (scratch != null) {
      tracee.saveScratch(registers.get(scratch));
      registers.set(scratch, scratchValue);
    }
    tracee.enter(detour);
    detour.resume(tracee, 0);
    return Displacement.Outcome.IN_COPY;
  }

  /** Undoes what the copy's place has done to registers and stack, after it was executed. */
  void finish(Tracee tracee, boolean stepped) {
    Registers registers = tracee.registers();
    restoreScratch(tracee);
    switch (effect) {
      case Call _ -> {
        registers.rip(original(registers.rip()));
        writeReturnAddress(tracee.memory(), registers.rsp());
      }
      case IndirectCall _ -> writeReturnAddress(tracee.memory(), registers.rsp());
      case IndirectJump _, Return _ -> {
        // The target is absolute.
      }
      case PushFlags(int width) -> {
        registers.rip(instruction.nextAddress());
        if (stepped && !tracee.stepsItself()) {
          clearTrapFlag(tracee.memory(), registers.rsp(), width);
        }
      }
      case Jump _, ConditionalJump _, Loop _ -> registers.rip(original(registers.rip()));
      case Plain _, Repeated _, RipRelative _, EipRelative _, SystemCall _ -> finishStraight(tracee);
      case Nop _, PushRegister _, LoadAddress _, PopFlags _ -> finishStraight(tracee);
    }
    tracee.writeRegistersIfChanged();
    tracee.release();
  }

  private void finishStraight(Tracee tracee) {
    Registers registers = tracee.registers();
    if (!contains(registers.rip())) {
      // rt_sigreturn: all registers are those of the frame. Or it was boosted, and has got to the jump back.
      return;
    }
    registers.rip(original(registers.rip()));
    SystemCalls.finish(effect, instruction, registers, tracee.stepsItself());
  }

  /**
   * Brings a stopped thread out wherever it is: before the copy it will execute the original, behind it the
   * copy counts. Its registers have been read, and are written.
   */
  void leave(Tracee tracee, boolean stepped) {
    Registers registers = tracee.registers();
    if (registers.rip() == start()) {
      // Not executed, or a repeated instruction that goes on, or a fault: the original instruction restarts
      // it.
      restoreScratch(tracee);
      registers.rip(instruction.address());
      tracee.writeRegistersIfChanged();
      tracee.release();
      return;
    }
    if (registers.rip() == end() + 1) {
      registers.rip(end());
    }
    finish(tracee, stepped);
  }

  /** The copy raised a signal: brings the thread out, as if the original had raised it. */
  void faulted(Tracee tracee, int signal, boolean stepped) {
    boolean namesInstruction = signal == Signals.SIGILL || signal == Signals.SIGFPE
        || signal == Signals.SIGSYS;
    if (namesInstruction && contains(tracee.signal().address())) {
      tracee.signal().address(tracee.signal().address() - start() + instruction.address());
      tracee.writeSignal();
    }
    tracee.readRegisters();
    leave(tracee, stepped);
  }

  /**
   * A thread or process that a displaced system call created starts behind the copy, with its creator's
   * registers.
   *
   * @param newcomer before its first instruction
   * @param registers its own
   */
  public void bringOut(TracedThread newcomer, Registers registers) {
    registers.rip(original(registers.rip()));
    SystemCalls.finish(effect, instruction, registers, false);
    newcomer.writeRegisters(registers);
  }

  /** Puts a jump to the next instruction behind the copy, for a thread that comes out by itself. */
  void leaveBehind(ProcessMemory memory) {
    memory.writeText(end(), Relocator.farJumpBack(instruction, start()));
  }

  /**
   * Where the original would have led to, if it is relative; in 32-bit code addresses wrap at 4 GiB.
   */
  private long original(long rip) {
    long address = rip - start() + instruction.address();
    return instruction.mode() == MachineMode.LONG_64 ? address : address & 0xffff_ffffL;
  }

  private void writeReturnAddress(ProcessMemory memory, long rsp) {
    switch (instruction.mode()) {
      case LONG_64 -> memory.writeLong(rsp, instruction.nextAddress());
      case COMPAT_32 -> memory.writeInt(rsp, (int) instruction.nextAddress());
    }
  }

  /** Under the trap flag, pushf pushes that flag too. */
  private static void clearTrapFlag(ProcessMemory memory, long rsp, int width) {
    byte[] image = memory.read(rsp, width / 8);
    image[1] &= (byte) ~(TF >> 8);
    memory.write(rsp, image);
  }

  private void restoreScratch(Tracee tracee) {
    if (scratch != null) {
      tracee.registers().set(scratch, tracee.savedScratch());
    }
  }
}
