package io.xolotl.xol.program;

import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.WaitStatus;
import io.xolotl.ptrace.WaitStatus.Created;
import io.xolotl.ptrace.WaitStatus.Executed;
import io.xolotl.ptrace.WaitStatus.Exiting;
import io.xolotl.ptrace.WaitStatus.GroupStop;
import io.xolotl.ptrace.WaitStatus.Interrupted;
import io.xolotl.ptrace.WaitStatus.Other;
import java.util.OptionalLong;

/**
 * Brings a launched program from its first instruction to where its libraries are ready: the dynamic linker
 * tells debuggers at the end of relocation, before any constructor.
 */
public final class Startup {

  private static final byte BREAKPOINT = (byte) 0xcc;

  private final TracedThread thread;
  private final ProcessMemory memory;
  private final DynamicLinker linker;
  private final Registers registers = new Registers();

  private Startup(TracedThread thread) {
    this.thread = thread;
    memory = thread.process().memory();
    linker = DynamicLinker.of(thread.process());
  }

  /**
   * Runs the only thread of a process until its libraries are mapped and relocated.
   *
   * @param thread stopped before its first instruction; stopped on its way to user mode afterwards
   * @return where the dynamic linker cannot be read; empty if all is done
   */
  public static OptionalLong runToLibraries(TracedThread thread) {
    return new Startup(thread).run();
  }

  private OptionalLong run() {
    if (!linker.exists()) {
      // Linked statically: everything is mapped.
      return OptionalLong.empty();
    }
    long debugState = linker.debugState();
    long stop = debugState == 0 ? linker.entryPoint() : debugState;
    byte[] original = memory.readText(stop, 1);
    if (original.length == 0) {
      return OptionalLong.of(stop);
    }
    memory.writeText(stop, BREAKPOINT);
    runTo(stop);
    while (debugState != 0 && !linker.isConsistent()) {
      memory.writeText(stop, original);
      // The process has one thread: nobody can pass while the breakpoint is out.
      do {
        thread.step(0);
      } while (!(awaitSignal() == Signals.SIGTRAP));
      memory.writeText(stop, BREAKPOINT);
      runTo(stop);
    }
    memory.writeText(stop, original);
    return OptionalLong.empty();
  }

  /** Runs until the breakpoint; signals that arrive on the way are delivered. */
  private void runTo(long address) {
    int signal = 0;
    while (true) {
      thread.cont(signal);
      signal = awaitSignal();
      if (signal == Signals.SIGTRAP) {
        thread.readRegisters(registers);
        if (registers.rip() == address + 1) {
          registers.rip(address);
          thread.writeRegisters(registers);
          return;
        }
      }
    }
  }

  private int awaitSignal() {
    while (true) {
      switch (thread.awaitStop()) {
        case WaitStatus.Signal(int signal) -> {
          return signal;
        }
        case GroupStop _ -> thread.listen();
        case Interrupted _, Created _, Executed _, Exiting _, Other _ ->
          thread.cont(0);
      }
    }
  }
}
