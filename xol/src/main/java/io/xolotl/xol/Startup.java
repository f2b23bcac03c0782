package io.xolotl.xol;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.WaitStatus;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.elf.SymbolResolver;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Brings a launched program from its first instruction to where its libraries are ready: the dynamic linker calls an empty
 * function, {@code _dl_debug_state}, for debuggers whenever its list of libraries changes, and at the end of relocation,
 * before any constructor.
 *
 * @see <a href="https://sourceware.org/git/?p=glibc.git;a=blob;f=elf/link.h">struct r_debug in link.h</a>
 */
final class Startup {

  private static final long AT_PHDR = 3;
  private static final long AT_PHNUM = 5;
  private static final long AT_BASE = 7;
  private static final long AT_ENTRY = 9;
  private static final int PHDR_BYTES = 56;
  private static final int PT_DYNAMIC = 2;
  private static final int PT_PHDR = 6;
  private static final long DT_DEBUG = 21;
  private static final int R_STATE = 24;
  private static final byte BREAKPOINT = (byte) 0xcc;

  private final TracedThread thread;
  private final TracedProcess process;
  private final ProcessMemory memory;
  private final ByteBuffer auxv;
  private final Registers registers = new Registers();

  private Startup(TracedThread thread) {
    this.thread = thread;
    process = thread.process();
    memory = process.memory();
    try {
      auxv = ByteBuffer.wrap(Files.readAllBytes(Path.of("/proc/" + process.pid() + "/auxv"))).order(
          ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new ProbeException(ProbeException.Reason.PROCESS_GONE,
          "process " + process.pid() + " has ended while it started");
    }
  }

  /**
   * Runs the only thread of a process until its libraries are mapped and relocated.
   *
   * @param thread stopped before its first instruction; stopped on its way to user mode afterwards
   */
  static void runToLibraries(TracedThread thread) {
    new Startup(thread).run();
  }

  private void run() {
    long base = auxiliary(AT_BASE);
    if (base == 0) {
      // Linked statically: everything is mapped.
      return;
    }
    long debugState = debugState(base);
    long stop = debugState == 0 ? auxiliary(AT_ENTRY) : debugState;
    byte original = memory.readText(stop, 1)[0];
    memory.writeText(stop, BREAKPOINT);
    runTo(stop);
    while (debugState != 0 && !isConsistent()) {
      memory.writeText(stop, original);
      // The process has one thread: nobody can pass while the breakpoint is out.
      do {
        thread.step(0);
      } while (!(awaitSignal() == Signals.SIGTRAP));
      memory.writeText(stop, BREAKPOINT);
      runTo(stop);
    }
    memory.writeText(stop, original);
  }

  private long auxiliary(long key) {
    for (int i = 0; i + 16 <= auxv.limit(); i += 16) {
      if (auxv.getLong(i) == key) {
        return auxv.getLong(i + 8);
      }
    }
    return 0;
  }

  /** Address of the function that the dynamic linker calls for debuggers, or 0. */
  private long debugState(long base) {
    List<MemoryMapping> mappings = process.mappings();
    for (MemoryMapping mapping : mappings) {
      if (mapping.start() == base) {
        var symbols = new SymbolResolver(process.pid(), mappings, memory::tryRead);
        try {
          return symbols.resolve(mapping.path(), "_dl_debug_state").address();
        } catch (SymbolException e) {
          // A dynamic linker without symbols: the entry point of the program is the next best.
          return 0;
        }
      }
    }
    return 0;
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
        case WaitStatus.GroupStop _ -> thread.listen();
        case WaitStatus.Interrupted _,WaitStatus.Created _,WaitStatus.Executed _,WaitStatus.Exiting _,WaitStatus.Other _ ->
          thread.cont(0);
      }
    }
  }

  /** {@code r_state == RT_CONSISTENT}, found through DT_DEBUG as debuggers do. */
  private boolean isConsistent() {
    long headers = auxiliary(AT_PHDR);
    int count = (int) auxiliary(AT_PHNUM);
    ByteBuffer table = ByteBuffer.wrap(memory.read(headers, count * PHDR_BYTES))
        .order(ByteOrder.LITTLE_ENDIAN);
    long bias = 0;
    long dynamic = 0;
    int dynamicBytes = 0;
    for (int i = 0; i < table.limit(); i += PHDR_BYTES) {
      if (table.getInt(i) == PT_PHDR) {
        bias = headers - table.getLong(i + 16);
      } else if (table.getInt(i) == PT_DYNAMIC) {
        dynamic = table.getLong(i + 16);
        dynamicBytes = (int) table.getLong(i + 40);
      }
    }
    ByteBuffer entries = ByteBuffer.wrap(memory.read(bias + dynamic, dynamicBytes))
        .order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i + 16 <= entries.limit(); i += 16) {
      if (entries.getLong(i) == DT_DEBUG && entries.getLong(i + 8) != 0) {
        return memory.readInt(entries.getLong(i + 8) + R_STATE) == 0;
      }
    }
    return false;
  }
}
