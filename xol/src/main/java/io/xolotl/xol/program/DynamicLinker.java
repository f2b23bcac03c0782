package io.xolotl.xol.program;

import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.elf.SymbolResolver;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * What a process's dynamic linker tells debuggers: it calls an empty function, {@code _dl_debug_state},
 * whenever its list of libraries changes. While it adds or deletes, {@code r_state} says so; when all is
 * mapped again it is consistent.
 *
 * @see <a href="https://sourceware.org/git/?p=glibc.git;a=blob;f=elf/link.h">struct r_debug in link.h</a>
 */
public final class DynamicLinker {

  private static final long AT_PHDR = 3;
  private static final long AT_PHNUM = 5;
  private static final long AT_BASE = 7;
  private static final long AT_ENTRY = 9;
  private static final int PT_DYNAMIC = 2;
  private static final int PT_PHDR = 6;
  private static final long DT_DEBUG = 21;

  /**
   * Where the fields of the 64-bit and of the 32-bit structures are: p_vaddr and p_memsz of a header,
   * r_state.
   */
  private record Layout(int wordBytes, int headerBytes, int address, int size, int state) {
    public static Layout of(Abi abi) {
      return switch (abi) {
        case X86_64 -> new Layout(8, 56, 16, 40, 24);
        case I386 -> new Layout(4, 32, 8, 20, 12);
      };
    }

    long word(ByteBuffer from, int offset) {
      return wordBytes == 8 ? from.getLong(offset) : Integer.toUnsignedLong(from.getInt(offset));
    }

    /** The value of a key in a vector of pairs, or 0. */
    long valueOf(long key, ByteBuffer pairs) {
      for (int i = 0; i + 2 * wordBytes <= pairs.limit(); i += 2 * wordBytes) {
        if (word(pairs, i) == key) {
          return word(pairs, i + wordBytes);
        }
      }
      return 0;
    }
  }

  private final TracedProcess process;
  private final ProcessMemory memory;
  private final Layout layout;
  private final ByteBuffer auxv;

  private DynamicLinker(TracedProcess process, ByteBuffer auxv) {
    this.process = process;
    this.auxv = auxv;
    layout = Layout.of(process.abi());
    memory = process.memory();
  }

  public static DynamicLinker of(TracedProcess process) {
    return new DynamicLinker(process,
        ByteBuffer.wrap(process.auxiliaryVector()).order(ByteOrder.LITTLE_ENDIAN));
  }

  private long auxiliary(long key) {
    return layout.valueOf(key, auxv);
  }

  /** Returns true if the program was started through a dynamic linker. */
  boolean exists() {
    return auxiliary(AT_BASE) != 0;
  }

  /** Address of the program's first instruction after the dynamic linker. */
  long entryPoint() {
    return auxiliary(AT_ENTRY);
  }

  /** Address of the function that is called for debuggers, or 0 if there is none. */
  public long debugState() {
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
    ByteBuffer table = ByteBuffer.wrap(memory.read(headers, count * layout.headerBytes))
        .order(ByteOrder.LITTLE_ENDIAN);
    long bias = 0;
    long dynamic = 0;
    int dynamicBytes = 0;
    for (int i = 0; i < table.limit(); i += layout.headerBytes) {
      if (table.getInt(i) == PT_PHDR) {
        bias = headers - layout.word(table, i + layout.address);
      } else if (table.getInt(i) == PT_DYNAMIC) {
        dynamic = layout.word(table, i + layout.address);
        dynamicBytes = (int) layout.word(table, i + layout.size);
      }
    }
    ByteBuffer entries = ByteBuffer.wrap(memory.read(bias + dynamic, dynamicBytes))
        .order(ByteOrder.LITTLE_ENDIAN);
    long debug = layout.valueOf(DT_DEBUG, entries);
    return debug != 0 && memory.readInt(debug + layout.state) == 0;
  }
}
