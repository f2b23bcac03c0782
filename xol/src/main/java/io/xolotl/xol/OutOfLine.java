package io.xolotl.xol;

import io.xolotl.decoder.Emulation;
import io.xolotl.decoder.Emulation.Call;
import io.xolotl.decoder.Emulation.ConditionalJump;
import io.xolotl.decoder.Emulation.IndirectCall;
import io.xolotl.decoder.Emulation.IndirectJump;
import io.xolotl.decoder.Emulation.Jump;
import io.xolotl.decoder.Emulation.LoadAddress;
import io.xolotl.decoder.Emulation.Loop;
import io.xolotl.decoder.Emulation.Nop;
import io.xolotl.decoder.Emulation.PopFlags;
import io.xolotl.decoder.Emulation.PushFlags;
import io.xolotl.decoder.Emulation.PushRegister;
import io.xolotl.decoder.Emulation.Return;
import io.xolotl.decoder.Instruction;
import io.xolotl.decoder.MachineMode;
import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.Register;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.ThreadState.Phase;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * Executes displaced instructions: emulates them, or brings the thread into the slot and out again.
 *
 * <p>A thread is in a slot between {@link #enter} and one of {@link #trapped} (the copy has been executed),
 * {@link #faulted} (it raised a signal) and {@link #leave} (the session ends). The program never sees that:
 * signals are held back, and whatever names the slot (rip, a pushed return address, rcx after a system call,
 * the address of a fault) is made to name the original. Tracer thread only.
 */
final class OutOfLine {

  private static final long TF = 0x100;
  private static final int SYS_CLONE3 = 435;
  private static final int CLONE_VFORK = 0x4000;
  /** {@code jmp [rip+0]}; the address follows. */
  private static final byte[] JUMP = {(byte) 0xff, 0x25, 0, 0, 0, 0};

  /** Ends the probes of a site, and puts its instruction back. */
  private final Consumer<Site> withdrawal;

  OutOfLine(Consumer<Site> withdrawal) {
    this.withdrawal = withdrawal;
  }

  /** The thread's own: a borrower keeps the memory that its creator leaves by exec or ends with. */
  private static ProcessMemory memory(ThreadState state) {
    return state.traced().process().memory();
  }

  /**
   * Executes the instruction of the site at which a thread is stopped, and lets the thread go on.
   *
   * @return true if the thread is done with the site, false if it is in the slot now
   */
  boolean execute(ThreadState state, Site site) {
    Emulation emulation = site.emulation;
    state.stepsItself = (state.registers().rflags() & TF) != 0;
    if (site.technique == Technique.EMULATED && emulation != null) {
      if (Emulator.emulate(emulation, site.instruction, state.registers(), memory(state))) {
        state.writeRegistersIfChanged();
        goOn(state, site);
        return true;
      }
      if (site.lacksCopy()) {
        withdrawal.accept(site);
        state.writeRegistersIfChanged();
        state.resume(0);
        return true;
      }
      if (site.copy == null) {
        deliverFault(state, site);
        return true;
      }
      enter(state, site, changesRip(emulation) ? Phase.STEPPING : Phase.TRAPPING);
      return false;
    }
    enter(state, site, switch (site.technique) {
      // Under the program's own trap flag the copy traps, and never gets to the jump.
      case BOOSTED -> state.stepsItself ? Phase.TRAPPING : Phase.BOOSTED;
      case TRAPPED -> Phase.TRAPPING;
      case EMULATED, SINGLE_STEPPED -> createsByVfork(state, site) && !state.stepsItself
          ? Phase.TRAPPING
          : Phase.STEPPING;
    });
    return false;
  }

  /**
   * Returns true if a thread is about to wait for a child in wait_for_vfork_done() (kernel/fork.c), where it
   * cannot be stopped. Not under the trap flag, which nobody could take off it then.
   */
  private static boolean createsByVfork(ThreadState state, Site site) {
    if (!isSystemCall(site.instruction)) {
      return false;
    }
    Registers registers = state.registers();
    Abi abi = Abi.of(registers);
    boolean longMode = abi == Abi.X86_64;
    long argument = longMode ? registers.get(Register.RDI) : registers.get(Register.RBX) & 0xffff_ffffL;
    int number = (int) registers.rax();
    if (number == SYS_CLONE3) {
      // struct clone_args begins with the flags.
      byte[] flags = new byte[2];
      return memory(state).tryRead(argument, flags, 0, flags.length) == flags.length
          && (flags[1] & CLONE_VFORK >> 8) != 0;
    }
    // arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl
    return number == (longMode ? 58 : 190)
        || number == (longMode ? 56 : 120) && (argument & CLONE_VFORK) != 0;
  }

  /**
   * Lets a thread leave its slot by itself, when nobody traces it any more and what it waits for is over: the
   * copy goes on to the program's next instruction, and stays mapped.
   */
  void leaveBehind(ThreadState state) {
    Site site = Objects.requireNonNull(state.site);
    DisplacedCopy copy = Objects.requireNonNull(site.copy);
    byte[] jump = DisplacedCopy.jumpBack(site.instruction, copy.slot());
    if (jump == null) {
      jump = ByteBuffer.allocate(JUMP.length + 8).order(ByteOrder.LITTLE_ENDIAN).put(JUMP)
          .putLong(site.instruction.nextAddress()).array();
    }
    memory(state).writeText(copy.slot() + copy.length(), jump);
  }

  /**
   * Lets a thread go on that is stopped for a trap of the engine, behind the displaced instruction, with its
   * registers written: with the program's own trap if it steps itself, or else with the first signal that was
   * held. A system call does not trap under a trap flag of the program's (entry_SYSCALL_64 returns to user
   * mode by iret then, and the next instruction traps).
   */
  static void goOn(ThreadState state, Site site) {
    if (state.stepsItself && !isSystemCall(site.instruction)) {
      Signalling.requeueAll(state);
      state.signal.singleStep(state.registers().rip());
      state.traced().writeSignalInfo(state.signal);
      state.resume(Signals.SIGTRAP);
    } else {
      state.resume(Signalling.release(state));
    }
  }

  /**
   * Raises the fault of an instruction that must not be copied, in place of the trap that the thread is
   * stopped for. What the kernel keeps of a fault besides (cr2, the error code) is that of an earlier one.
   */
  private void deliverFault(ThreadState state, Site site) {
    long operand = site.instruction.ripRelativeTarget().orElse(0);
    boolean readable = operand == 0 || memory(state).tryRead(operand, new byte[8], 0, 8) == 8;
    state.signal.fault(Signals.SIGSEGV, readable ? state.registers().rsp() - 8 : operand);
    state.writeRegistersIfChanged();
    state.traced().writeSignalInfo(state.signal);
    state.traced().cont(Signals.SIGSEGV);
  }

  /** Returns true if a copy would go elsewhere than to the trap behind it. */
  static boolean changesRip(Emulation emulation) {
    return switch (emulation) {
      case Jump _, ConditionalJump _, Loop _, Call _, IndirectJump _, IndirectCall _, Return _ ->
        true;
      case Nop _, PushRegister _, LoadAddress _, PushFlags _, PopFlags _ ->
        false;
    };
  }

  private static void enter(ThreadState state, Site site, Phase phase) {
    DisplacedCopy copy = Objects.requireNonNull(site.copy,
        "an instruction that is executed out of line has a copy");
    Registers registers = state.registers();
    registers.rip(copy.slot());
    Register scratch = copy.scratch();
    if (scratch != null) {
      state.savedScratch = registers.get(scratch);
      registers.set(scratch, copy.scratchValue());
    }
    state.traced().writeRegisters(registers);
    // Where that fails the thread is not in the slot.
    state.phase = phase;
    run(state, 0);
  }

  /** Resumes a thread in a slot. */
  static void run(ThreadState state, int signal) {
    if (state.phase == Phase.STEPPING) {
      state.traced().step(signal);
    } else {
      state.traced().cont(signal);
    }
  }

  /**
   * A trap of the engine has stopped a thread in a slot.
   *
   * @return true if the copy has been executed and the thread is out, stopped with its registers written;
   *     false if it was resumed in the slot, because a repeated string instruction traps after each
   *     iteration, or a system call that we have interrupted is made again
   */
  boolean trapped(ThreadState state, Site site) {
    DisplacedCopy copy = Objects.requireNonNull(site.copy);
    state.readRegisters();
    Registers registers = state.registers();
    boolean again = site.instruction.isRepeated()
        // It was interrupted by us, and has been brought in front of the call: see InterruptedCalls.
        || isSystemCall(site.instruction);
    if (state.phase == Phase.STEPPING && registers.rip() == copy.slot() && again && !state.stepsItself) {
      run(state, 0);
      return false;
    }
    if (state.phase == Phase.TRAPPING && registers.rip() == copy.slot() + copy.length() + 1) {
      // After an int3 rip is one past it.
      registers.rip(copy.slot() + copy.length());
    }
    finish(state, site, copy);
    return true;
  }

  /**
   * A signal arrives before the copy is executed: the thread stops again when it is, to receive the signal
   * then.
   */
  static void stopBehindCopy(ThreadState state) {
    if (state.phase == Phase.BOOSTED) {
      state.phase = Phase.STEPPING;
    }
  }

  /** Undoes what the copy's place has done to the registers and the stack, after it was executed. */
  private void finish(ThreadState state, Site site, DisplacedCopy copy) {
    Registers registers = state.registers();
    restoreScratch(state, copy);
    long next = site.instruction.nextAddress();
    switch (site.emulation) {
      case Call _ -> {
        registers.rip(original(registers.rip(), copy, site.instruction));
        writeReturnAddress(memory(state), site.instruction, registers.rsp());
      }
      case IndirectCall _ -> writeReturnAddress(memory(state), site.instruction, registers.rsp());
      case IndirectJump _, Return _ -> {
        // The target is absolute.
      }
      case PushFlags(int width) -> {
        registers.rip(next);
        if (state.phase == Phase.STEPPING && !state.stepsItself) {
          clearTrapFlag(memory(state), registers.rsp(), width);
        }
      }
      case Jump _, ConditionalJump _, Loop _ ->
        registers.rip(original(registers.rip(), copy, site.instruction));
      case Nop _, PushRegister _, LoadAddress _, PopFlags _ ->
        finishCopy(state, site.instruction, copy);
      case null -> finishCopy(state, site.instruction, copy);
    }
    state.writeRegistersIfChanged();
    // Where that fails the thread is in the slot still.
    state.phase = Phase.FREE;
  }

  private static void finishCopy(ThreadState state, Instruction instruction, DisplacedCopy copy) {
    Registers registers = state.registers();
    if (!copy.contains(registers.rip())) {
      // rt_sigreturn: all registers are those of the frame. Or it was boosted, and has got to the jump back.
      return;
    }
    registers.rip(original(registers.rip(), copy, instruction));
    finishSystemCall(instruction, registers, state.stepsItself);
  }

  /**
   * Where the original of an instruction would have led to, if it is relative; in 32-bit code addresses wrap
   * at 4 GiB.
   */
  private static long original(long rip, DisplacedCopy copy, Instruction instruction) {
    long address = rip - copy.slot() + instruction.address();
    return instruction.mode() == MachineMode.LONG_64 ? address : address & 0xffff_ffffL;
  }

  private static void writeReturnAddress(ProcessMemory memory, Instruction call, long rsp) {
    switch (call.mode()) {
      case LONG_64 -> memory.writeLong(rsp, call.nextAddress());
      case COMPAT_32 -> memory.writeInt(rsp, (int) call.nextAddress());
    }
  }

  /** Of all int n only int 0x80 of 32-bit code is displaced. */
  static boolean isSystemCall(Instruction instruction) {
    return instruction.mnemonic().equals("syscall") || instruction.mnemonic().equals("int");
  }

  /**
   * Returns true if a thread in a slot, whose registers are read for it, has a system call still to make
   * there.
   */
  boolean isBeforeSystemCall(ThreadState state) {
    Site site = Objects.requireNonNull(state.site);
    if (!isSystemCall(site.instruction)) {
      return false;
    }
    state.readRegisters();
    return state.registers().rip() == Objects.requireNonNull(site.copy).slot();
  }

  /**
   * By the definition of syscall, rcx is the address behind it and r11 the flags, of which TF may be the
   * tracer's.
   */
  private static void finishSystemCall(Instruction instruction, Registers registers, boolean keepTrapFlag) {
    if (!instruction.mnemonic().equals("syscall")) {
      return;
    }
    registers.set(Register.RCX, instruction.nextAddress());
    if (!keepTrapFlag) {
      registers.set(Register.R11, registers.get(Register.R11) & ~TF);
    }
  }

  /** Under the trap flag, pushf pushes that flag too. */
  private static void clearTrapFlag(ProcessMemory memory, long rsp, int width) {
    byte[] image = memory.read(rsp, width / 8);
    image[1] &= (byte) ~(TF >> 8);
    memory.write(rsp, image);
  }

  private static void restoreScratch(ThreadState state, DisplacedCopy copy) {
    Register scratch = copy.scratch();
    if (scratch != null) {
      state.registers().set(scratch, state.savedScratch);
    }
  }

  /**
   * The copy raised a signal: brings the thread out, as if the original had raised it. The thread is stopped
   * with its registers and the signal's information written.
   */
  void faulted(ThreadState state, Site site, int signal) {
    DisplacedCopy copy = Objects.requireNonNull(site.copy);
    boolean namesInstruction = signal == Signals.SIGILL || signal == Signals.SIGFPE
        || signal == Signals.SIGSYS;
    if (namesInstruction && copy.contains(state.signal.address())) {
      state.signal.address(state.signal.address() - copy.slot() + site.address());
      state.traced().writeSignalInfo(state.signal);
    }
    state.readRegisters();
    leave(state, site);
  }

  /**
   * Brings a stopped thread out of its slot wherever it is: before the copy it will execute the original,
   * behind it the copy counts. Its registers have been read, and are written.
   */
  void leave(ThreadState state, Site site) {
    DisplacedCopy copy = Objects.requireNonNull(site.copy);
    Registers registers = state.registers();
    if (registers.rip() == copy.slot()) {
      // Not executed, or a repeated instruction that goes on, or a fault: the original instruction restarts
      // it.
      restoreScratch(state, copy);
      registers.rip(site.address());
      state.writeRegistersIfChanged();
      state.phase = Phase.FREE;
      return;
    }
    if (registers.rip() == copy.slot() + copy.length() + 1) {
      registers.rip(copy.slot() + copy.length());
    }
    finish(state, site, copy);
  }

  /**
   * A thread or process that a displaced system call created starts in the slot, with its creator's
   * registers.
   *
   * @param thread the new thread, before its first instruction
   */
  void bringOutNewcomer(TracedThread thread, Registers registers, Site site) {
    DisplacedCopy copy = Objects.requireNonNull(site.copy);
    registers.rip(original(registers.rip(), copy, site.instruction));
    finishSystemCall(site.instruction, registers, false);
    thread.writeRegisters(registers);
  }
}
