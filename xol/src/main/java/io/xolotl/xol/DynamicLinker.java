package io.xolotl.xol;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.elf.SymbolResolver;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What a process's dynamic linker tells debuggers: it calls an empty function, {@code _dl_debug_state}, whenever its list
 * of libraries changes. While it adds or deletes, {@code r_state} says so; when all is mapped again it is consistent.
 *
 * @see <a href="https://sourceware.org/git/?p=glibc.git;a=blob;f=elf/link.h">struct r_debug in link.h</a>
 */
final class DynamicLinker {

  private static final long AT_PHDR = 3;
  private static final long AT_PHNUM = 5;
  private static final long AT_BASE = 7;
  private static final long AT_ENTRY = 9;
  private static final int PHDR_BYTES = 56;
  private static final int PT_DYNAMIC = 2;
  private static final int PT_PHDR = 6;
  private static final long DT_DEBUG = 21;
  private static final int R_STATE = 24;

  private final TracedProcess process;
  private final ProcessMemory memory;
  private final ByteBuffer auxv;

  private DynamicLinker(TracedProcess process, ByteBuffer auxv) {
    this.process = process;
    this.auxv = auxv;
    memory = process.memory();
  }

  static DynamicLinker of(TracedProcess process) {
    try {
      byte[] bytes = Files.readAllBytes(Path.of("/proc/" + process.pid() + "/auxv"));
      return new DynamicLinker(process, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    } catch (IOException e) {
      throw new ProbeException(ProbeException.Reason.PROCESS_GONE, "process " + process.pid() + " has ended");
    }
  }

  private long auxiliary(long key) {
    for (int i = 0; i + 16 <= auxv.limit(); i += 16) {
      if (auxv.getLong(i) == key) {
        return auxv.getLong(i + 8);
      }
    }
    return 0;
  }

  /** Tells whether the program was started through a dynamic linker. */
  boolean exists() {
    return auxiliary(AT_BASE) != 0;
  }

  /** Address of the program's first instruction after the dynamic linker. */
  long entryPoint() {
    return auxiliary(AT_ENTRY);
  }

  /** Address of the function that is called for debuggers, or 0 if there is none. */
  long debugState() {
    long base = auxiliary(AT_BASE);
    List<MemoryMapping> mappings = process.mappings();
    for (MemoryMapping mapping : mappings) {
      if (base != 0 && mapping.start() == base) {
        var symbols = new SymbolResolver(process.pid(), mappings, memory::tryRead);
        try {
          return symbols.resolve(mapping.path(), "_dl_debug_state").address();
        } catch (SymbolException e) {
          // A dynamic linker without symbols tells nobody.
          return 0;
        }
      }
    }
    return 0;
  }

  /** {@code r_state == RT_CONSISTENT}, found through DT_DEBUG as debuggers do. */
  boolean isConsistent() {
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
